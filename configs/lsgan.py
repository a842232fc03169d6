"""Least squares GAN.

Mao et al. 2017, "Least Squares Generative Adversarial Networks", https://arxiv.org/abs/1611.04076, with the labels 0
and 1 of its equation 9 and the networks of DCGAN.

    python -m gan_jax.main --config lsgan:fashion_mnist
    python -m gan_jax.main --config lsgan                  # scikit-learn's digits at 16x16

Expect clothes of most kinds, some of them mixtures of two. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take two minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'least_squares')
    config.duration = '3000 steps'
    return config
