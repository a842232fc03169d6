"""AttnGAN, images from captions with attention to words.

Xu, Zhang, Huang, Zhang, Gan, Huang and He 2018, "AttnGAN: Fine-Grained Text to Image Generation with Attentional
Generative Adversarial Networks", https://arxiv.org/abs/1711.10485.

There are two phases. In the first, a bidirectional LSTM and an image encoder learn which texts and images match, by
words and regions and as wholes (DAMSM). In the second, three branches of one generator make images of 64, 128 and 256
pixels. The first branch sees the sentence; the others attend to the words at every pixel. Each size has a
discriminator, which also rejects real images with wrong sentences. The frozen encoders of the first phase give a loss
that makes the last images match their captions. Widths, rates and weights are those of the authors' code for birds.

    python -m gan_jax.main --config attngan                              # captioned shapes, 16 and 32 pixels
    python -m gan_jax.main --config attngan:captioned:/path/to/data      # images and captions.jsonl
    python -m gan_jax.main --mode eval --workdir runs/attngan-captioned_shapes --metrics caption_accuracy,r_precision
    python -m gan_jax.main --mode sample --workdir runs/attngan-captioned_shapes \
        --prompt "a red circle above a small blue square"

The data need sentences; embeddings of captions have no words to attend to. The pictures show a caption, the attention
map of the last branch for each word, row by row, the image of each branch, and the real image. `caption_accuracy` is as
in the config stackgan, and `r_precision` is the share of images whose own caption is the most similar of 100.

The networks have the published layers. The published runs have not been made. After the first phase of the default run,
the most similar of the 32 sentences of a batch was the right one for 86 % of the training images.

The default run has R1 (weight 0.05) in place of the discriminators' batch normalisation, and learning rates of 1e-3.
Expect two shapes in the colours of the caption. Triangles are recognisable first, then circles and squares, crosses
rarely; left and right, or above and below, are often exchanged. After the 5,500 steps, twenty minutes on one CPU core,
18 +- 2 % of the pictures have the two shapes of their caption in the right colours, and 44 +- 2 % the right relation;
for new combinations of colour and shape these are 8 +- 1 and 53 +- 2 % (one seed, 500 captions each). R-precision is
70 +- 1 %, of the real images 61 %: the generator learns from a similar score. With batch normalisation, without R1 and
with the published rates, 3.0 +- 0.8 % had their shapes and 27 +- 2 % their relation.
"""

from typing import Any

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data of the argument (default: captioned shapes)."""
    config = configs.base('attngan', game='attngan')
    config.data.name, config.data.size = argument or 'captioned_shapes', 256
    config.latents.size = 100 + config.generator.codes
    config.batch_size = 20
    config.ema.half_life_kimg, config.ema.ramp_up = 13.9, 0.0  # a decay of 0.999 for each step
    config.fresh_optimizers = True
    config.duration = '600 epochs'
    config.log_every, config.sample_every, config.checkpoint_every = '100 steps', '2000 steps', '2000 steps'
    config.samples = 40
    texts = {
        'game.pretrain': True,
        'data.size': config.game.image_side,
        'generator.branches': 1,
        'batch_size': 48,
        'generator_optimizer.learning_rate': 2e-3,
        'generator_optimizer.clip_norm': 0.25,
        'evaluate': (),
    }
    if not argument:
        _suit_the_shapes(config, texts)
    configs.grow(config, [texts, {}])
    return config


def _suit_the_shapes(config: ConfigDict, texts: dict[str, Any]) -> None:
    """Images of 16 and 32 pixels, small networks, and R1 in place of the discriminators' batch normalisation."""
    config.data.size = 32
    config.generator.branches = config.discriminator.branches = 2
    config.generator.width, config.generator.codes, config.discriminator.width = 16, 64, 32
    config.latents.size = 32 + config.generator.codes
    config.discriminator.normalization, config.penalties.r1.weight = 'none', 0.05
    config.generator_optimizer.learning_rate = config.discriminator_optimizer.learning_rate = 1e-3
    config.game.sentence_width, config.game.word_width, config.game.image_width = 64, 64, 16
    config.game.dropout = 0.1
    config.game.matching = 0.5  # the small encoders are easily satisfied by textures
    config.batch_size = 32
    config.ema.half_life_kimg = 5.0
    config.duration = '4000 steps'
    config.log_every, config.sample_every, config.checkpoint_every = '50 steps', '500 steps', '500 steps'
    config.evaluate, config.evaluate_every = ('caption_accuracy',), '2000 steps'
    config.evaluation.split, config.evaluation.samples = 'test', 1000
    texts |= {'data.size': 32, 'generator.branches': 2, 'batch_size': 32, 'duration': '1500 steps'}
