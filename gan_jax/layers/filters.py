"""Low-pass filters that change the size of an image, with zeros outside of it, alone and around convolutions.

XLA:CPU takes 20 to 150 times as long for the usual implementation by grouped convolutions. Here each axis is divided
into its phases (even and odd pixels), so a filter is a sum of shifted arrays; see docs/benchmarks.md.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax.layers.convolution import convolution, transposed_convolution

Taps = tuple[float, ...]
Both = tuple[int, int]  # vertical and horizontal
_BOX = (0.5, 0.5)


def interpolating_taps(weights: Sequence[float]) -> Taps:
    """The taps of R3GAN's resamplers: the weights convolved with [1, 1], of sum 1; [1, 3, 3, 1] / 8 for [1, 2, 1]."""
    taps = np.convolve(weights, [1, 1])
    return tuple(float(tap) for tap in taps / taps.sum())


def resample(
    images: jax.Array,
    taps: ArrayLike,
    up: Both = (1, 1),
    down: Both = (1, 1),
    padding: tuple[Both, Both] = ((0, 0), (0, 0)),
) -> jax.Array:
    """Inserts zeros after all pixels, pads, filters, and keeps some of the pixels, in each direction.

    Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN": `upfirdn2d` of its code. The filter is
    a correlation, as a convolution of a network: output j is the sum of taps[k] padded[down j + k].

    Args:
        images: [B, H, W, C].
        taps: constants [K] for both directions, or [h, w].
        up: an image of H rows has up H with the zeros.
        down: only every `down`-th filtered pixel is kept, from the first on.
        padding: pixels in front and behind, vertical and horizontal; negative ones crop.

    Returns:
        [B, H', W', C] with H' = (up H + front + behind - h) // down + 1.
    """
    taps = np.asarray(taps)
    if taps.ndim == 1:
        return _separable(images, (taps, taps), up, down, padding)
    columns, scales, rows = np.linalg.svd(taps)
    parts = zip(columns.T, scales, rows, strict=False)  # the filter is a sum of separable ones
    return sum(_separable(images, (scale * column, row), up, down, padding) for column, scale, row in parts)


def filter_downsample(images: jax.Array, taps: Taps) -> jax.Array:
    """Filters an image and keeps every other pixel: [B, H, W, C] -> [B, H / 2, W / 2, C], for even H and W.

    Output i of an axis is the sum of taps[k] image[2 i + k - p] with p = (K - 1) // 2 for K taps, as of a convolution
    of stride 2 that is padded by p.
    """
    low = (len(taps) - 1) // 2
    return resample(images, taps, down=(2, 2), padding=((low, len(taps) - 2 - low),) * 2)


def filter_upsample(images: jax.Array, taps: Taps) -> jax.Array:
    """Puts zeros between the pixels of an image and filters it: [B, H, W, C] -> [B, 2 H, 2 W, C].

    Four times the adjoint of `filter_downsample`, so that taps of sum 1 keep the brightness.
    """
    low = (len(taps) - 1) // 2
    flipped = [2 * tap for tap in reversed(taps)]
    return resample(images, flipped, up=(2, 2), padding=((len(taps) - 1 - low, low),) * 2)


def convolve_down(images: jax.Array, kernel: jax.Array, taps: Taps) -> jax.Array:
    """Filters, and convolves with stride 2: [B, H, W, C] -> [B, H / 2, W / 2, D], for even H and W.

    Args:
        images: [B, H, W, C].
        kernel: [k, k, C, D] with an odd k.
        taps: taps of the filter.
    """
    size = kernel.shape[0]
    pads = size // 2 + (len(taps) - 1) // 2, size // 2 + (len(taps) - 2) // 2
    if size == 1:
        return convolution(resample(images, taps, down=(2, 2), padding=(pads, pads)), kernel)
    return convolution(resample(images, taps, padding=(pads, pads)), kernel, stride=2, padding='VALID')


def convolve_up(images: jax.Array, kernel: jax.Array, taps: Taps) -> jax.Array:
    """A transposed convolution of stride 2, filtered: [B, H, W, C] -> [B, 2 H, 2 W, D].

    Args:
        images: [B, H, W, C].
        kernel: [k, k, C, D] with k 1 or 3; pixel i of the images adds images[i] kernel[u] to place 2 i + u.
        taps: taps of the filter, which is multiplied by 4.
    """
    flipped = [2 * tap for tap in reversed(taps)]
    low, high = (len(taps) + 1) // 2, (len(taps) - 2) // 2
    if kernel.shape[0] == 1:
        return resample(convolution(images, kernel), flipped, up=(2, 2), padding=((low, high),) * 2)
    images = jnp.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)))  # for the last position, 2 H
    spread = transposed_convolution(images, kernel, padding=0)
    return resample(spread, flipped, padding=((low - 1, high - 1),) * 2)


def convolve_nearest(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles images by nearest neighbours, and convolves: [B, H, W, C] -> [B, 2 H, 2 W, D].

    A transposed convolution computes this with a quarter of the work.

    Args:
        images: [B, H, W, C].
        kernel: [3, 3, C, D].
    """
    return convolve_up(images, kernel[::-1, ::-1], _BOX)


def convolve_average(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves, and averages 2x2 blocks: [B, H, W, C] -> [B, H / 2, W / 2, D], for even H and W.

    A convolution of stride 2 computes this with a quarter of the work.

    Args:
        images: [B, H, W, C].
        kernel: [k, k, C, D] with an odd k.
    """
    return convolve_down(images, kernel, _BOX)


def blur(images: jax.Array) -> jax.Array:
    """The filter [1, 2, 1] / 4 in both directions, which keeps the size: [B, H, W, C] -> [B, H, W, C]."""
    return resample(images, (0.25, 0.5, 0.25), padding=((1, 1), (1, 1)))


def _separable(
    images: jax.Array, taps: tuple[np.ndarray, np.ndarray], up: Both, down: Both, padding: tuple[Both, Both]
) -> jax.Array:
    for axis in (0, 1):
        images = _filter(images, axis + 1, [float(tap) for tap in taps[axis]], up[axis], down[axis], *padding[axis])
    return images


def _filter(images: jax.Array, axis: int, taps: list[float], up: int, down: int, low: int, high: int) -> jax.Array:
    """`resample` along one axis.

    Output j takes tap k of place (down j + k - low) / up of the image, if that is a whole number: which taps do, and
    which phase of the image they see, depends on j modulo the period alone.
    """
    length = (images.shape[axis] * up + low + high - len(taps)) // down + 1
    common = math.gcd(up, down)
    period, stride = up // common, down // common
    inputs, outputs, count = _split(images, axis, stride), [], -(-length // period)
    for first in range(period):
        terms = []
        for k, tap in enumerate(taps):
            place, rest = divmod(first * down + k - low, up)
            if rest == 0:
                start, phase = divmod(place, stride)
                terms.append(tap * _window(inputs[phase], axis, start, count))
        outputs.append(sum(terms) if terms else jnp.zeros_like(_window(inputs[0], axis, 0, count)))
    return jax.lax.slice_in_dim(_interleave(outputs, axis), 0, length, axis=axis)


def _split(images: jax.Array, axis: int, stride: int) -> list[jax.Array]:
    """Every stride-th pixel of an axis, from each of the first ones; there are zeros behind the last."""
    images = _window(images, axis, 0, -(-images.shape[axis] // stride) * stride)
    shape = images.shape
    runs = images.reshape(*shape[:axis], shape[axis] // stride, stride, *shape[axis + 1 :])
    return [jax.lax.index_in_dim(runs, phase, axis + 1, keepdims=False) for phase in range(stride)]


def _interleave(phases: list[jax.Array], axis: int) -> jax.Array:
    """The inverse of `_split`."""
    shape = phases[0].shape
    return jnp.stack(phases, axis + 1).reshape(*shape[:axis], len(phases) * shape[axis], *shape[axis + 1 :])


def _window(images: jax.Array, axis: int, start: int, count: int) -> jax.Array:
    """Pixels `start` to `start + count` of an axis; zeros outside."""
    padding = [(0, 0, 0)] * images.ndim
    padding[axis] = (-start, start + count - images.shape[axis], 0)
    return jax.lax.pad(images, jnp.zeros((), images.dtype), padding)
