"""UNIT, translation between two domains without pairs by a shared latent space.

Liu, Breuel and Kautz 2017, "Unsupervised Image-to-Image Translation Networks", https://arxiv.org/abs/1703.00848.

Each domain has a variational autoencoder, and both share one latent space: a translation decodes the code of an image
with the decoder of the other domain. Networks, weights and rates are those of UNIT in the code of MUNIT, without the
perceptual loss; that code shares no layers between the domains.

    python -m gan_jax.main --config unit                                     # threes to eights
    python -m gan_jax.main --config unit:classes:tf_flowers:tulips:roses
    python -m gan_jax.main --config unit:unpaired:folder:/path/summer,folder:/path/winter

Its pictures show an image of each domain, its translation, and its reconstruction.

Expect eights with the slant and the width of their threes, and vice versa, after the 1,500 steps, three minutes on two
CPU cores (one seed, looked at, not measured).
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the two domains named by `argument` (default: two classes of the embedded digits)."""
    config = configs.base('unit', game='unit')
    config.data.name = argument or 'classes:digits:3:8'
    config.data.flip = bool(argument)
    config.game.decay = 1e-4
    config.loss.name = 'mean_squares'
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 1e-4
    config.batch_size = 1
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '1000 kimg'
    config.schedule = configs.section('schedule', 'step')
    config.schedule.at, config.schedule.factor = tuple(i / 10 for i in range(1, 10)), 0.5
    config.log_every, config.sample_every = '100 steps', '5000 steps'
    config.checkpoint_every = '5000 steps'
    config.samples = 48
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """Small images in larger batches, small networks, and patches that fit."""
    config.data.size = 16
    config.generator.width = config.discriminator.width = 16
    config.generator.blocks = 2
    config.discriminator.depth, config.discriminator.scales = 3, 2
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 5e-4
    config.batch_size = 16
    config.duration, config.sample_every, config.checkpoint_every = '1500 steps', '500 steps', '500 steps'
