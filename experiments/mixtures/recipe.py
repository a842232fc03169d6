"""The GANs of two papers on mixtures of Gaussians, as a recipe.

    python -m gan_jax.main --config experiments/mixtures/recipe.py:pacgan,ring      # or pacgan,grid
    python -m gan_jax.main --config experiments/mixtures/recipe.py:unrolled,ring --config.unrolled_steps=10

See README.md for what is published, and what could not be compared with the papers.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = 'pacgan,ring') -> ConfigDict:
    """The recipe of a paper, 'pacgan' or 'unrolled', on a mixture."""
    paper, _, mixture = argument.partition(',')
    config = configs.base(f'experiments.mixtures.{paper}')
    config.data.name = mixture
    config.samples = 2000
    config.ema.half_life_kimg = 0.0
    config.generator_optimizer.learning_rate = 1e-4
    config.discriminator_optimizer.learning_rate = 1e-4
    config.evaluate = ('mixture',)
    config.evaluation.samples = 2500
    if paper == 'pacgan':
        config.batch_size = 100
        config.latents.size = 2
        config.play.name = 'simultaneous'
        config.generator_optimizer.b1 = 0.8
        config.discriminator_optimizer.b1 = 0.8
        _last(config, '400000 steps', '1000 steps')  # 400 epochs
    else:
        config.batch_size = 512
        config.latents.size = 256
        config.loss.name = 'experiments.mixtures.unrolled.zero_sum'
        _last(config, '12500 steps', '500 steps')  # 25,000 updates of both players together
    return config


def _last(config: ConfigDict, duration: str, every: str) -> None:
    config.duration = duration
    for key in ('evaluate_every', 'sample_every', 'checkpoint_every', 'log_every'):
        config[key] = every
