"""Convolution and transposed convolution, fast on XLA:CPU under any number of derivatives and inside `lax.scan`.

XLA:CPU is quick with a stride-1 NHWC x HWIO -> NHWC convolution whose kernel fits in the image, and with matrix
products. The gradients that it derives for strided, dilated and transposed convolutions are neither, and fall off the
fast path by factors of 2 to 100. So here, on a CPU, every derivative is one of the two:

- A convolution that changes the size of the image (strided, or without padding) is patches times a matrix, and the
  transposed convolution is a matrix product followed by the transpose of taking patches, which adds the overlaps.
  Nothing overrides differentiation: derivatives of every order and mode and `vmap` follow by themselves.
- A stride-1 convolution that keeps the size stays a convolution, as its patches would take the kernel's area times the
  memory. Its rule of differentiation writes the gradients as canonical convolutions again. It is a `jax.custom_vjp`:
  reverse mode to any order, no forward mode.

Elsewhere (GPU, TPU) both are the plain XLA operation.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

_CANONICAL = ('NHWC', 'HWIO', 'NHWC')
Padding = str | Sequence[tuple[int, int]]


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
    on_cpu, default = _fold_transposed, _plain_transposed
    return lax.platform_dependent(
        images, kernel, cpu=functools.partial(on_cpu, stride), default=functools.partial(default, stride)
    )


def _plain(padding, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(images, kernel, (stride, stride), padding, dimension_numbers=_CANONICAL)


def _plain_transposed(stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    before = [k - 1 - low for k, low in zip(kernel.shape[:2], _low(kernel, stride), strict=True)]
    padding = [(low, k + stride - 2 - low) for k, low in zip(kernel.shape[:2], before, strict=True)]
    return lax.conv_general_dilated(
        images,
        lax.rev(kernel, (0, 1)),
        (1, 1),
        padding,
        lhs_dilation=(stride, stride),
        dimension_numbers=_CANONICAL,
    )


def _low(kernel: jax.Array, stride: int) -> tuple[int, int]:
    """The padding in front, by which a strided 'SAME' convolution divides a size by the stride exactly."""
    return tuple(max(k - stride, 0) // 2 for k in kernel.shape[:2])


def _patches(images: jax.Array, window, stride: int, low, size) -> jax.Array:
    """What each of the `size` = (H', W') outputs sees: [B, H, W, C] -> [B, H', W', h w C], zero outside the image.

    The image is split into its stride x stride phases first, so that each place of the window is a contiguous shift of
    one of them; strided slices, and the interleaving that is their transpose, are slow.
    """
    batch, height, width, channels = images.shape
    rows, columns = -(-height // stride), -(-width // stride)
    images = jnp.pad(images, ((0, 0), (0, rows * stride - height), (0, columns * stride - width), (0, 0)))
    phases = images.reshape(batch, rows, stride, columns, stride, channels).transpose(0, 2, 4, 1, 3, 5)
    zero = jnp.zeros((), images.dtype)

    def seen(row: int, column: int) -> jax.Array:
        (down, row_phase), (right, column_phase) = divmod(row - low[0], stride), divmod(column - low[1], stride)
        shift = ((0, 0, 0), (-down, down + size[0] - rows, 0), (-right, right + size[1] - columns, 0), (0, 0, 0))
        return lax.pad(phases[:, row_phase, column_phase], zero, shift)

    return jnp.concatenate([seen(row, column) for row in range(window[0]) for column in range(window[1])], axis=-1)


def _patch_convolution(padding, stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    window = kernel.shape[:2]
    size = [(n + sum(pads) - k) // stride + 1 for n, pads, k in zip(images.shape[1:3], padding, window, strict=True)]
    patches = _patches(images, window, stride, [low for low, _ in padding], size)
    # The product of two matrices, not of a four-dimensional array: XLA:CPU takes up to twice as long for that.
    outputs = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    return outputs.reshape(images.shape[0], *size, -1)


def _fold_transposed(stride: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, height, width, channels = images.shape
    window, features = kernel.shape[:2], kernel.shape[3]
    patches = images.reshape(-1, channels) @ kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    outputs = jax.ShapeDtypeStruct((batch, stride * height, stride * width, features), patches.dtype)
    fold = jax.linear_transpose(
        lambda outputs: _patches(outputs, window, stride, _low(kernel, stride), (height, width)), outputs
    )
    return fold(patches.reshape(batch, height, width, -1))[0]


# The convolution y = x * w and its weight gradient are partial derivatives of one trilinear form in (x, w, y). So is the
# input gradient, which is a convolution again: the two functions are closed under differentiation.


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _same_convolution(padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return _plain(padding, 1, images, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _weight_gradient(padding, images: jax.Array, outputs: jax.Array) -> jax.Array:
    """The convolution of images [B, H, W, C] with cotangents [B, H, W, D] as kernel, over the batch: [h, w, C, D]."""
    gradient = _plain(padding, 1, images.transpose(3, 1, 2, 0), outputs.transpose(1, 2, 0, 3))
    return gradient.transpose(1, 2, 0, 3)


def _image_gradient(padding, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    # The kernel less one was padded in all, so what remains for the way back is the padding with its sides exchanged.
    return _same_convolution(
        tuple((high, low) for low, high in padding), outputs, lax.rev(kernel, (0, 1)).swapaxes(2, 3)
    )


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
