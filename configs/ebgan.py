"""EBGAN: an autoencoder as discriminator, whose reconstruction error is an energy.

Zhao, Mathieu and LeCun 2017, "Energy-based Generative Adversarial Networks", https://arxiv.org/abs/1609.03126.

The discriminator gives real images low energies and generated ones energies of at least a margin. The pulling-away term
(weight 0.1) keeps the codes of generated images apart: EBGAN-PT. The margin depends on the image size, because the
energy is a sum over all values: the paper has 20 for faces and 80 for bedrooms at 64x64.

    python -m gan_jax.main --config ebgan                  # scikit-learn's digits at 16x16
    python -m gan_jax.main --config ebgan:fashion_mnist
    python -m gan_jax.main --config ebgan:folder:/path/to/faces --config.data.size=64 --config.loss.margin=20

Expect legible digits of all kinds from the default run of 3,000 steps, two minutes on two CPU cores; a few are
incomplete.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('ebgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'margin')
    config.penalties.pulling_away.weight = 0.1
    config.duration = '3000 steps'
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels: small networks and latents, a smaller margin."""
    config.latents.size = 32
    config.generator.width = config.discriminator.width = 32
    config.loss.margin = 5.0
