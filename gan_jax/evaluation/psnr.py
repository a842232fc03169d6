"""The peak signal-to-noise ratio of pairs of images."""

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.image_pairs import describe, mean_over_pairs, of_pairs
from gan_jax.evaluation.record import Estimate


def psnr(
    x: ArrayLike, y: ArrayLike, *, data_range: float = 255, luminance: bool = False, border: int = 0
) -> np.ndarray:
    """10 log10(data_range^2 / mean squared error), in dB, the mean being over the pixels and channels of one image.

    Args:
        x: [n, H, W, 1 or 3], uint8 or floats in [0, data_range].
        y: the other of each pair.
        data_range: as in `image_pairs.of_pairs`.
        luminance: likewise. The range stays that of the colours, as in super-resolution.
        border: likewise.

    Returns:
        float64 [n]; infinite for equal images.

    Raises:
        UserError: as `image_pairs.of_pairs`.
    """
    errors = of_pairs(lambda x, y: ((x - y) ** 2).mean(axis=(1, 2, 3)), x, y, data_range, luminance, border)
    with np.errstate(divide='ignore'):
        return 10 * np.log10(255**2 / errors)


def mean_psnr(x: ArrayLike, y: ArrayLike, *, luminance: bool = False, border: int = 0) -> Estimate:
    """The mean over pairs of uint8 images [n, H, W, 1 or 3], as papers report it, with its standard error.

    Options are those of `psnr`.

    Raises:
        UserError: as `psnr`, or images are equal, so the mean is infinite.
    """
    values = psnr(x, y, luminance=luminance, border=border)
    equal = int(np.isinf(values).sum())
    if equal:
        raise UserError(f'{equal} of {len(values)} pairs have equal images, whose PSNR is infinite: use ssim.')
    return mean_over_pairs(values, f'dB, peak 255, {describe(luminance, border, "all pixels and channels")}')
