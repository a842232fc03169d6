"""DRAGAN: a gradient penalty around the data.

Kodali et al. 2017, "On Convergence and Stability of GANs", https://arxiv.org/abs/1705.07215: the usual loss with a
gradient penalty of weight 10 at noisy real examples, and the networks of DCGAN, with layer norm in the discriminator.

    python -m gan_jax.main --config dragan:fashion_mnist
    python -m gan_jax.main --config dragan                  # scikit-learn's digits at 16x16

Expect clothes of all kinds, dark ones among them, with a few unfinished ones. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take three to four minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.penalties.dragan.weight = 10.0
    config.discriminator.normalization = 'layer'
    config.duration = '3000 steps'
    return config
