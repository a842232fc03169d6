"""Spectrally normalised GAN with residual networks.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957,
section 4 and appendix B: residual networks, spectral norm in every layer of the discriminator and batch norm in the
generator, the hinge loss, five steps of the discriminator, Adam at 2e-4 with beta1 0 and beta2 0.9, and a rate that
falls to 0 linearly.

    python -m gan_jax.main --config sngan_resnet:cifar10         # the published recipe
    python -m gan_jax.main --config sngan_resnet:small           # fashion_mnist, for a laptop
    python -m gan_jax.main --config sngan_resnet:cifar10,small
    python -m gan_jax.main --config sngan_resnet                 # scikit-learn's digits at 16x16

Expect FID 21.7 and Inception Score 8.22 on CIFAR-10 by the paper's protocol (5,000 samples, the best step). The authors
train 50,000 steps with 128 images in generator steps; batch size and 100,000 steps here are those of torch_mimicry,
which reports FID 16.8 and Inception Score 7.97 (50,000 samples against the training set). A step costs 2.8 TFLOP; the
run takes eight hours at 10 TFLOP/s.

For images of 64x64 and 128x128 the authors train 250,000 and 450,000 steps, and the rate falls after 200,000 and
400,000: `--config.duration='250000 steps' --config.schedule.begin=0.8 --config.discriminator.final_bias=True`.

`small` has networks of 32 channels, two steps of the discriminator and a constant rate; its 2,500 steps take about
eight minutes on two CPU cores, twelve on cifar10.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('resnet')
    is_small = configs.choose_small(config, argument)
    config.loss = configs.section('loss', 'hinge')
    config.latents.size = 128
    config.discriminator.final_bias = False  # of the published network for 32 pixels
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
