"""Conditional GAN.

Mirza and Osindero 2014, "Conditional Generative Adversarial Nets", https://arxiv.org/abs/1411.1784, on the networks of
DCGAN: an embedding of the class (dimension 50) is concatenated to the latents, and one-hot planes to the images of
the discriminator. `--config.discriminator.conditioning=concatenate` concatenates an embedding to its last features
instead, which learns the classes more slowly.

    python -m gan_jax.main --config cgan:fashion_mnist
    python -m gan_jax.main --config cgan                  # scikit-learn's digits at 16x16

Expect a grid whose rows are the ten classes and whose columns share a style; sandals are the weakest. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take three to five minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.generator.conditioning = 'concatenate'
    config.discriminator.conditioning = 'planes'
    config.loss.real_label = 0.9  # one-sided label smoothing (Salimans et al. 2016)
    config.samples = 100
    config.duration = '3000 steps'
    return config
