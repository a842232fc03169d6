"""Spectrally normalised GAN, with the convolutional networks of the paper's table 3.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957:
spectral norm in every layer of the discriminator, batch norm in the generator, Adam at 2e-4 with beta1 0.5 (the
paper's setting C), and the non-saturating loss, so it differs from configs/dcgan.py only in the networks. The
paper's CIFAR-10 figures are FID 29.3 and Inception Score 7.42 with this loss, 25.5 and 7.58 with the hinge, which is
`--config.loss.name=hinge`. Its residual networks are in configs/sngan_resnet.py.

    python -m gan_jax.main --config sngan:fashion_mnist
    python -m gan_jax.main --config sngan                  # scikit-learn's digits at 16x16

Expect sharp clothes of all kinds. With
`--config.generator.width=16 --config.discriminator.width=16`
the 2,500 steps take six minutes on two CPU cores; the full width is for a GPU.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('sngan')
    configs.choose_data(config, argument)
    config.latents.size = 128
    config.duration = '2500 steps'
    return config
