"""Convolution and transposed convolution, fast on XLA:CPU under any number of derivatives and inside `lax.scan`.

XLA:CPU is quick with a stride-1 NHWC x HWIO -> NHWC convolution whose kernel fits in the image, and with matrix
products. The gradients that it derives for strided, dilated and transposed convolutions are neither, and fall off the
fast path by factors of 2 to 100. So here, on a CPU, every derivative is one of the two:

- A convolution that changes the size of the image (strided, or without padding) is patches times a matrix, and a
  transposed convolution is a matrix product whose patches are folded, overlaps added. Taking patches and folding them
  are each other's derivatives.
- A stride-1 convolution that keeps the size stays a convolution, as its patches would take the kernel's area times the
  memory. It and its weight gradient are each other's derivatives.

The rules are `jax.custom_vjp`: reverse mode to any order and `vmap` work, forward mode (`jax.jvp`, `jax.hessian`) does
not. Elsewhere (GPU, TPU) both are the plain XLA operations.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Padding = str | Sequence[tuple[int, int]]
_CANONICAL = ('NHWC', 'HWIO', 'NHWC')


def convolution(images: jax.Array, kernel: jax.Array, stride: int = 1, padding: Padding = 'SAME') -> jax.Array:
    """Cross-correlation of images with a kernel, equal to `lax.conv_general_dilated`.

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C, D].
        stride: in both directions.
        padding: 'SAME' (XLA's: the output is ceil(H / stride), odd padding goes behind; 1, 1 for size 4 and stride 2),
            'VALID', or ((top, bottom), (left, right)).

    Returns:
        [B, H', W', D].
    """
    size, window = images.shape[1:3], kernel.shape[:2]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(size, window, (stride, stride), padding)
    padding = tuple(map(tuple, padding))
    keeps_size = stride == 1 and all(sum(pads) == k - 1 for pads, k in zip(padding, window, strict=True))
    if keeps_size and all(k <= n for k, n in zip(window, size, strict=True)):
        on_cpu = functools.partial(_same_convolution, padding)
    else:
        on_cpu = functools.partial(_patch_convolution, padding, stride)
    return lax.platform_dependent(images, kernel, cpu=on_cpu, default=functools.partial(_plain, padding, stride))


def transposed_convolution(images: jax.Array, kernel: jax.Array, stride: int = 2) -> jax.Array:
    """Transposed convolution that multiplies height and width by the stride exactly.

    The adjoint of the 'SAME' strided convolution of an image of the output's size: out[stride i + u - p] += images[i]
    kernel[u], with p = (k - stride) // 2 for a kernel of size k. For size 4 and stride 2 that is PyTorch's
    `ConvTranspose2d(4, stride=2, padding=1)`.

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C, D].
        stride: in both directions.

    Returns:
        [B, stride H, stride W, D].
    """
    low = tuple(max(k - stride, 0) // 2 for k in kernel.shape[:2])
    on_cpu, default = _fold_transposed, _plain_transposed
    return lax.platform_dependent(
        images, kernel, cpu=functools.partial(on_cpu, low, stride), default=functools.partial(default, low, stride)
    )


def _plain(padding, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(images, kernel, (stride, stride), padding, dimension_numbers=_CANONICAL)


def _plain_transposed(low, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    padding = [(k - 1 - before, stride - 1 + before) for k, before in zip(kernel.shape[:2], low, strict=True)]
    dilation = (stride, stride)
    flipped = lax.rev(kernel, (0, 1))
    return lax.conv_general_dilated(
        images, flipped, (1, 1), padding, lhs_dilation=dilation, dimension_numbers=_CANONICAL
    )


# Products below are of matrices, not of four-dimensional arrays: XLA:CPU takes up to twice as long for those.


def _patch_convolution(padding, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    size, window = images.shape[1:3], kernel.shape[:2]
    places = [(n + sum(pads) - k) // stride + 1 for n, pads, k in zip(size, padding, window, strict=True)]
    windows = _Windows(window, stride, tuple(low for low, _ in padding), size, tuple(places))
    patches = _patches(windows, images)
    outputs = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    return outputs.reshape(images.shape[0], *places, -1)


def _fold_transposed(low, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, height, width, channels = images.shape
    patches = images.reshape(-1, channels) @ kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    windows = _Windows(kernel.shape[:2], stride, low, (stride * height, stride * width), (height, width))
    return _fold(windows, patches.reshape(batch, height, width, -1))


class _Windows(NamedTuple):
    """How the windows of a kernel lie on an image; pairs are (vertical, horizontal)."""

    kernel: tuple[int, int]
    stride: int
    low: tuple[int, int]  # padding in front of the image
    image: tuple[int, int]
    places: tuple[int, int]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _patches(windows: _Windows, images: jax.Array) -> jax.Array:
    """What each window sees, zero outside the image: [B, H, W, C] -> [B, H', W', h w C]."""
    window, stride, low, image, places = windows
    spans = [(n - 1) * stride + 1 for n in places]
    high = [max(span + k - 1 - before - n, 0) for span, k, before, n in zip(spans, window, low, image, strict=True)]
    images = jnp.pad(images, ((0, 0), *zip(low, high, strict=True), (0, 0)))
    return jnp.concatenate(
        [
            images[:, row : row + spans[0] : stride, column : column + spans[1] : stride]
            for row, column in itertools.product(*map(range, window))
        ],
        axis=-1,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fold(windows: _Windows, patches: jax.Array) -> jax.Array:
    """The transpose of `_patches`, the sum of patches where they lie: [B, H', W', h w C] -> [B, H, W, C].

    Every stride-th pixel of the image makes a phase. Within one the patches' pixels are contiguous, so each phase is a
    sum of shifted arrays; the phases are interleaved at the end.
    """
    window, stride, low, image, places = windows
    rows, columns = (-(-n // stride) for n in image)
    batch, channels = patches.shape[0], patches.shape[-1] // (window[0] * window[1])
    zero = jnp.zeros((), patches.dtype)
    phases = [jnp.zeros((batch, rows, columns, channels), patches.dtype)] * stride**2
    for pixel, (row, column) in enumerate(itertools.product(*map(range, window))):
        (down, vertical), (right, horizontal) = divmod(row - low[0], stride), divmod(column - low[1], stride)
        shift = ((0, 0, 0), (down, rows - down - places[0], 0), (right, columns - right - places[1], 0), (0, 0, 0))
        seen = patches[..., pixel * channels : (pixel + 1) * channels]
        phases[vertical * stride + horizontal] += lax.pad(seen, zero, shift)
    blocks = jnp.stack(phases, axis=3).reshape(batch, rows, columns, stride, stride, channels)
    images = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * stride, columns * stride, channels)
    return images[:, : image[0], : image[1]]


_patches.defvjp(
    lambda windows, images: (_patches(windows, images), None),
    lambda windows, _, cotangent: (_fold(windows, cotangent),),
)
_fold.defvjp(
    lambda windows, patches: (_fold(windows, patches), None),
    lambda windows, _, cotangent: (_patches(windows, cotangent),),
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _same_convolution(padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return _plain(padding, 1, images, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _weight_gradient(padding, images: jax.Array, outputs: jax.Array) -> jax.Array:
    """The convolution of images [B, H, W, C] with cotangents [B, H, W, D] as kernel, over the batch: [h, w, C, D]."""
    gradient = _plain(padding, 1, images.transpose(3, 1, 2, 0), outputs.transpose(1, 2, 0, 3))
    return gradient.transpose(1, 2, 0, 3)


def _image_gradient(padding, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    flipped = lax.rev(kernel, (0, 1)).swapaxes(2, 3)
    return _same_convolution(tuple((high, low) for low, high in padding), outputs, flipped)


def _same_convolution_backward(padding, inputs, cotangent):
    images, kernel = inputs
    return _image_gradient(padding, cotangent, kernel), _weight_gradient(padding, images, cotangent)


def _weight_gradient_backward(padding, inputs, cotangent):
    images, outputs = inputs
    return _image_gradient(padding, outputs, cotangent), _same_convolution(padding, images, cotangent)


_same_convolution.defvjp(
    lambda padding, images, kernel: (_same_convolution(padding, images, kernel), (images, kernel)),
    _same_convolution_backward,
)
_weight_gradient.defvjp(
    lambda padding, images, outputs: (_weight_gradient(padding, images, outputs), (images, outputs)),
    _weight_gradient_backward,
)
