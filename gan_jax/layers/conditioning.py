"""Conditions of networks: class labels, mixtures of classes, several labels at once, continuous vectors.

A condition is whole numbers [B], the classes, or vectors [B, n]; a one-hot vector is equivalent to its class. So
classes can be interpolated, and the parameters are the same for both.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gan_jax.errors import UserError
from gan_jax.layers.spectral import SpectralNormalization


class Embedding(nn.Module):
    """A learnt vector for each class, or a linear map of condition vectors: [B] or [B, num] -> [B, features], float32.

    Attributes:
        num: n, the number of classes or the width of the vectors.
        features: the width of an embedding.
        kernel_init: initialiser of the `table` [num, features].
        spectral_iterations: power iterations of spectral normalisation in a training call; 0: not normalised.
    """

    num: int
    features: int
    kernel_init: Initializer = nn.initializers.normal(1.0)
    spectral_iterations: int = 0

    @nn.compact
    def __call__(self, condition: jax.Array, *, train: bool = False) -> jax.Array:
        """Rows of the table, or their sum weighted by the vectors; errors as in `as_vectors`."""
        table = self.param('table', self.kernel_init, (self.num, self.features))
        if self.spectral_iterations:
            # Transposed, as published: the vector that is kept has an entry for each class.
            table = SpectralNormalization(self.spectral_iterations, name='normalization')(table.T, train=train).T
        if _are_classes(condition, self.num):
            return table[condition]
        return jnp.dot(condition.astype(jnp.float32), table, precision=jax.lax.Precision.HIGHEST)


def as_vectors(condition: jax.Array, num: int) -> jax.Array:
    """A condition as vectors [B, num], float32: one-hot for classes, otherwise unchanged.

    Raises:
        UserError: it is neither whole numbers [B] nor vectors [B, num].
    """
    return jax.nn.one_hot(condition, num) if _are_classes(condition, num) else condition.astype(jnp.float32)


def planes(inputs: jax.Array, vectors: jax.Array) -> jax.Array:
    """Inputs [B, ..., C] with the vectors [B, n] appended as constant channels: [B, ..., C + n]."""
    vectors = vectors.reshape(vectors.shape[0], *(1,) * (inputs.ndim - 2), -1)
    constant = jnp.broadcast_to(vectors, (*inputs.shape[:-1], vectors.shape[-1]))
    return jnp.concatenate([inputs, constant.astype(inputs.dtype)], axis=-1)


def _are_classes(condition: jax.Array, num: int) -> bool:
    if condition.ndim == 1 and jnp.issubdtype(condition.dtype, jnp.integer):
        return True
    if condition.ndim == 2 and condition.shape[1] == num:
        return False
    raise UserError(
        f'The condition is {condition.dtype} of shape {condition.shape}; give whole numbers [B] below {num}, or '
        f'vectors [B, {num}].'
    )
