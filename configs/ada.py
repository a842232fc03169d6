"""Adaptive discriminator augmentation, for small data sets.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", https://arxiv.org/abs/2006.06676: all
inputs of the discriminator are transformed with a probability that rises while the discriminator overfits. Loss and
R1 penalty are those of StyleGAN2, the networks of DCGAN without normalisation in the discriminator. The probability
adapts ten times as fast as in the paper, because the run is shorter, and geometry is sampled bilinearly.

    python -m gan_jax.main --config ada:fashion_mnist --config.data.split='train[:1000]'
    python -m gan_jax.main --config ada                  # scikit-learn's digits at 16x16

Expect rough clothes of most kinds. In a run of this length the discriminator of 1,000 images does not overfit: the
probability (`discriminator/augmentation` in the metrics) rises to 0.1 at the start and falls back to 0. With
`--config.generator.width=32 --config.discriminator.width=32`
the 3,000 steps take four minutes on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('dcgan')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'logistic')
    config.penalties.r1.weight = 0.01
    config.discriminator.normalization = 'none'
    config.discriminator.initializer = 'he'
    config.augment = configs.section('augment', 'ada')
    config.augment.adjust_kimg, config.augment.resampling = 50.0, 'bilinear'
    config.duration = '3000 steps'
    return config
