"""MoCoGAN: clips of a content and a motion, with discriminators of clips and of frames.

Tulyakov, Liu, Yang and Kautz 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation",
https://arxiv.org/abs/1707.04993.

The latents consist of a content, the same for all frames of a clip, and of noise, from which a recurrent cell computes
the motion of each frame. One generator makes the frames. A discriminator judges clips and also names their class, as in
AC-GAN; another one judges a random frame of each clip. The categories are the classes of the data; here these are
motions.

    python -m gan_jax.main --config mocogan               # motions: 16 frames of 32x32, quarter of the width
    python -m gan_jax.main --config mocogan:motions       # the published networks at 64x64, 16 frames
    python -m gan_jax.main --config mocogan:clips:/path   # clips of your own, in a sub-directory for each class

The published shape motions, faces and actions are not included; motions is a set of clips of a coloured shape that
moves over a still background, which is computed. The authors' weight decay of 1e-5 is left out. The rows of sample
grids are the classes; `--mode sample` writes films (GIF, or `--format mp4`). The metric `clips` measures the share of
samples with the requested motion, and how well their frames agree in shape and colour.

The default run has the penalty R1, which the paper does not have. Expect coloured spots that appear, move and vanish
over mottled backgrounds that stay still, and no shapes, after the 2,000 steps, about twelve minutes of CPU time on a
busy machine. `motion_accuracy` is 0.40, where guessing gives 0.33, `content_agreement` 0.55, where real clips have
1.00, and `frame_fid` 42 (one seed, 500 clips). Without the penalty the discriminators stay far ahead of such a small
generator: after 4,000 steps samples were grey, with values of 0.34, 0.62 and 69.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'motions' at the published size of frames, or '' for a laptop."""
    config = configs.base('mocogan', game='mocogan')
    config.data.name = argument or 'motions'
    if config.data.name == 'motions':
        config.evaluate, config.evaluate_every = ('clips',), '2000 steps'
        config.evaluation.split, config.evaluation.samples = 'test', 1000
    config.latents.size = 50 + 17 * config.generator.motion_size  # content; motion before and in each of 16 frames
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'auxiliary'
    config.batch_size, config.samples = 32, 24
    if argument:
        config.data.size, config.duration = 64, '100000 steps'
        return config
    config.data.size, config.batch_size = 32, 16
    config.generator.width = config.discriminator.width = 16
    config.penalties.r1.weight = 1.0
    config.duration = '2000 steps'
    return config
