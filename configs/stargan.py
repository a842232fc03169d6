"""StarGAN, translation between several domains by one generator.

Choi, Choi, Kim, Ha, Kim and Choo 2018, "StarGAN: Unified Generative Adversarial Networks for Multi-Domain
Image-to-Image Translation", https://arxiv.org/abs/1711.09020.

The generator gets the domain of its output, a class of the data. The discriminator has a Wasserstein logit for each
patch and classifies the domain. A translation should be classified as its target domain, and the translation back
should be the original image (weight 10). Networks, gradient penalty, five steps of the discriminator and rates are
those of the authors' code for faces of 128x128 pixels.

With two data sets of different classes (section 3.2), the generator gets the labels of the first set, those of the
second, and a mask that says which set's labels are given; the others are zeros. An image is classified among the
classes of its own set. The two sets alternate within each batch; in the paper, they alternate between batches.

    python -m gan_jax.main --config stargan                   # digits in six colours
    python -m gan_jax.main --config stargan:tf_flowers
    python -m gan_jax.main --config stargan:folder:/path/faces   # a sub-directory for each domain
    python -m gan_jax.main --config stargan:unpaired:six_colours:digits,coloured:digits   # six colours and ten digits
    python -m gan_jax.main --config stargan:unpaired:folder:/path/hair,folder:/path/expressions

Its pictures show an image and its translation into each domain of each set. `class_error` is the discriminator's error
in classifying the domains of real images. `--mode eval --metrics target_accuracy --extractor classifier:NAME` is the
share of translations that a classifier assigns to the target domain. With two sets, both metrics take the images and
the domains of the second; pictures of `--mode sample` without `--inputs` show images of both.

Expect digits that keep their shape and take each of the six colours after the 1,000 steps, a minute on two CPU cores
(one seed, looked at; the discriminator's `class_error` is 0). The two sets of digits take five minutes on a busy core.
By then translations have each colour and show each digit. The shape of the input is only partly kept when its colour
changes, and its colour is not kept when its digit changes (one seed, looked at; the `class_error` of digits is 0.001).
"""

from ml_collections import ConfigDict

from gan_jax import config as configs

_TWO_SETS = 'unpaired:six_colours:digits,coloured:digits'  # labelled by colour, and by digit


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the data set named by `argument` (default: the embedded digits in six colours)."""
    config = configs.base('stargan', game='stargan')
    config.data.name = argument or 'six_colours:digits'
    config.data.size, config.data.flip = 128, True
    config.loss.name = 'wasserstein'
    config.penalties.gradient_penalty.weight = 10.0
    config.discriminator_steps = 5
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 1e-4
    config.batch_size = 16
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '40000 steps'  # 200,000 of the discriminator
    config.schedule = configs.section('schedule', 'linear')
    config.schedule.begin = 0.5
    config.log_every, config.sample_every, config.checkpoint_every = '100 steps', '1000 steps', '1000 steps'
    config.evaluate, config.evaluate_every = ('class_error',), '5000 steps'
    config.samples = 49
    if argument in ('', _TWO_SETS):
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """Small images, small networks, and a few minutes."""
    config.data.size, config.data.flip = 16, False
    config.generator.width = config.discriminator.width = 16
    config.generator.blocks = 2
    config.discriminator.depth = 3
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].learning_rate = 5e-4
    config.duration = '1000 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '250 steps'
