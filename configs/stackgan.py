"""StackGAN, images from captions.

Zhang, Xu, Li, Zhang, Wang, Huang and Metaxas 2017, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked
Generative Adversarial Networks", https://arxiv.org/abs/1612.03242.
"""

from typing import Any

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA' or 'DATA,embeddings' (default: captioned shapes)."""
    name, _, kind = argument.partition(',')
    config = configs.base('stackgan', game='stackgan')
    config.data.name, config.data.size = name or 'captioned_shapes', 256
    config.generator.stages = config.discriminator.stages = 2
    config.latents.size = 100 + config.generator.codes
    config.batch_size = 64
    config.ema.half_life_kimg = 0.0  # as published
    config.fresh_optimizers = True
    config.duration = '600 epochs'
    config.schedule = configs.section('schedule', 'exponential')
    config.log_every, config.sample_every, config.checkpoint_every = '100 steps', '2000 steps', '2000 steps'
    config.samples = 40
    small = {'generator.stages': 1, 'discriminator.stages': 1, 'data.size': 64, 'evaluate': ()}
    texts = {**small, 'game.pretrain': True, 'generator_optimizer.learning_rate': 2e-3, 'duration': '100 epochs'}
    if not argument:
        _suit_the_shapes(config, small, texts)
    configs.grow(config, [*([] if kind == 'embeddings' else [texts]), small, {}])
    return config


def _suit_the_shapes(config: ConfigDict, small: dict[str, Any], texts: dict[str, Any]) -> None:
    """Images of 16 and 32 pixels, small networks, and averages of their weights."""
    config.data.size, config.generator.factor = 32, 2
    config.generator.width, config.generator.depth, config.discriminator.width = 32, 2, 32
    config.generator.codes = config.discriminator.codes = 64
    config.latents.size = 32 + config.generator.codes
    config.game.sentence_width, config.game.word_width, config.game.image_width = 128, 64, 16
    config.game.dropout = 0.1
    config.schedule = configs.section('schedule', 'constant')
    config.ema.half_life_kimg = 5.0
    config.duration = '2000 steps'
    config.log_every, config.sample_every, config.checkpoint_every = '50 steps', '500 steps', '500 steps'
    config.evaluate, config.evaluate_every = ('caption_accuracy',), '2000 steps'
    config.evaluation.split, config.evaluation.samples = 'test', 1000
    small |= {'data.size': 16, 'duration': '4000 steps'}
    texts |= {'data.size': 16, 'duration': '500 steps'}
