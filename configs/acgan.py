"""Auxiliary classifier GAN.

Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", https://arxiv.org/abs/1610.09585: the
discriminator also classifies real and fake images; the networks are those of DCGAN with dropout 0.5.

    python -m gan_jax.main --config acgan:fashion_mnist
    python -m gan_jax.main --config acgan                  # scikit-learn's digits at 16x16

Expect a grid whose rows are the ten classes, clear but with little variation within a row, a known weakness; sandals
are the weakest class. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take three to four minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.generator.conditioning = 'concatenate'
    config.discriminator.conditioning = 'auxiliary'
    config.discriminator.dropout = 0.5
    config.samples = 100
    config.duration = '3000 steps'
    return config
