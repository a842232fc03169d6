"""Metrics of pairs of images, such as translations and targets."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.images import check_same_shape, images_array
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import of_mean
from gan_jax.layers.choices import require

_LUMINANCE = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601, of colours in [0, 255], without its offset of 16
_BATCH = 64


def of_pairs(
    metric: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: ArrayLike,
    y: ArrayLike,
    data_range: float = 255,
    luminance: bool = False,
    border: int = 0,
) -> np.ndarray:
    """A metric of each pair of images.

    Args:
        metric: a metric of two batches of float64 [b, H, W, C] in [0, 255], to [b, ...].
        x: [n, H, W, 1 or 3], uint8 or floats in [0, data_range].
        y: the other of each pair, of the same shape.
        data_range: the value of white: 255 for uint8; 1 for floats in [0, 1].
        luminance: whether colours become the Y of YCbCr in [16, 235], as in super-resolution (ITU-R BT.601, MATLAB's
            rgb2ycbcr, not rounded).
        border: pixels excluded at each side; in super-resolution often the factor.

    Returns:
        [n, ...], of the dtype of the metric.

    Raises:
        UserError: the images are invalid or not pairs, or an option is out of its range.
    """
    require(data_range > 0, 'The data range', data_range, 'above 0')
    x, y = (_in_range(images, what, data_range) for images, what in ((x, 'The first images'), (y, 'The second images')))
    check_pairs(x, y)
    smaller = min(x.shape[1:3])
    require(0 <= border < smaller / 2, 'The border', border, f'from 0 to less than half of {smaller} pixels')
    inner = slice(border, -border or None)
    x, y = x[:, inner, inner], y[:, inner, inner]
    if luminance:
        require(x.shape[3] == 3, "The images' number of channels", x.shape[3], '3 to have a luminance')

    def in_bytes(images: np.ndarray) -> np.ndarray:
        images = images.astype(np.float64) * (255 / data_range)
        return 16 + images @ _LUMINANCE[:, None] if luminance else images

    batches = (slice(start, start + _BATCH) for start in range(0, len(x), _BATCH))
    return np.concatenate([metric(in_bytes(x[batch]), in_bytes(y[batch])) for batch in batches])


def check_pairs(x: np.ndarray, y: np.ndarray) -> None:
    """Raises a UserError if two sets of images differ in their number or shape."""
    if len(x) != len(y):
        raise UserError(
            f'Image i of one set is compared with image i of the other, but there are {len(x)} and {len(y)}: give '
            'the same number of both, in the same order.'
        )
    check_same_shape(x, y)


def describe(luminance: bool, border: int, whole: str = 'all channels') -> str:
    """The options of `of_pairs` in words, for protocols; `whole` for all channels."""
    values = 'luma of BT.601 in [16, 235]' if luminance else whole
    return f'{values}, without {border} pixels at each border' if border else values


def mean_over_pairs(values: np.ndarray, rule: str) -> Estimate:
    """The mean of a metric of pairs [n], with its standard error over them; without one for a single pair."""
    return Estimate(float(values.mean()), of_mean(values), f'{rule}, mean and standard error over {len(values)} pairs')


def _in_range(images: ArrayLike, what: str, data_range: float) -> np.ndarray:
    array = np.asarray(images)
    if not np.issubdtype(array.dtype, np.floating):
        require(data_range == 255, 'The data range of uint8', data_range, '255')
        return images_array(array, what)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise UserError(f'{what} have shape {list(array.shape)}; give [n, H, W, 1 or 3].')
    if not (array.min() >= 0 and array.max() <= data_range):
        seen = f'{array.dtype} in [{array.min():.3g}, {array.max():.3g}]'
        raise UserError(f'{what} are {seen}, outside of [0, {data_range:g}]: clip them, or give another data_range.')
    return array
