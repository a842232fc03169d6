"""Deep convolutional GAN.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", https://arxiv.org/abs/1511.06434.

Trains a generator of transposed convolutions against a discriminator of strided ones, with batch norm in both, Adam at
2e-4 with beta1 0.5, and the non-saturating loss. Shapes follow from the data; the published ones are reached through
`generator.widths`, `discriminator.widths` and `kernel_size`.

    python -m gan_jax.main --config configs/dcgan.py                  # scikit-learn's digits at 16x16
    python -m gan_jax.main --config configs/dcgan.py:fashion_mnist    # or mnist, cifar10, tf_flowers, folder:/path ...
    python -m gan_jax.main --config configs/dcgan.py:cifar10,debug    # twenty steps

Expect recognisable digits after about two minutes on two CPU cores, and clothes of several classes from fashion_mnist
after ten.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    if argument:
        config.data.name = argument
    else:
        config.data.size = 16  # the digits are 8x8
    config.loss.real_label = 0.9  # one-sided label smoothing (Salimans et al. 2016)
    config.duration = '1500 steps'
    return config
