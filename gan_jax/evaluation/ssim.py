"""The structural similarity of pairs of images.

Wang, Bovik, Sheikh and Simoncelli 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity",
equation 13 with K1 = 0.01 and K2 = 0.03, in windows that lie wholly within the image, averaged over places and
channels. The authors' code takes greys. Of colours some papers take each channel, others the luminance. Images are not
shrunk first.
"""

from functools import partial

import numpy as np
import scipy  # which imports its modules when they are used
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.image_pairs import describe, mean_over_pairs, of_pairs
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import choose

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_PLACES = np.arange(-5, 6)
_GAUSSIAN = np.exp(-(_PLACES**2) / (2 * 1.5**2))
_WINDOWS = {'gaussian': (_GAUSSIAN / _GAUSSIAN.sum(), 1.0), 'uniform': (np.full(7, 1 / 7), 49 / 48)}  # of one axis


def ssim(
    x: ArrayLike,
    y: ArrayLike,
    *,
    data_range: float = 255,
    window: str = 'gaussian',
    luminance: bool = False,
    border: int = 0,
) -> np.ndarray:
    """SSIM of pairs of images, at most 1, which equal ones have.

    Args:
        x: [n, H, W, 1 or 3], uint8 or floats in [0, data_range].
        y: the other of each pair.
        data_range: as in `image_pairs.of_pairs`.
        window: 'gaussian' of 11 pixels and deviation 1.5, as Wang et al. have it; or 'uniform' of 7 pixels with
            variances of divisor 48 instead of 49, the default of scikit-image.
        luminance: as in `image_pairs.of_pairs`.
        border: likewise.

    Returns:
        float64 [n].

    Raises:
        UserError: as `image_pairs.of_pairs`, or the images are smaller than the window.
    """
    weights, correction = choose(_WINDOWS, window, 'window of SSIM')
    similarity = partial(_similarity, weights=weights, correction=correction)
    return of_pairs(similarity, x, y, data_range, luminance, border)


def mean_ssim(x: ArrayLike, y: ArrayLike, *, luminance: bool = False, border: int = 0) -> Estimate:
    """The mean over pairs of uint8 images [n, H, W, 1 or 3], with its standard error; options are those of `ssim`.

    Raises:
        UserError: as `ssim`.
    """
    rule = f'Gaussian window of 11 pixels, deviation 1.5, range 255, {describe(luminance, border)}'
    return mean_over_pairs(ssim(x, y, luminance=luminance, border=border), rule)


def _similarity(x: np.ndarray, y: np.ndarray, weights: np.ndarray, correction: float) -> np.ndarray:
    size = len(weights)
    if min(x.shape[1:3]) < size:
        raise UserError(
            f'The images have {x.shape[1]}x{x.shape[2]} pixels; SSIM takes at least its {size}x{size} window.'
        )
    mean_x, mean_y = _averaged(x, weights), _averaged(y, weights)
    covariance = correction * (_averaged(x * y, weights) - mean_x * mean_y)
    variances = correction * (_averaged(x * x, weights) - mean_x**2 + _averaged(y * y, weights) - mean_y**2)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return (luminance * (2 * covariance + _C2) / (variances + _C2)).mean(axis=(1, 2, 3))


def _averaged(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means over the windows that lie wholly within the images."""
    inner = slice(len(weights) // 2, -(len(weights) // 2))
    for axis in (1, 2):
        images = scipy.ndimage.correlate1d(images, weights, axis=axis)
    return images[:, inner, inner]
