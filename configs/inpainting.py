"""The context encoder, which fills a hole in an image.

Pathak, Krähenbühl, Donahue, Darrell and Efros 2016, "Context Encoders: Feature Learning by Inpainting",
https://arxiv.org/abs/1604.07379.

The generator encodes an image with a grey square in its middle, half as high and wide, and decodes the contents of the
square. Its loss is 0.999 times the squared error, with a weight of ten in a border that the input also shows, plus
0.001 times the loss against a discriminator of the contents. It learns ten times as fast as the discriminator.

    python -m gan_jax.main --config inpainting                        # the embedded digits, at 32x32
    python -m gan_jax.main --config inpainting:tf_flowers             # at 128x128, as published
    python -m gan_jax.main --config inpainting:folder:/path/to/images
    python -m gan_jax.main --mode sample --workdir runs/inpainting-digits --inputs folder:/path/to/images

`generator.bottleneck=4000` is the single pixel of the authors' code instead of the channel-wise fully connected layer
of the paper; `game.random=True` puts the squares anywhere. The pictures show an image with a hole, the output and the
image itself. `hole_l1` and `hole_psnr` are errors in the hole.

Expect smooth contents of the right colours; the squared error leaves little texture. On the digits of the test split
`hole_l1` is 0.0615 +- 0.0005 and `hole_psnr` 22.4 +- 0.1 (mean and deviation of three seeds; half a minute each on one
core of a laptop); filling with the mean colour gives 0.387 and 7.4. The squared error alone (`game.adversary=0`) gives
0.0614 +- 0.0023 and 22.5 +- 0.3: on these digits the adversary changes nothing that the errors show. The paper's
figures on Paris StreetView cannot be compared with these.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the images named by `argument` (default: the embedded digits)."""
    config = configs.base('inpainting', game='inpainting')
    config.data.name = argument or 'digits'
    config.data.size = 128
    config.data.flip = bool(argument)
    config.generator_optimizer.learning_rate = 2e-3
    config.discriminator_optimizer.learning_rate = 2e-4
    for role in ('generator', 'discriminator'):
        config[f'{role}_optimizer'].b1 = 0.5
    config.batch_size = 64
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '500 epochs'
    config.log_every, config.sample_every = '100 steps', '2000 steps'
    config.checkpoint_every = config.evaluate_every = '2000 steps'
    config.evaluate, config.evaluation.samples = ('hole',), 1000
    config.samples = 48
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """Small images and networks, errors of the test split."""
    config.data.size = 32
    config.game.overlap = 2
    config.generator.width = config.discriminator.width = 16
    config.batch_size = 32
    config.evaluation.split = 'test'
    config.duration = '2000 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '500 steps'
