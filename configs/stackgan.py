"""StackGAN, images from captions.

Zhang, Xu, Li, Zhang, Wang, Huang and Metaxas 2017, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked
Generative Adversarial Networks", https://arxiv.org/abs/1612.03242.

There are three phases. First a bidirectional LSTM learns to encode captions, from pairs of texts and images, by the
matching loss of AttnGAN (Xu et al. 2018, https://arxiv.org/abs/1711.10485); the paper uses a pretrained char-CNN-RNN.
Then the first stage makes images of 64x64 pixels from a sentence and noise. Last, with the first stage frozen, the
second stage makes images of 256x256 pixels from these and the sentence. The discriminators also reject real images with
wrong sentences. Rates are halved every 50 epochs in the first stage and every 100 in the second.

    python -m gan_jax.main --config stackgan                                     # captioned shapes, 16 and 32 pixels
    python -m gan_jax.main --config stackgan:captioned:/path/to/data             # images and captions.jsonl
    python -m gan_jax.main --config stackgan:captioned:/path/to/data,embeddings  # images and captions.npy
    python -m gan_jax.main --mode eval --workdir runs/stackgan-captioned_shapes --metrics caption_accuracy
    python -m gan_jax.main --mode sample --workdir runs/stackgan-captioned_shapes \
        --prompt "a red circle above a small blue square"

With embeddings of captions by your own text encoder the first phase is left out, and there are no prompts. The pictures
show a caption, the images of the first and the second stage, and the real image. `caption_accuracy` has the shares of
test captions whose attributes, and whose relation, an exact parser finds in the image, for combinations of colour and
shape as in training and for new ones.

The first stage has the published number of parameters. The published runs have not been made. After the first phase of
the default run, the most similar of the 64 sentences of a batch was the right one for 64 % of the training images.

The default run has R1 (weight 0.05) in place of the discriminators' batch normalisation, and learning rates of 1e-3.
Expect blobs in the first stage, and two shapes in the colours of the caption in the second one. Shapes and places are
often not those of the caption. After the 12,500 steps, twelve minutes on one CPU core, 8 +- 1 % of the pictures have
the two shapes of their caption in the right colours, and 48 +- 2 % the right relation; for new combinations of colour
and shape these are 1.8 +- 0.6 and 39 +- 2 % (one seed, 500 captions each). R-precision is 45 +- 2 %. With batch
normalisation, without R1, with the published rates and half the steps, 1.2 +- 0.5 % had their shapes and 13 +- 2 %
their relation.
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
    config.schedule = configs.section('schedule', 'step')
    config.schedule.at, config.schedule.factor = _parts(6), 0.5
    config.log_every, config.sample_every, config.checkpoint_every = '100 steps', '2000 steps', '2000 steps'
    config.samples = 40
    small = {'generator.stages': 1, 'discriminator.stages': 1, 'data.size': 64, 'schedule.at': _parts(12)}
    small['evaluate'] = ()  # images are too small for the parser
    texts = {**small, 'game.pretrain': True, 'generator_optimizer.learning_rate': 2e-3, 'duration': '100 epochs'}
    if not argument:
        _suit_the_shapes(config, small, texts)
    configs.grow(config, [*([] if kind == 'embeddings' else [texts]), small, {}])
    return config


def _suit_the_shapes(config: ConfigDict, small: dict[str, Any], texts: dict[str, Any]) -> None:
    """Images of 16 and 32 pixels, small networks, averages of their weights, and R1 in place of batch normalisation."""
    config.data.size, config.generator.factor = 32, 2
    config.generator.width, config.generator.depth, config.discriminator.width = 16, 2, 32
    config.batch_size = 32
    config.generator.codes = config.discriminator.codes = 64
    config.latents.size = 32 + config.generator.codes
    config.discriminator.normalization, config.penalties.r1.weight = 'none', 0.05
    config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 1e-3
    config.game.sentence_width, config.game.word_width, config.game.image_width = 128, 64, 16
    config.game.dropout = 0.1
    config.schedule.factor = 1.0
    config.ema.half_life_kimg = 5.0
    config.duration = '4000 steps'
    config.log_every, config.sample_every, config.checkpoint_every = '50 steps', '500 steps', '500 steps'
    config.evaluate, config.evaluate_every = ('caption_accuracy',), '2000 steps'
    config.evaluation.split, config.evaluation.samples = 'test', 1000
    small |= {'data.size': 16, 'duration': '8000 steps'}
    texts |= {'data.size': 16, 'duration': '500 steps', 'batch_size': 64}


def _parts(number: int) -> tuple[float, ...]:
    """The points that divide a run into so many equal parts."""
    return tuple(i / number for i in range(1, number))
