"""Wasserstein GAN with gradient penalty and residual networks.

Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", https://arxiv.org/abs/1704.00028, appendix F: residual
networks with batch norm in the generator and no normalisation in the critic, which takes the mean over space; penalty
of weight 10, five steps of the critic, Adam at 2e-4 with beta1 0 and beta2 0.9, and a rate that falls linearly to 0.
`--config.discriminator.normalization=layer` is the layer norm that the paper recommends for critics.

    python -m gan_jax.main --config wgan_gp_resnet:cifar10         # the published recipe
    python -m gan_jax.main --config wgan_gp_resnet:small           # fashion_mnist, for a laptop
    python -m gan_jax.main --config wgan_gp_resnet:cifar10,small
    python -m gan_jax.main --config wgan_gp_resnet                 # scikit-learn's digits at 16x16

Expect Inception Score 7.86 on CIFAR-10 after 100,000 steps, and FID of about 29 by the protocol of SNGAN's paper. A
step costs 2.6 TFLOP; the run takes seven hours at 10 TFLOP/s. The authors' generator learns from 128 images per step
and samples with batch statistics; here it learns from 64 and samples with running averages. Their class-conditional
networks (Inception Score 8.42) are `--config.generator.conditioning=normalization
--config.discriminator.conditioning=auxiliary --config.auxiliary.generator_weight=0.1`.

`small` has networks of 32 channels, two steps of the critic and a constant rate; its 2,500 steps take about
ten minutes on two CPU cores, fifteen on cifar10.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('resnet')
    is_small = configs.choose_small(config, argument)
    config.loss = configs.section('loss', 'wasserstein')
    config.penalties.gradient_penalty.weight = 10.0
    config.latents.size = 128
    config.generator.width = 128
    config.discriminator.normalization, config.discriminator.pooling = 'none', 'mean'
    config.discriminator_steps = 5
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-4, 0.0, 0.9
    config.duration = '100000 steps'
    if is_small:
        config.generator.width = config.discriminator.width = 32
        config.discriminator_steps = 2
        config.duration = '2500 steps'
    else:
        config.schedule = configs.section('schedule', 'linear')
        config.ema.half_life_kimg = 0.0  # the published samples are of the last weights
    return config
