"""Separable low-pass filters that halve or double an image, with zeros outside of it.

XLA:CPU takes 20 to 150 times as long for the grouped convolutions that are usually made of them. Here each axis is cut
into its even and odd pixels, so that a filter is a sum of shifted arrays; see docs/benchmarks.md.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

Taps = tuple[float, ...]


def interpolating_taps(weights: Sequence[float]) -> Taps:
    """The taps of R3GAN's resamplers: the weights convolved with [1, 1], of sum 1; [1, 3, 3, 1] / 8 for [1, 2, 1]."""
    taps = np.convolve(weights, [1, 1])
    return tuple(float(tap) for tap in taps / taps.sum())


def filter_downsample(images: jax.Array, taps: Taps) -> jax.Array:
    """Filters an image and keeps every other pixel: [B, H, W, C] -> [B, H / 2, W / 2, C], for even H and W.

    Output i of an axis is the sum of taps[k] image[2 i + k - p] with p = (K - 1) // 2 for K taps, as of a convolution
    of stride 2 that is padded by p.
    """
    for axis in (1, 2):
        phases = _split(images, axis)
        images = sum(tap * _moved(phases[place % 2], axis, place // 2) for place, tap in _places(taps))
    return images


def filter_upsample(images: jax.Array, taps: Taps) -> jax.Array:
    """Puts zeros between the pixels of an image and filters it: [B, H, W, C] -> [B, 2 H, 2 W, C].

    Four times the adjoint of `filter_downsample`, so that taps of sum 1 keep the brightness; of at least two taps.
    """
    for axis in (1, 2):
        terms = [(place % 2, 2 * tap * _moved(images, axis, -(place // 2))) for place, tap in _places(taps)]
        images = _interleave([sum(term for of, term in terms if of == phase) for phase in (0, 1)], axis)
    return images


def _places(taps: Taps) -> list[tuple[int, float]]:
    """The taps, each with its distance from the pixel that it adds to."""
    return [(k - (len(taps) - 1) // 2, tap) for k, tap in enumerate(taps)]


def _split(images: jax.Array, axis: int) -> list[jax.Array]:
    """The even and the odd pixels of an axis."""
    shape = images.shape
    pairs = images.reshape(*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :])
    return [jax.lax.index_in_dim(pairs, phase, axis + 1, keepdims=False) for phase in (0, 1)]


def _interleave(phases: list[jax.Array], axis: int) -> jax.Array:
    """The inverse of `_split`."""
    shape = phases[0].shape
    return jnp.stack(phases, axis + 1).reshape(*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])


def _moved(images: jax.Array, axis: int, by: int) -> jax.Array:
    """The array whose element i of an axis is that at i + by; zeros outside."""
    padding = [(0, 0, 0)] * images.ndim
    padding[axis] = (-by, by, 0)
    return jax.lax.pad(images, jnp.zeros((), images.dtype), padding)
