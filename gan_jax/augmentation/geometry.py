"""The geometric transforms of adaptive discriminator augmentation: one affine matrix for all, and the resampling.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B. Both forms of `warp`
gather pixels, so their gradients add them up in an order that a GPU does not fix.
"""

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.augmentation import wavelets

Array = jax.Array


def inverse_geometry(values: Mapping[str, Array | float], shape: tuple[int, ...]) -> Array:
    """The matrix [3, 3] from a pixel (x, y, 1) of the result to the position of its colour in the image [H, W, ...].

    In pixels, x to the right and y down, from the centre of the image. Flips, quarter turns and integer translations
    alone are exact.
    """
    sides = np.array([shape[1], shape[0]])
    turn, angles = math.pi / 2 * values['rotate90'], jnp.broadcast_to(values['rotate'], (2,))
    shift = jnp.round(values['translate_integer'] * sides)
    stretch = values['anisotropic_scale']
    # What is done first to an image stands first in the inverse.
    factors = (
        _scaling(1 - 2 * values['flip'], 1.0),
        _rotation(jnp.round(jnp.cos(turn)), jnp.round(jnp.sin(turn))),
        _translation(-shift),
        _scaling(1 / values['scale'], 1 / values['scale']),
        _rotation(jnp.cos(angles[0]), jnp.sin(angles[0])),
        _scaling(1 / stretch, stretch),
        _rotation(jnp.cos(angles[1]), jnp.sin(angles[1])),
        _translation(-values['translate'] * sides),
    )
    return functools.reduce(product, factors)


def warp(image: Array, inverse: Array) -> Array:
    """An image [H, W, C] sampled bilinearly at the positions of `inverse_geometry`, mirrored at its borders."""
    height, width, _ = image.shape
    x, y = _places(inverse, _from_centre(np.arange(height), height), _from_centre(np.arange(width), width))
    x, y = _mirror(x + (width - 1) / 2, width), _mirror(y + (height - 1) / 2, height)
    return _sample(image, x, y).reshape(image.shape)


def warp_by_wavelet(image: Array, inverse: Array) -> Array:
    """As `warp`, at twice the resolution, free of aliasing: as StyleGAN2-ADA's code, with the wavelet sym6.

    The image is continued by its mirror images without limit. The published code has a border as wide as a batch needs,
    but no wider than the image less one pixel, and zeros outside.
    """
    height, width, channels = image.shape
    plane = jnp.pad(image.astype(inverse.dtype), ((0, height - 2), (0, width - 2), (0, 0)), 'reflect')
    rows, columns = (wavelets.halved_places(size) for size in (height, width))
    x, y = _places(inverse, _from_centre(rows, height), _from_centre(columns, width))
    sampled = _sample(wavelets.double_periodic(plane), 2 * x + (width - 1), 2 * y + (height - 1))
    return wavelets.halve(sampled.reshape(len(rows), len(columns), channels))


def product(a: Array, b: Array) -> Array:
    """The matrix product in full precision, because TF32 would move pixels."""
    return jnp.matmul(a, b, precision='highest')


def _from_centre(places: np.ndarray, size: int) -> np.ndarray:
    return places - (size - 1) / 2


def _places(inverse: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    """Where a grid's points [2, rows * columns] are in the image: x and y from its centre."""
    y, x = np.meshgrid(rows, columns, indexing='ij')
    return product(inverse[:2], np.stack([x.ravel(), y.ravel(), np.ones(x.size)]))


def _mirror(x: Array, size: int) -> Array:
    """Places on an endless line as places in [0, size - 1], there and back again."""
    return (size - 1) - jnp.abs(x % (2 * (size - 1)) - (size - 1))


def _sample(image: Array, x: Array, y: Array) -> Array:
    """The bilinear samples [n, C] of a periodically continued image [H, W, C] at n places x and y."""
    height, width, channels = image.shape
    left, top = jnp.floor(x).astype(jnp.int32) % width, jnp.floor(y).astype(jnp.int32) % height
    right, bottom = (left + 1) % width, (top + 1) % height
    pixels = image.reshape(-1, channels)

    def row(y: Array) -> Array:
        share = (x - jnp.floor(x))[:, None]
        first, second = (pixels_at(y * width + column) for column in (left, right))
        return (1 - share) * first + share * second

    def pixels_at(indices: Array) -> Array:
        return pixels.at[indices].get(mode='promise_in_bounds')

    share = (y - jnp.floor(y))[:, None]
    return (1 - share) * row(top) + share * row(bottom)


def _rotation(cos: Array, sin: Array) -> Array:
    return _matrix([cos, -sin, 0], [sin, cos, 0])


def _scaling(x: Array | float, y: Array | float) -> Array:
    return _matrix([x, 0, 0], [0, y, 0])


def _translation(offset: Array | float) -> Array:
    x, y = jnp.broadcast_to(offset, (2,))
    return _matrix([1, 0, x], [0, 1, y])


def _matrix(*rows: list) -> Array:
    return jnp.array([*rows, [0, 0, 1]], jnp.result_type(float))
