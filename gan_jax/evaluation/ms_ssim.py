"""Multi-scale structural similarity of images, and the diversity of a set by it.

Wang, Simoncelli and Bovik 2003, "Multi-Scale Structural Similarity for Image Quality Assessment", equation 7: the
product of mean contrast-structure over four scales and mean similarity at the fifth, each to the power of its weight.
Details are those of the code behind the figures of GAN papers (TensorFlow's msssim.py, as in Karras et al. 2018): a
Gaussian window of 11 pixels and deviation 1.5, no border; means over places and channels; halving by means of 2x2
pixels; means below 0 become 0.

Images too small for five scales of that window (a smaller side below 161) keep five scales, as there: where a scale is
smaller than the window, the window is as wide as its smaller side and its deviation shrinks alike. An odd side is
halved rounding up, its last row or column repeated.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.images import images_array
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import over_pairs
from gan_jax.layers.choices import require

Array = jax.Array

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al.'s, finest scale first
_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_GREY = 127.5
_NUMBERS_AT_ONCE = 2**20  # in a batch of images


def ms_ssim(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """MS-SSIM of pairs of images, in [0, 1]: 1 for equal ones.

    Args:
        x: [n, H, W, C], uint8 or floats in [0, 255].
        y: the other of each pair, of the same shape.

    Returns:
        float32 [n].

    Raises:
        UserError: the images are unfit.
    """
    x, y = _intensities(x, 'The first images'), _intensities(y, 'The second images')
    require(x.shape == y.shape, "The second images' shape", y.shape, f'{x.shape}, as of the first')
    return _in_batches(x, y, np.arange(len(x)), np.arange(len(y)))


def ms_ssim_diversity(
    images: ArrayLike, *, pairs: int = 10_000, labels: ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Mean MS-SSIM over random pairs of a set: Odena et al. 2017, arXiv:1610.09585, section 4.2.

    Lower is more diverse; 1 is collapse. Noise is diverse too, so only a value close to that of the data is good.
    Pairs are drawn with replacement, of two different rows; with labels of one class, all classes with two images at
    least in turn, equally often.

    Args:
        images: uint8 [n, H, W, 1 or 3].
        pairs: number of pairs.
        labels: int [n], classes; by default pairs are of any two images.
        seed: seed of the pairs.

    Returns:
        The mean and an upper bound of its standard error, of `standard_errors.over_pairs`; None of two images.

    Raises:
        UserError: the images or labels are unfit, or there are no two images to pair.
    """
    images = images_array(images)
    require(pairs >= 1, 'The number of pairs', pairs, 'at least 1')
    random = np.random.default_rng(seed)
    groups = _groups(len(images), labels)
    first, second = _pairs(groups, pairs, random)
    values = _in_batches(images, images, first, second).astype(np.float64)
    within = 'any two' if labels is None else 'two of a class'
    rule = (
        f'five scales, window of 11 pixels or the smaller side, {pairs} pairs of {within} of {len(images)} images, '
        f'seed {seed}, bound of the standard error over pairs that share images'
    )
    # Groups count equally, so the variance is at most 2 sigma^2 times the sum of 1 / size over their number squared.
    effective = round(len(groups) ** 2 / sum(1 / len(rows) for rows in groups))
    return Estimate(float(values.mean()), over_pairs(values, effective), rule)


def _groups(number: int, labels: ArrayLike | None) -> list[np.ndarray]:
    """Rows that may be paired with each other."""
    labels = np.zeros(number, int) if labels is None else np.asarray(labels)
    require(labels.shape == (number,), "The labels' shape", labels.shape, f'{(number,)}, one per image')
    groups = [rows for label in np.unique(labels) if len(rows := np.flatnonzero(labels == label)) > 1]
    if not groups:
        raise UserError(f'No two of {number} images can be paired: diversity needs at least two images (per class).')
    return groups


def _pairs(groups: list[np.ndarray], pairs: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([len(rows) for rows in groups])[np.arange(pairs) % len(groups)]
    first = random.integers(0, sizes)
    second = (first + random.integers(1, sizes)) % sizes
    starts = np.cumsum([0, *map(len, groups)])[np.arange(pairs) % len(groups)]
    rows = np.concatenate(groups)
    return rows[starts + first], rows[starts + second]


def _intensities(images: ArrayLike, what: str) -> np.ndarray:
    array = np.asarray(images)
    if not np.issubdtype(array.dtype, np.floating):
        return images_array(array, what)
    if array.ndim != 4 or not array.size:
        raise UserError(f'{what} have shape {list(array.shape)}; MS-SSIM takes [n, H, W, C].')
    if not (array.min() >= 0 and array.max() <= 255):
        seen = f'{array.dtype} in [{array.min():.3g}, {array.max():.3g}]'
        raise UserError(f'{what} are {seen}; MS-SSIM takes intensities in [0, 255].')
    return array


def _in_batches(x: np.ndarray, y: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """MS-SSIM of x[first] with y[second], in batches of one size that the shape of the images decides."""
    batch = int(np.clip(_NUMBERS_AT_ONCE // x[0].size, 1, 64))
    values = []
    for start in range(0, len(first), batch):
        places = np.arange(start, start + batch).clip(max=len(first) - 1)
        values.append(np.asarray(_ms_ssim(x[first[places]], y[second[places]])))
    return np.concatenate(values)[: len(first)]


@jax.jit
def _ms_ssim(x: Array, y: Array) -> Array:
    # Variances of numbers about 0 lose fewer digits in float32.
    x, y = x.astype(jnp.float32) - _GREY, y.astype(jnp.float32) - _GREY
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        similarity, contrast = _similarity(x, y)
        last = scale == len(WEIGHTS) - 1
        product *= jnp.maximum(similarity if last else contrast, 0) ** weight
        x, y = _halved(x), _halved(y)
    return product


def _similarity(x: Array, y: Array) -> tuple[Array, Array]:
    """Mean SSIM [n] and mean contrast-structure [n] of images about 0."""
    size = min(_WINDOW, *x.shape[1:3])
    blur = partial(_filtered, weights=_gaussian(size, _DEVIATION * size / _WINDOW))
    mean_x, mean_y = blur(x), blur(y)
    covariance = blur(x * y) - mean_x * mean_y
    variances = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
    contrast = (2 * covariance + _C2) / (variances + _C2)
    mean_x, mean_y = mean_x + _GREY, mean_y + _GREY
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def _gaussian(size: int, deviation: float) -> np.ndarray:
    places = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(places**2) / (2 * deviation**2))
    return weights / weights.sum()


def _filtered(images: Array, weights: np.ndarray) -> Array:
    """Filters rows and columns, without a border, by products with banded matrices: faster than convolution."""
    rows, columns = (
        np.float32([np.pad(weights, (start, side - len(weights) - start)) for start in range(side - len(weights) + 1)])
        for side in images.shape[1:3]
    )
    images = jnp.einsum('ph,nhwc->npwc', rows, images, precision='highest')
    return jnp.einsum('qw,npwc->npqc', columns, images, precision='highest')


def _halved(images: Array) -> Array:
    number, height, width, channels = images.shape
    images = jnp.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    pixels = images.reshape(number, -(-height // 2), 2, -(-width // 2), 2, channels)
    return pixels.mean((2, 4))
