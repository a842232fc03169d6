"""Geometric GAN: the hinge loss.

Lim and Ye 2017, "Geometric GAN", https://arxiv.org/abs/1705.02894, with the networks of DCGAN.

    python -m gan_jax.main --config hinge:fashion_mnist
    python -m gan_jax.main --config hinge                  # scikit-learn's digits at 16x16

Expect clothes of all kinds, with a few unfinished ones. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take two minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'hinge')
    config.duration = '3000 steps'
    return config
