"""MUNIT, translation between two domains with several outputs for one input.

Huang, Liu, Belongie and Kautz 2018, "Multimodal Unsupervised Image-to-Image Translation",
https://arxiv.org/abs/1804.04732.

An image has a content, which both domains share, and a style. A translation decodes the content with a style of the
other domain, which is drawn at random or taken from an example. Networks, weights and rates are those of the authors'
code for edges and photographs (`game.cycle=10` for photographs of streets and seasons), without the perceptual loss.

    python -m gan_jax.main --config munit                                          # grey digits in colours
    python -m gan_jax.main --config munit:unpaired:folder:/path/edges,folder:/path/shoes
    python -m gan_jax.main --config munit:classes:tf_flowers:tulips:roses
    python -m gan_jax.main --mode sample --workdir runs/munit --styles folder:/path/examples

Its pictures show an image of domain a, three translations with random styles, an image of domain b, the image of a in
the style of that of b, and a translation of the image of b. `diversity` is the mean absolute difference of two
translations of the same image.

Expect colours that follow the style after 300 steps, before shapes that follow the input. After the 3,000 steps, six
minutes on a share of two CPU cores, most translations are the digit of their input in the colour of their style or
example, some with a stroke more or less; `diversity` was 0.15 from step 2,500 on. experiments/multimodal has a table
of three seeds, with UNIT and CycleGAN: a classifier finds the digit of the input in 70 % of the translations of test
digits, where it recognises 91 % of true colourings.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the two domains named by `argument` (default: the embedded digits, in grey and in colours)."""
    config = configs.base('munit', game='munit')
    config.data.name = argument or 'unpaired:digits,coloured:digits'
    config.data.flip = bool(argument)
    config.game.decay = 1e-4
    config.loss.name = 'mean_squares'
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 1e-4
    config.batch_size = 1
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '1000 kimg'
    config.schedule = configs.section('schedule', 'step')
    config.schedule.at, config.schedule.factor = tuple(i / 10 for i in range(1, 10)), 0.5
    config.log_every, config.sample_every = '100 steps', '5000 steps'
    config.checkpoint_every = '5000 steps'
    config.evaluate, config.evaluate_every = ('diversity',), '50000 steps'
    config.evaluation.samples = 100
    config.samples = 49
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """Small images in larger batches, small networks, and patches that fit."""
    config.data.size = 16
    config.generator.width = config.discriminator.width = 16
    config.generator.blocks, config.generator.style_width = 2, 64
    config.discriminator.depth, config.discriminator.scales = 3, 2
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 5e-4
    config.batch_size = 16
    config.duration = '3000 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '500 steps'
