"""pix2pix, image-to-image translation from pairs.

Isola, Zhu, Zhou and Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks",
https://arxiv.org/abs/1611.07004.

A U-Net translates an image against a discriminator of its patches, with 100 times the mean absolute difference from the
target in addition to the adversarial loss. Dropout is the only noise, and stays on in sampling. The published batch is
one image, with batch normalisation by its own statistics, in sampling too; with larger batches, samples use running
averages. Larger images and `generator.family=cyclegan` (a residual network) are possible.

    python -m gan_jax.main --config pix2pix                        # digits from their edges, at 32x32
    python -m gan_jax.main --config pix2pix:edges:tf_flowers       # flowers from their edges
    python -m gan_jax.main --config pix2pix:grey:cifar10           # colours for grey images
    python -m gan_jax.main --config pix2pix:paired:/path/to/pairs  # side by side, or in two folders

Its pictures show input, output and target of some training examples. `--config.evaluate=l1,psnr,ssim,edge_f1` compares
the outputs with the targets, of `--config.evaluation.split` if it is given. `--config.game.adversary=0` leaves only L1.

Expect outputs that follow their inputs after some hundred steps, and textures later.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the pairs named by `argument` (default: the embedded digits and their edges)."""
    config = configs.base('pix2pix', game='pix2pix')
    config.data.name = argument or 'edges:digits'
    config.data.flip = bool(argument)
    config.generator.normalization = config.discriminator.normalization = 'batch'
    config.batch_size = 1
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '80 kimg'  # 200 epochs of 400 pairs, as for facades
    config.schedule = configs.section('schedule', 'linear')
    config.schedule.begin = 0.5
    config.log_every, config.sample_every = '100 steps', '2000 steps'
    config.checkpoint_every = '2000 steps'
    config.samples = 48
    if not argument:
        _suit_the_digits(config)
    return config


def _suit_the_digits(config: ConfigDict) -> None:
    """Small images in larger batches, small networks, and patches that fit."""
    config.data.size = 32
    config.generator.width = config.discriminator.width = 16
    config.discriminator.receptive_field = 16
    config.batch_size = 16
    config.duration, config.sample_every, config.checkpoint_every = '1500 steps', '500 steps', '500 steps'
