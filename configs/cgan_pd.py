"""Projection discriminator with residual networks (cGAN-PD).

Miyato and Koyama 2018, "cGANs with Projection Discriminator", https://arxiv.org/abs/1802.05637: the class enters the
discriminator as an inner product with its features and the generator by conditional batch norm. Networks, loss and
optimisers are those of configs/sngan_resnet.py; configs/projection.py has small networks without residuals.

    python -m gan_jax.main --config cgan_pd:cifar10         # the published recipe
    python -m gan_jax.main --config cgan_pd:small           # fashion_mnist, for a laptop
    python -m gan_jax.main --config cgan_pd:cifar10,small
    python -m gan_jax.main --config cgan_pd                 # scikit-learn's digits at 16x16

Expect FID 17.5 and Inception Score 8.62 on CIFAR-10 by the authors' protocol (5,000 samples); torch_mimicry, whose
batch and 100,000 steps these are, reports FID 10.8 and Inception Score 8.25 (50,000 samples against the training set).
A step costs 2.8 TFLOP; the run takes eight hours at 10 TFLOP/s. On ImageNet at 128x128 the paper trains 450,000 steps,
the rate falls after 400,000 (`--config.duration='450000 steps' --config.schedule.begin=0.889`), and the Inception Score
is 29.7. Fake examples have the classes of the real examples of the batch; the authors draw them uniformly, which is the
same for balanced data.

`small` has networks of 32 channels, two steps of the discriminator and a constant rate; its 2,500 steps take about
eight minutes on two CPU cores, twelve on cifar10.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('resnet')
    is_small = configs.choose_small(config, argument)
    config.generator.conditioning = 'normalization'
    config.discriminator.conditioning = 'projection'
    config.loss = configs.section('loss', 'hinge')
    config.latents.size = 128
    config.discriminator.final_bias = False  # of the published network for 32 pixels
    config.discriminator_steps = 5
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = 2e-4, 0.0, 0.9
    config.samples = 100
    config.duration = '100000 steps'
    if is_small:
        config.generator.width = config.discriminator.width = 32
        config.discriminator_steps = 2
        config.duration = '2500 steps'
    else:
        config.schedule = configs.section('schedule', 'linear')
        config.ema.half_life_kimg = 0.0  # the published samples are of the last weights
    return config
