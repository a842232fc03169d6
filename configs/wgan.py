"""Wasserstein GAN with clipped weights.

Arjovsky et al. 2017, "Wasserstein GAN", https://arxiv.org/abs/1701.07875, algorithm 1: five steps of the critic for
each of the generator, RMSProp at 5e-5, weights clipped to [-0.01, 0.01], the networks of DCGAN.

    python -m gan_jax.main --config wgan:fashion_mnist
    python -m gan_jax.main --config wgan                  # scikit-learn's digits at 16x16

Expect blurred outlines of clothes, and a critic's loss that falls as they improve: the method is slow, and the
paper trains a hundred times longer. With
`--config.generator.width=32 --config.discriminator.width=32`
the 2,500 steps take five to seven minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'wasserstein')
    config.discriminator_steps = 5
    for optimizer in ('generator_optimizer', 'discriminator_optimizer'):
        config[optimizer] = configs.section(optimizer, 'rmsprop')
    config.discriminator_optimizer.clip_weights = 0.01
    config.duration = '2500 steps'
    return config
