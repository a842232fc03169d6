"""BEGAN: an autoencoder as discriminator, kept in equilibrium with the generator.

Berthelot, Schumm and Metz 2017, "BEGAN: Boundary Equilibrium Generative Adversarial Networks",
https://arxiv.org/abs/1703.10717.

The discriminator reconstructs real images well and generated ones badly; the generator makes images that it
reconstructs well. A controller keeps the ratio of both errors at `loss.gamma`: lower values make better, less diverse
images. Latents are uniform, Adam's rate is 1e-4, and batches have 16 images. The paper halves the learning rate when
the convergence measure stalls; here it is halved four times over the run.

    python -m gan_jax.main --config began                  # scikit-learn's digits at 16x16
    python -m gan_jax.main --config began:fashion_mnist
    python -m gan_jax.main --config began:folder:/path/to/faces --config.data.size=64 --config.generator.width=128

The page shows the controller's `k` and the `convergence` measure of section 3.4.1, which falls during training.

Expect smooth, legible digits of few kinds from the default run of 2,500 steps, two minutes on two CPU cores, and a
convergence measure that falls from 0.2 to below 0.1. The default run has a higher learning rate, ratio and gain than
the paper; with the paper's, the generator fell behind in such a short run.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits)."""
    config = configs.base('began')
    configs.choose_data(config, argument)
    config.loss = configs.section('loss', 'equilibrium')
    config.latents.size, config.latents.distribution = 64, 'uniform'
    config.batch_size = 16
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate = 1e-4
    config.schedule = configs.section('schedule', 'step')
    config.schedule.at, config.schedule.factor = (0.2, 0.4, 0.6, 0.8), 0.5
    config.duration = '20000 steps'
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """1,500 images of 8x8 pixels: small networks, and a generator and a controller that follow quickly."""
    config.generator.width = config.discriminator.width = 16
    config.discriminator.code_size = config.latents.size = 16
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.learning_rate, optimizer.b1 = 1e-3, 0.5
    config.loss.gamma, config.loss.lambda_k = 0.7, 0.01
    config.duration = '2500 steps'
