"""Self-attention GAN.

Zhang et al. 2019, "Self-Attention Generative Adversarial Networks", https://arxiv.org/abs/1805.08318: residual networks
with self-attention and spectral norm in both players, the class by conditional batch norm and projection, the hinge
loss, one step of the discriminator at a rate of 4e-4 for each of the generator at 1e-4, Adam with beta1 0 and beta2
0.9.

    python -m gan_jax.main --config sagan:imagenet2012 --config.data.size=128    # the published recipe
    python -m gan_jax.main --config sagan:small                 # fashion_mnist, for a laptop
    python -m gan_jax.main --config sagan:cifar10,small
    python -m gan_jax.main --config sagan                       # scikit-learn's digits at 16x16

Attention is at 32x32 for larger images, and at half the image size otherwise; `generator.attention` and
`discriminator.attention` move it. Expect FID 18.65 and Inception Score 52.5 on ImageNet at 128x128 after a million
steps of 256 images, of 34 TFLOP each: four days at 100 TFLOP/s. The authors' code updates the spectral vectors for real
images only; here they are updated for fake ones as well.

`small` has networks of 32 channels and batches of 64; its 2,500 steps take about eight minutes on two CPU cores, twelve
on cifar10.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for what `argument` names: a data set, 'small', or both with a comma (default: the digits)."""
    config = configs.base('sagan')
    is_small = configs.choose_small(config, argument)
    config.generator.conditioning = 'normalization'
    config.discriminator.conditioning = 'projection'
    config.loss = configs.section('loss', 'hinge')
    config.latents.size = 128
    for optimizer, rate in ((config.generator_optimizer, 1e-4), (config.discriminator_optimizer, 4e-4)):
        optimizer.learning_rate, optimizer.b1, optimizer.b2 = rate, 0.0, 0.9
    config.samples = 100
    config.batch_size = 256
    config.duration = '1000000 steps'
    if is_small:
        config.generator.width = config.discriminator.width = 32
        config.batch_size = 64
        config.duration = '2500 steps'
    else:
        config.generator.momentum = 0.999
        config.ema.half_life_kimg = 0.0  # the published samples are of the last weights
    return config
