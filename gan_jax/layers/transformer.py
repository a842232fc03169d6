"""Parts of vision transformers: patches, positions, normalisation, attention, gated layers.

An image is divided into patches, and each patch is a token [..., D]. Positions are used twice: as a fixed table that is
added to the tokens, and as rotations of queries and keys.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import Initializer

from gan_jax.errors import UserError
from gan_jax.layers.choices import require
from gan_jax.layers.linear import Dense

XAVIER = nn.initializers.xavier_uniform()


def patches(images: jax.Array, size: int) -> jax.Array:
    """Images [B, H, W, C] cut into squares, row by row: [B, H W / size^2, size^2 C]."""
    batch, height, width, channels = images.shape
    cut = images.reshape(batch, height // size, size, width // size, size, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, size * size * channels)


def joined(tokens: jax.Array, shape: tuple[int, int, int], size: int) -> jax.Array:
    """The inverse of `patches`: tokens [B, H W / size^2, size^2 C] -> images [B, H, W, C] for a shape (H, W, C)."""
    height, width, channels = shape
    cut = tokens.reshape(-1, height // size, width // size, size, size, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def grid_of(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Rows and columns of patches in an image of shape (H, W, C).

    Raises:
        UserError: it is not an image, or its sides are not multiples of the patch.
    """
    if len(shape) != 3 or any(side % size for side in shape[:2]):
        raise UserError(
            f'Patches of {size}x{size} pixels do not cover an example of shape {tuple(shape)}: give images [H, W, C] '
            'whose sides are multiples of the patch, or another patch.'
        )
    return shape[0] // size, shape[1] // size


def sine_table(grid: tuple[int, int], width: int) -> np.ndarray:
    """Fixed positions of a grid's tokens, row by row: [rows columns, width], float32.

    The first half of each vector is the column's, the second the row's; each is sines and then cosines of the place at
    frequencies from 1 to 1 / 10000 (Vaswani et al. 2017, section 3.5, in the form of He et al. 2022, "Masked
    Autoencoders").

    Raises:
        UserError: the width is not a multiple of 4.
    """
    require(width % 4 == 0, 'The width of a transformer', width, 'a multiple of 4')
    rows, columns = np.divmod(np.arange(math.prod(grid)), grid[1])
    angles = [np.outer(places, _frequencies(width // 4)) for places in (columns, rows)]
    return np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)], axis=1).astype(np.float32)


def rotary_angles(grid: tuple[int, int], dimensions: int) -> np.ndarray:
    """Angles of the rotary embedding of a grid's tokens: [rows columns, dimensions / 2], float32.

    Su et al. 2021, "RoFormer", in two dimensions: the first half of the pairs turns with the row, the second with the
    column, at frequencies from 1 to 1 / 10000.

    Raises:
        UserError: the dimensions of a head are not a multiple of 4.
    """
    require(dimensions % 4 == 0, 'The dimensions of a head of attention', dimensions, 'a multiple of 4')
    places = np.divmod(np.arange(math.prod(grid)), grid[1])
    angles = [np.outer(place, _frequencies(dimensions // 4)) for place in places]
    return np.concatenate(angles, axis=1).astype(np.float32)


def rotate(tokens: jax.Array, angles: np.ndarray) -> jax.Array:
    """Tokens [B, T, heads, d] whose pairs of neighbouring dimensions are turned by angles [T, d / 2]."""
    cosine, sine = (f(angles)[:, None].astype(tokens.dtype) for f in (np.cos, np.sin))
    pairs = tokens.reshape(*tokens.shape[:-1], -1, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    turned = first * cosine - second * sine, first * sine + second * cosine
    return jnp.stack(turned, axis=-1).reshape(tokens.shape)


def attend(queries: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1): three of [B, T, heads, d] -> [B, T, heads, d].

    The softmax is float32. The heads are moved before the tokens, the fastest layout for XLA:CPU's matrix products
    (docs/benchmarks.md has the times of other forms).
    """
    queries, keys, values = (one.transpose(0, 2, 1, 3) for one in (queries, keys, values))
    weights = jnp.einsum('bhqd,bhkd->bhqk', queries / math.sqrt(queries.shape[-1]), keys)
    weights = nn.softmax(weights.astype(jnp.float32), axis=-1).astype(values.dtype)
    return jnp.einsum('bhqk,bhkd->bhqd', weights, values).transpose(0, 2, 1, 3)


def root_mean_square(values: jax.Array) -> jax.Array:
    """Values [..., D] divided by the root of the mean of their squares, in float32 inside; epsilon 1e-6."""
    wide = values.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-6)).astype(values.dtype)


class RMSNorm(nn.Module):
    """`root_mean_square` times a learnt `scale` [D] (Zhang and Sennrich 2019)."""

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """Outputs of the shape and dtype of the values [..., D]."""
        scale = self.param('scale', nn.initializers.ones, values.shape[-1:])
        return root_mean_square(values) * scale.astype(values.dtype)


class Attention(nn.Module):
    """Self-attention of tokens with RMS-normalised and rotated queries and keys.

    Attributes:
        heads: number of heads; they divide the width.
        kernel_init: initialiser of the kernels.
        dtype: dtype of the arithmetic.
    """

    heads: int
    kernel_init: Initializer = XAVIER
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array, angles: np.ndarray) -> jax.Array:
        """Tokens [B, T, D] and their angles [T, D / heads / 2] -> [B, T, D]."""
        batch, count, width = tokens.shape
        options = {'kernel_init': self.kernel_init, 'dtype': self.dtype}
        three = Dense(3 * width, name='queries_keys_values', **options)(tokens)
        queries, keys, values = jnp.moveaxis(three.reshape(batch, count, 3, self.heads, -1), 2, 0)
        queries = rotate(RMSNorm(name='normalize_queries')(queries), angles)
        keys = rotate(RMSNorm(name='normalize_keys')(keys), angles)
        read = attend(queries, keys, values).reshape(batch, count, width)
        return Dense(width, name='output', **options)(read)


class SwiGLU(nn.Module):
    """Two dense layers, of which the first is gated: W (SiLU(U x) * V x) (Shazeer 2020), for tokens [..., D].

    The hidden layer has 8 D / 3 units, rounded down.

    Attributes:
        kernel_init: initialiser of the kernels.
        dtype: dtype of the arithmetic.
    """

    kernel_init: Initializer = XAVIER
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Outputs of the shape of the tokens."""
        width = tokens.shape[-1]
        options = {'kernel_init': self.kernel_init, 'dtype': self.dtype}
        gate, hidden = jnp.split(Dense(2 * (8 * width // 3), name='hidden', **options)(tokens), 2, axis=-1)
        return Dense(width, name='output', **options)(nn.silu(gate) * hidden)


def _frequencies(count: int) -> np.ndarray:
    return 10_000.0 ** -(np.arange(count) / count)
