"""CycleGAN, image-to-image translation without pairs.

Zhu, Park, Isola and Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
https://arxiv.org/abs/1703.10593.

Two residual networks translate between two domains, each against a discriminator of patches of its target domain, with
mean squares as losses. An image that is translated and translated back should be the original image (weight 10). Each
discriminator has a replay buffer of 50 translations. `game.identity=0.5` preserves colours, as published for paintings.

    python -m gan_jax.main --config cyclegan                                 # threes to eights
    python -m gan_jax.main --config cyclegan:classes:tf_flowers:tulips:roses
    python -m gan_jax.main --config cyclegan:unpaired:folder:/path/horses,folder:/path/zebras

Its pictures show an image of each domain, its translation, and its reconstruction.

Expect translations that keep the pose of their input; colours and textures change before shapes do.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for the two domains named by `argument` (default: two classes of the embedded digits)."""
    config = configs.base('cyclegan', game='cyclegan')
    config.data.name = argument or 'classes:digits:3:8'
    config.data.flip = bool(argument)
    config.loss.name = 'mean_squares'
    config.replay = 50
    config.batch_size = 1
    config.ema.half_life_kimg = 0.0  # as published
    config.duration = '200 kimg'  # 200 epochs of about 1,000 images in each domain
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
    config.generator.blocks = 3
    config.discriminator.receptive_field = 16
    config.batch_size = 8
    config.duration, config.sample_every, config.checkpoint_every = '1500 steps', '500 steps', '500 steps'
