"""Deep convolutional GAN.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", https://arxiv.org/abs/1511.06434.

The generator consists of transposed convolutions, the discriminator of strided ones, with batch norm in both, Adam at
2e-4 with beta1 0.5, and the non-saturating loss. Shapes are taken from the data; the published ones are set by
`generator.widths`, `discriminator.widths`, `kernel_size` and `discriminator.final`.

    python -m gan_jax.main --config dcgan                  # scikit-learn's digits at 16x16
    python -m gan_jax.main --config dcgan:fashion_mnist    # or mnist, cifar10, tf_flowers, folder:/path ...
    python -m gan_jax.main --config dcgan:cifar10,debug    # twenty steps

Expect recognisable digits after about two minutes on two CPU cores, and clothes of several classes from fashion_mnist
after ten.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    config.loss.real_label = 0.9  # one-sided label smoothing (Salimans et al. 2016)
    config.duration = '2500 steps'
    configs.choose_data(config, argument)
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """For 1,500 images of 8x8 pixels: a weaker discriminator, a small latent space, larger kernels."""
    config.latents.size = 32
    config.generator.kernel_size = 5
    config.discriminator.dropout = 0.3
    config.discriminator_optimizer.learning_rate = 1e-4
    config.generator_optimizer.learning_rate = 4e-4
    config.duration = '2000 steps'
