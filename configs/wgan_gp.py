"""Wasserstein GAN with gradient penalty.

Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", https://arxiv.org/abs/1704.00028, algorithm 1: five
steps of the critic for each of the generator, penalty of weight 10 on interpolates, Adam at 1e-4 with beta1 0 and beta2
0.9. The critic has layer norm instead of batch norm, because the penalty applies to single examples, which batch norm
mixes.

    python -m gan_jax.main --config wgan_gp:fashion_mnist
    python -m gan_jax.main --config wgan_gp                  # scikit-learn's digits at 16x16

Expect recognisable clothes with hard greys after these 1,500 steps; the paper trains a hundred times longer. With
`--config.generator.width=32 --config.discriminator.width=32`
they take four minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'wasserstein')
    config.penalties.gradient_penalty.weight = 10.0
    config.discriminator.normalization = 'layer'
    config.discriminator_steps = 5
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 1e-4, 0.0, 0.9
    config.duration = '1500 steps'
    return config
