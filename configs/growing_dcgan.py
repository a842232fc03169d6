"""A deep convolutional GAN that grows from 8x8 images to those of the data.

The networks of Radford, Metz and Chintala 2016, https://arxiv.org/abs/1511.06434, as in configs/dcgan.py, grown as
in Karras et al. 2018, https://arxiv.org/abs/1710.10196: each level doubles the size, its layers fade in over
the first half of the level, and so do the details of the real images. Batch norm, loss and Adam at 2e-4 with beta1 0.5
are those of DCGAN.

    python -m gan_jax.main --config growing_dcgan                  # scikit-learn's digits, 8x8 and 16x16
    python -m gan_jax.main --config growing_dcgan:fashion_mnist    # to 32x32; or mnist, cifar10, ...
    python -m gan_jax.main --config growing_dcgan:tf_flowers,64

A level is a phase of the run (`earlier_phases`). Expect samples.gif to show coarse images that become finer; the digits
take about a minute on two CPU cores.
"""

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError

STEPS = {8: 1000, 16: 2000, 32: 4000, 64: 8000, 128: 16000}
BASE_WIDTH = 256  # channels at 4x4


def get_config(argument: str = '') -> ConfigDict:
    """The recipe for 'DATA' or 'DATA,SIZE' (default: the embedded digits at 16x16)."""
    parts = argument.split(',')
    size = next((int(part) for part in parts if part.isdigit()), 32 if argument else 16)
    if size not in STEPS:
        raise UserError(
            f'This DCGAN grows to {", ".join(map(str, STEPS))} pixels, not to {size}: choose one of these sizes.'
        )
    config = configs.base('dcgan')
    configs.choose_data(config, ','.join(part for part in parts if not part.isdigit()))
    config.loss.real_label = 0.9  # one-sided label smoothing (Salimans et al. 2016)
    config.generator.growing = config.discriminator.growing = True
    config.generator.fade = config.discriminator.fade = config.real_fade = 0.5
    if not argument:
        config.latents.size, config.generator.kernel_size, config.discriminator.dropout = 32, 5, 0.3
    configs.grow(config, [_level(side) for side in STEPS if side <= size])
    return config


def _level(side: int) -> dict[str, str | int | float]:
    """The options of a level; the first has nothing to fade in."""
    width = 8 * BASE_WIDTH // side  # of the stage of the image; it doubles towards the base
    level = {
        'data.size': side,
        'duration': f'{STEPS[side]} steps',
        'generator.width': width,
        'discriminator.width': width,
    }
    if side == 8:
        level |= {'real_fade': 0.0, 'generator.fade': 0.0, 'discriminator.fade': 0.0}
    return level
