"""Grouped convolutions.

XLA:CPU takes 20 to 60 times as long for a grouped convolution and its gradients as for the forms
used here on a CPU; see docs/benchmarks.md. On other devices it is the plain XLA operation.

- Blocks: neighbouring groups make one convolution of at least 32 channels, whose kernel is zero between the groups. The
  multiplications by zero cost less than the many narrow convolutions that they save.
- Products: of patches and matrices, for all groups at once, if there would be very many blocks to compile.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.errors import UserError
from gan_jax.layers.convolution import by_platform, convolution

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
    fast = _by_blocks if _number_of_blocks(channels, groups) <= _MOST_BLOCKS else _by_products
    return by_platform(functools.partial(fast, groups=groups), functools.partial(_plain, groups=groups), images, kernel)


def _plain(images: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    order = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(images, kernel, (1, 1), 'SAME', dimension_numbers=order, feature_group_count=groups)


def _number_of_blocks(channels: int, groups: int) -> int:
    """The most blocks of as many groups each and at least _WIDTH channels."""
    fitting = [number for number in range(1, groups + 1) if groups % number == 0 and channels >= number * _WIDTH]
    return max(fitting, default=1)


def _by_blocks(images: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    blocks = _number_of_blocks(images.shape[-1], groups)
    members, size = groups // blocks, kernel.shape[2]

    def block(kernels: list[jax.Array]) -> jax.Array:
        """The kernels of neighbouring groups as one, whose features see zeros of each other's channels."""
        channels = [(size * i, size * (members - 1 - i)) for i in range(members)]
        return jnp.concatenate(
            [jnp.pad(one, ((0, 0), (0, 0), own, (0, 0))) for one, own in zip(kernels, channels, strict=True)], axis=-1
        )

    kernels = jnp.split(kernel, groups, axis=-1)
    blocked = [block(kernels[i : i + members]) for i in range(0, groups, members)]
    parts = jnp.split(images, blocks, axis=-1)
    return jnp.concatenate([convolution(part, one) for part, one in zip(parts, blocked, strict=True)], axis=-1)


def _by_products(images: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    batch, height, width, _ = images.shape
    rows, columns, size, features = kernel.shape
    before, behind = [(n - 1) // 2 for n in (rows, columns)], [n // 2 for n in (rows, columns)]
    padding = ((0, 0), *zip(before, behind, strict=True), (0, 0))
    images = jnp.pad(images, padding).reshape(batch, height + rows - 1, width + columns - 1, groups, size)
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
