"""Sliced Wasserstein distances between images, in pixels and in patches of the Laplacian pyramid.

Karras et al. 2018, "Progressive Growing of GANs", arXiv:1710.10196, section 5, with the constants of its published
code: each image gives 128 patches of 7x7 at random places of each level of its Laplacian pyramid; patches are
normalised by the mean and deviation of each channel over the set, the real images by their own and the fakes by theirs;
the distance is the mean over 512 random directions of the one-dimensional Wasserstein-1 distance of the projections;
times 1,000.

Choices where the paper leaves one:

- Both sets must have equally many images: of the larger one, and of more than `max_images`, a random sample is taken.
- Image i of the real images and image i of the fakes have their patches at the same places, so that equal sets are at
  distance 0.
- A level has half the height and width of the one above, rounded up; levels go down to the last whose smaller side is
  at least 16. Images whose smaller side is below 32 have no pyramid: they are compared as points, all pixels in [0, 1].
- A channel that is constant over a set is 0 there.
"""

import numpy as np
import scipy  # which imports its modules when they are used
from numpy.typing import ArrayLike

from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.images import check_same_shape, images_array
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import require

MAX_IMAGES = 2**14  # of each set, in the paper
NUM_DIRECTIONS = 512
SCALE = 1000.0
_PATCH = 7
_PATCHES_PER_IMAGE = 128
_SMALLEST_LEVEL = 16
_CONSTANT = 1e-3  # of 255; a smaller deviation is rounding
_BINOMIAL = np.float32([1, 4, 6, 4, 1]) / 16
_BATCH = 64  # images
_DIRECTIONS_AT_ONCE = 16


def sliced_wasserstein(
    real_images: ArrayLike,
    fake_images: ArrayLike,
    *,
    max_images: int = MAX_IMAGES,
    num_directions: int = NUM_DIRECTIONS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Sliced Wasserstein distances by resolution, times 1,000; 0 is best.

    The patches of one level of both sets are held at a time: 75 kB for each colour image of each set.

    Args:
        real_images: uint8 [n, H, W, 1 or 3].
        fake_images: uint8 [m, H, W, 1 or 3].
        max_images: how many of each set are compared at most.
        num_directions: random directions of the projections.
        seed: seed of the samples, places and directions.

    Returns:
        By the smaller side of each level, such as '64', '32', '16', or 'pixels' for images below 32; then their 'mean'.
        Errors are standard errors over the directions.

    Raises:
        UserError: the images are unfit.
    """
    real, fake = images_array(real_images, 'The real images'), images_array(fake_images, 'The fake images')
    check_same_shape(real, fake)
    random = np.random.default_rng(seed)
    number = min(len(real), len(fake), max_images)
    require(number >= 1, 'The number of images', number, 'at least 1')
    real, fake = (_sample(images, number, seed) for images in (real, fake))
    rule = f'x1000, {number} images, {num_directions} directions, seed {seed}'
    height, width = real.shape[1:3]
    if min(height, width) < 2 * _SMALLEST_LEVEL:
        points = (images.reshape(number, -1).astype(np.float32) / 255 for images in (real, fake))
        pixels = _estimate(projected_distances(*points, num_directions, random), f'pixels in [0, 1], {rule}')
        return {'pixels': pixels, 'mean': pixels}
    results, distances = {}, []
    rule = f'{_PATCHES_PER_IMAGE} patches {_PATCH}x{_PATCH} of the Laplacian pyramid, {rule}'
    shapes = _level_shapes(height, width)
    for level, (rows, columns) in enumerate(shapes):
        tops, lefts = (random.integers(0, side - _PATCH + 1, (number, _PATCHES_PER_IMAGE)) for side in (rows, columns))
        patches = (_normalised_patches(images, level, len(shapes), tops, lefts) for images in (real, fake))
        distances.append(projected_distances(*patches, num_directions, random))
        results[str(min(rows, columns))] = _estimate(distances[-1], rule)
    return {**results, 'mean': _estimate(np.mean(distances, axis=0), f'mean of levels {", ".join(results)}; {rule}')}


def projected_distances(
    first: ArrayLike, second: ArrayLike, num_directions: int = NUM_DIRECTIONS, random: np.random.Generator | int = 0
) -> np.ndarray:
    """Wasserstein-1 distances of two point sets along random directions, uniform on the sphere.

    Their mean estimates the sliced distance of Bonneel et al. 2015, "Sliced and Radon Wasserstein Barycenters".

    Args:
        first: [n, D].
        second: [n, D], as many.
        num_directions: number of directions.
        random: generator of the directions, or its seed.

    Returns:
        float64 [num_directions].

    Raises:
        UserError: the points are unfit, or the sets differ in size.
    """
    first, second = features_array(first, 'The first points'), features_array(second, 'The second points')
    check_same_dimension(first, second)
    require(len(first) == len(second), 'The number of second points', len(second), f'{len(first)}, as of the first')
    directions = np.random.default_rng(random).standard_normal((num_directions, first.shape[1]))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(first.dtype)
    distances = []
    for start in range(0, num_directions, _DIRECTIONS_AT_ONCE):
        some = directions[start : start + _DIRECTIONS_AT_ONCE]
        one, other = (np.sort(some @ points.T, axis=1) for points in (first, second))
        distances.append(np.abs(one - other).mean(axis=1, dtype=np.float64))
    return np.concatenate(distances)


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """Differences of successive halvings, the finest first, and the last halving itself: Burt and Adelson 1983.

    Args:
        images: [n, H, W, C].
        levels: number of levels; 1 gives the images.

    Returns:
        float32 arrays; each level has half the height and width of the one before, rounded up.
    """
    pyramid = [images.astype(np.float32)]
    for _ in range(levels - 1):
        coarse = _blurred(pyramid[-1])[:, ::2, ::2]
        pyramid[-1] = pyramid[-1] - upsampled(coarse, pyramid[-1].shape)
        pyramid.append(coarse)
    return pyramid


def upsampled(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A level of the pyramid brought to the size of the one above it: zeros between the pixels, blurred, times 4."""
    fine = np.zeros(shape, np.float32)
    fine[:, ::2, ::2] = coarse
    return 4 * _blurred(fine)


def _blurred(images: np.ndarray) -> np.ndarray:
    rows = scipy.ndimage.convolve1d(images, _BINOMIAL, axis=1, mode='mirror')
    return scipy.ndimage.convolve1d(rows, _BINOMIAL, axis=2, mode='mirror')


def _level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    shapes = []
    while min(height, width) >= _SMALLEST_LEVEL:
        shapes.append((height, width))
        height, width = -(-height // 2), -(-width // 2)
    return shapes


def _sample(images: np.ndarray, number: int, seed: int) -> np.ndarray:
    """A random sample; of the same rows for sets of one size, so that equal sets stay equal."""
    if len(images) == number:
        return images
    return images[np.random.default_rng(seed).choice(len(images), number, replace=False)]


def _normalised_patches(images: np.ndarray, level: int, levels: int, tops: np.ndarray, lefts: np.ndarray) -> np.ndarray:
    """The patches of one level of a set, at places [n, 128]: float32 [n * 128, 7 * 7 * C]."""
    offsets = np.arange(_PATCH)
    rows = (tops[..., None] + offsets)[..., :, None]
    columns = (lefts[..., None] + offsets)[..., None, :]
    patches = np.empty((*tops.shape, _PATCH, _PATCH, images.shape[3]), np.float32)
    for start in range(0, len(images), _BATCH):
        batch = slice(start, start + _BATCH)
        pixels = laplacian_pyramid(images[batch], min(level + 2, levels))[level]
        patches[batch] = pixels[np.arange(len(pixels))[:, None, None, None], rows[batch], columns[batch]]
    axes = (0, 1, 2, 3)
    patches -= patches.mean(axes, np.float64)
    deviation = np.sqrt(np.square(patches).mean(axes, np.float64))
    patches /= np.where(deviation > _CONSTANT, deviation, np.inf)
    return patches.reshape(-1, patches[0, 0].size)


def _estimate(distances: np.ndarray, rule: str) -> Estimate:
    error = float(distances.std() / len(distances) ** 0.5)
    return Estimate(SCALE * float(distances.mean()), SCALE * error, rule)
