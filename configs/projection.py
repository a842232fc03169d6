"""Projection discriminator.

Miyato and Koyama 2018, "cGANs with Projection Discriminator", https://arxiv.org/abs/1802.05637: the class enters the
discriminator as an inner product with its features and the generator by conditional batch norm. The networks are the
convolutional ones of the SNGAN paper, the loss is the hinge.

    python -m gan_jax.main --config projection:fashion_mnist
    python -m gan_jax.main --config projection                  # scikit-learn's digits at 16x16

Expect a grid whose rows are the ten classes, sharp and varied. With
`--config.generator.width=16 --config.discriminator.width=16`
the 2,500 steps take six minutes on two CPU cores; the full width is for a GPU.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('sngan')
    configs.choose_data(config, argument)
    config.generator.conditioning = 'normalization'
    config.discriminator.conditioning = 'projection'
    config.loss = configs.section('loss', 'hinge')
    config.latents.size = 128
    config.samples = 100
    config.duration = '2500 steps'
    return config
