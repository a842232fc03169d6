"""VideoGAN: clips of a moving foreground over a still background.

Vondrick, Pirsiavash and Torralba 2016, "Generating Videos with Scene Dynamics", https://arxiv.org/abs/1609.02612.

The generator makes a background, a foreground in space and time, and a mask that chooses between them; the
discriminator has convolutions in space and time. `game.mask` keeps the mask small.

    python -m gan_jax.main --config videogan               # motions: 16 frames of 32x32, quarter of the width
    python -m gan_jax.main --config videogan:motions       # the published networks at 64x64, 16 frames
    python -m gan_jax.main --config videogan:clips:/path   # clips of your own

The published data, stabilised clips of Flickr with 32 frames, are not available; motions is a set of clips of a
coloured shape that moves over a still background, which is computed. `--mode sample` writes films. The metric `clips`
measures how certain a classifier is of their motion, and how well their frames agree in shape and colour.

Expect still, mottled backgrounds with a bright, shapeless blob that moves, after the 1,500 steps.
`--metrics clips --num 500` gave a `motion_entropy` of 0.75 nats (real clips: 0.03, at most 1.10) and a
`content_agreement` of 0.50 (real clips: 1.00), one seed.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'motions' at the published size of frames, or '' for a laptop."""
    config = configs.base('videogan', game='videogan')
    config.data.name = argument or 'motions'
    if config.data.name == 'motions':
        config.evaluate, config.evaluate_every = ('clips',), '1500 steps'
        config.evaluation.split, config.evaluation.samples = 'test', 1000
    config.latents.size = 100
    if argument:
        config.data.size, config.duration = 64, '20000 steps'
        return config
    config.data.size, config.batch_size = 32, 32
    config.generator.width = config.discriminator.width = 16
    config.samples = 24
    config.duration = '1500 steps'
    return config
