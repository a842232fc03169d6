"""MoCoGAN: clips of a content and a motion, with discriminators of clips and of frames.

Tulyakov, Liu, Yang and Kautz 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation",
https://arxiv.org/abs/1707.04993.

The latents consist of a content, the same for all frames of a clip, and of noise, from which a recurrent cell computes
the motion of each frame. One generator makes the frames. A discriminator judges clips and also names their class, as in
AC-GAN; another one judges a random frame of each clip. The categories are the classes of the data; here these are
motions.

    python -m gan_jax.main --config mocogan               # motions: 16 frames of 32x32, narrow networks
    python -m gan_jax.main --config mocogan:motions       # the published networks at 64x64, 16 frames
    python -m gan_jax.main --config mocogan:clips:/path   # clips of your own, in a sub-directory for each class

The published shape motions, faces and actions are not included; motions is a set of clips of a coloured shape that
moves over a still background, which is computed. The authors' weight decay of 1e-5 is left out. Their discriminator
learns the classes of real clips only; here it learns those of generated clips as well. The rows of sample grids are the
classes; `--mode sample` writes films (GIF, or `--format mp4`). The metric `clips` measures the share of samples with
the requested motion, and how well their frames agree in shape and colour.

The default run has two phases, which the paper does not have. In the first one frames alone are judged: a step needs
one frame of each clip. In the second one the loss of clips has a tenth of the weight (`game.clips`); with the full
weight its gradient, far larger than that of frames, destroys the shapes. Expect coloured shapes over soft backgrounds,
sometimes several in a frame, after the 4,000 steps, about twelve minutes of CPU time. They appear and vanish where they
are: the motion is not learnt. `motion_accuracy` is 0.30, where guessing gives 0.33, `content_agreement` 0.68, where
real clips have 1.00, and `frame_fid` 12 (one seed, 1,000 clips).
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'motions' at the published size of frames, or '' for a laptop."""
    config = configs.base('mocogan', game='mocogan')
    config.data.name = argument or 'motions'
    if config.data.name == 'motions':
        config.evaluate, config.evaluate_every = ('clips',), '1000 steps'
        config.evaluation.split, config.evaluation.samples = 'test', 1000
    config.latents.size = 50 + 17 * config.generator.motion_size  # content; motion before and in each of 16 frames
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'auxiliary'
    config.batch_size, config.samples = 32, 24
    if argument:
        config.data.size, config.duration = 64, '100000 steps'
        return config
    config.data.size, config.batch_size = 32, 8
    config.generator.width, config.discriminator.width, config.discriminator.frame_width = 32, 16, 32
    frames = {
        'game.clips': 0.0,
        'batch_size': 64,
        'duration': '3000 steps',
        'sample_every': '1000 steps',
        'evaluate': (),
        'generator_optimizer.learning_rate': 5e-4,
        'discriminator_optimizer.learning_rate': 5e-4,
        'ema.half_life_kimg': config.ema.half_life_kimg,
    }
    configs.grow(config, [frames, {}])
    config.game.clips = 0.1
    config.ema.half_life_kimg = 2.0
    config.duration = '1000 steps'
    return config
