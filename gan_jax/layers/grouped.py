"""Grouped convolutions.

XLA:CPU takes 20 to 60 times as long for a grouped convolution and its gradients as for the forms
used here on a CPU; see docs/benchmarks.md. On other devices it is the plain XLA operation.

- Blocks: neighbouring groups make one convolution of at least 32 channels, whose kernel is zero between the groups. The
  multiplications by zero cost less than the many narrow convolutions that they save.
- Products: of patches and matrices, for all groups at once, if there would be very many blocks to compile.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gan_jax.errors import UserError
from gan_jax.layers.convolution import convolution
from gan_jax.layers.platforms import by_platform

_Padding = tuple[tuple[int, int], tuple[int, int]]
_WIDTH = 32  # channels of a block, at least
_MOST_BLOCKS = 16


def grouped_convolution(images: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    """Cross-correlation of stride 1 and 'SAME' padding, group by group.

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C / groups, D]; the first D / groups features see the first group of channels, and so on.
        groups: number of groups.

    Returns:
        [B, H, W, D].

    Raises:
        UserError: the channels or the features are not divisible by the groups.
    """
    channels, features = images.shape[-1], kernel.shape[-1]
    if channels % groups or features % groups:
        raise UserError(
            f'A convolution from {channels} to {features} channels cannot have {groups} groups: choose a number that '
            'divides both.'
        )
    padding = tuple(((n - 1) // 2, n // 2) for n in kernel.shape[:2])
    return _grouped(groups, padding, images, kernel)


# The partial derivatives of a trilinear form, as in gan_jax.layers.convolution: with respect to the outputs, and to the
# images with the kernel turned round, it is a grouped convolution; with respect to the kernel it is `_weight_gradient`.


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _grouped(groups: int, padding: _Padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return by_platform(*_forms(groups, padding, images.shape[-1]), images, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _weight_gradient(
    groups: int, padding: _Padding, size: tuple[int, int], images: jax.Array, outputs: jax.Array
) -> jax.Array:
    """The kernel [*size, C / groups, D]."""
    kernel = jnp.zeros((*size, images.shape[-1] // groups, outputs.shape[-1]), images.dtype)

    def transposed(form: Callable, images: jax.Array, outputs: jax.Array) -> jax.Array:
        return jax.vjp(functools.partial(form, images), kernel)[1](outputs)[0]

    fast, plain = _forms(groups, padding, images.shape[-1])
    return by_platform(functools.partial(transposed, fast), functools.partial(transposed, plain), images, outputs)


def _turned(groups: int, padding: _Padding, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """The gradient with respect to the images."""
    *size, members, features = kernel.shape
    behind = tuple((after, before) for before, after in padding)
    kernel = lax.rev(kernel, (0, 1)).reshape(*size, members, groups, features // groups)
    kernel = kernel.transpose(0, 1, 4, 3, 2).reshape(*size, features // groups, groups * members)
    return _grouped(groups, behind, outputs, kernel)


_grouped.defvjp(
    lambda groups, padding, images, kernel: (_grouped(groups, padding, images, kernel), (images, kernel)),
    lambda groups, padding, inputs, outputs: (
        _turned(groups, padding, outputs, inputs[1]),
        _weight_gradient(groups, padding, inputs[1].shape[:2], inputs[0], outputs),
    ),
)
_weight_gradient.defvjp(
    lambda groups, padding, size, images, outputs: (
        _weight_gradient(groups, padding, size, images, outputs),
        (images, outputs),
    ),
    lambda groups, padding, size, inputs, kernel: (
        _turned(groups, padding, inputs[1], kernel),
        _grouped(groups, padding, inputs[0], kernel),
    ),
)


def _forms(groups: int, padding: _Padding, channels: int) -> tuple[Callable, Callable]:
    """Functions of images and kernel for a CPU and for others."""
    fast = _by_blocks if _number_of_blocks(channels, groups) <= _MOST_BLOCKS else _by_products
    return functools.partial(fast, groups, padding), functools.partial(_plain, groups, padding)


def _plain(groups: int, padding: _Padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    order = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(
        images, kernel, (1, 1), padding, dimension_numbers=order, feature_group_count=groups
    )


def _number_of_blocks(channels: int, groups: int) -> int:
    """The most blocks of as many groups each and at least _WIDTH channels."""
    fitting = [number for number in range(1, groups + 1) if groups % number == 0 and channels >= number * _WIDTH]
    return max(fitting, default=1)


def _by_blocks(groups: int, padding: _Padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    channels, features = kernel.shape[2:]
    blocks = _number_of_blocks(images.shape[-1], groups)
    members = groups // blocks
    # Features of a member see the channels of all members of their block, those of others through zeros.
    seen = np.kron(np.eye(members), np.ones((channels, features // groups)))
    kernel = jnp.concatenate([kernel] * members, axis=2) * np.tile(seen, blocks).astype(kernel.dtype)
    if blocks == 1:
        return convolution(images, kernel, 1, padding)
    parts = zip(jnp.split(images, blocks, axis=-1), jnp.split(kernel, blocks, axis=-1), strict=True)
    return jnp.concatenate([convolution(part, one, 1, padding) for part, one in parts], axis=-1)


def _by_products(groups: int, padding: _Padding, images: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, height, width, _ = images.shape
    rows, columns, size, features = kernel.shape
    images = jnp.pad(images, ((0, 0), *padding, (0, 0))).reshape(
        batch, height + rows - 1, width + columns - 1, groups, size
    )
    images = images.transpose(3, 0, 1, 2, 4)
    patches = jnp.concatenate(
        [
            images[:, :, row : row + height, column : column + width]
            for row, column in itertools.product(range(rows), range(columns))
        ],
        axis=-1,
    )
    matrices = kernel.reshape(rows * columns * size, groups, features // groups).swapaxes(0, 1)
    outputs = patches.reshape(groups, -1, rows * columns * size) @ matrices
    outputs = outputs.reshape(groups, batch, height, width, features // groups)
    return outputs.transpose(1, 2, 3, 0, 4).reshape(batch, height, width, features)
