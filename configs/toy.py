"""Fully connected GAN on points in the plane, for visualisation.

The ring of 8 is that of Lin et al. 2018, "PacGAN", https://arxiv.org/abs/1712.04086, the grid of 25 that of
Srivastava et al. 2017, "VEEGAN", https://arxiv.org/abs/1705.07761.

    python -m gan_jax.main --config toy            # the ring
    python -m gan_jax.main --config toy:grid       # or spiral
    python -m gan_jax.main --config toy --config.evaluate=mixture --config.evaluate_every='1000 steps'  # counts modes

It trains in seconds. Expect the ring's eight modes with thin bridges between them, or fewer with an unlucky seed or
learning rate: these data are made to show mode collapse.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the mixture named by `argument`: ring (default), grid or spiral."""
    config = configs.base('mlp')
    config.data.name = argument or 'ring'
    config.batch_size = 256
    config.latents.size = 2
    config.generator.widths = (128, 128)
    config.generator.output = 'linear'
    config.discriminator.widths = (128, 128)
    config.generator_optimizer.learning_rate = 1e-3
    config.discriminator_optimizer.learning_rate = 1e-3
    config.duration = '6000 steps'
    config.log_every = '200 steps'
    config.sample_every = '200 steps'  # a frame of lab.html each
    config.checkpoint_every = '1000 steps'
    config.samples = 2000
    return config
