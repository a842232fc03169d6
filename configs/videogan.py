"""VideoGAN: clips of a moving foreground over a still background.

Vondrick, Pirsiavash and Torralba 2016, "Generating Videos with Scene Dynamics", https://arxiv.org/abs/1609.02612.

The generator makes a background, a foreground in space and time, and a mask that chooses between them; the
discriminator has convolutions in space and time. `game.mask` keeps the mask small.

    python -m gan_jax.main --config videogan                  # moving digits: 16 frames of 32x32, quarter of the width
    python -m gan_jax.main --config videogan:motions,small    # the same for coloured shapes over still backgrounds
    python -m gan_jax.main --config videogan:motions          # the published networks at 64x64, 16 frames
    python -m gan_jax.main --config videogan:clips:/path      # clips of your own

The initial weights have a standard deviation of 0.02, those of the authors' code 0.01. The published data, stabilised
clips of Flickr with 32 frames, are not available. Clips of `moving_one:digits` show a digit that moves over black and
bounces off the borders; those of `motions` are computed. `--mode sample` writes films. The metric `clips` measures how
well the frames of a clip agree in their content, a digit or a shape with its colour, and for `motions` how certain a
classifier is of their motion.

Expect bright strokes of the size of a digit that move smoothly over black after the 2,500 steps, about ten minutes of
one CPU core; few can be read. `content_agreement` was 0.47 (real clips: 0.98), `content_entropy` 0.49 nats (0.08) and
`frame_fid` 18.4, one seed. Coloured shapes are harder: on `plain_motions` they were spots that changed their colour
after 1,500 steps.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for DATA, or for a laptop with 'DATA,small' (default: moving digits)."""
    config = configs.base('videogan', game='videogan')
    small = configs.choose_small(config, argument, 'moving_one:digits')
    if config.data.name in ('moving_one:digits', 'motions', 'plain_motions'):
        config.evaluate, config.evaluate_every = ('clips',), '2500 steps'
        config.evaluation.split, config.evaluation.samples = 'test', 1000
    config.latents.size = 100
    config.data.size, config.duration = 64, '20000 steps'
    if small:
        config.data.size, config.batch_size = 32, 16
        config.generator.width = config.discriminator.width = 16
        config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 5e-4
        config.samples = 24
        config.duration = '2500 steps'
    return config
