"""MoCoGAN: clips of a content and a motion, with an image and a video discriminator.

Tulyakov, Liu, Yang and Kautz 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation",
https://arxiv.org/abs/1707.04993.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'motions' at the published size of frames, or '' for a laptop."""
    config = configs.base('mocogan', game='mocogan')
    config.data.name = argument or 'motions'
    config.latents.size = 50 + 17 * config.generator.motion_size  # content; motion before and in each of 16 frames
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'auxiliary'
    config.batch_size, config.samples = 32, 24
    if argument:
        config.data.size, config.duration = 64, '100000 steps'
        return config
    config.data.size, config.batch_size = 32, 16
    config.generator.width = config.discriminator.width = 16
    config.duration = '4000 steps'
    return config
