"""DP-GAN: a differentially private generator of digits.

Xie, Lin, Wang, Wang and Zhou 2018, "Differentially Private Generative Adversarial Network",
https://arxiv.org/abs/1802.06739, with the training of Bie, Kamath and Zhang 2023, "Private GANs, Revisited",
https://arxiv.org/abs/2302.02936: many noisy steps of the discriminator for each of the generator.

The gradient of each example is clipped and the sum gets Gaussian noise, so that weights and samples are private, with
epsilon 10 and delta 1e-5 for the complete run. docs/privacy.md says what that covers and what it does not. It needs
`pip install 'gan_jax[privacy]'`.

    python -m gan_jax.main --config dpgan           # scikit-learn's digits at 8x8
    python -m gan_jax.main --config dpgan:mnist --config.game.epsilon=3
    python -m gan_jax.main --config dpgan --config.game.epsilon=0    # without noise: clipped, and not private

`classification_accuracy` is that of a classifier trained on samples, `membership` the area under the ROC curve of an
attack on the discriminator. Bie et al. have an accuracy of 0.95 for MNIST at epsilon 10, with convolutional networks
and longer training, which has not been repeated.

Expect vague shapes that hardly depend on the class, after two to three minutes on two busy CPU cores: the accuracy was
0.26 and the attack had an area of 0.56; without noise they were 0.85 and 0.63 (one run each, in batches of 128 places).
1,500 images are few for privacy: they need a noise multiplier of 1.4, MNIST one of 0.5.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('mlp', game='dpgan')
    config.game.epsilon, config.game.delta, config.game.microbatch = 10.0, 1e-5, 64
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'planes'
    config.generator.normalization = 'batch'
    config.generator.widths, config.discriminator.widths = (256, 256), (256, 128)
    config.latents.size = 32
    config.discriminator_steps = 5
    config.batch_size = 512  # places, half of which are padding
    config.duration = '600 steps'
    config.samples = 100
    config.evaluate, config.evaluate_every = ('classification_accuracy', 'membership'), '600 steps'
    config.evaluation.split = 'test'
    config.ema.half_life_kimg = 5.0
    if argument:
        config.data.name = argument
    else:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels."""
    config.batch_size, config.game.filling = 192, 1 / 3
    config.evaluation.samples = 2000
