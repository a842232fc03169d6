"""Dropout whose masks depend on positions in the global batch, not on devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.layers.choices import require


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014), each example's mask drawn from its position in the global batch.

    `flax.linen.Dropout` under `pmap` would draw the same masks on every device. Here the devices draw what a single
    device would draw for the complete batch. Kept inputs are divided by 1 - rate; the random stream is 'dropout'.

    Attributes:
        rate: the share of inputs that become 0, in [0, 1).
        axis_name: the mapped axis of the batch, or None.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Inputs [B, ...] unchanged, or with dropout if `train` is true; a UserError for an impossible rate."""
        require(0 <= self.rate < 1, 'dropout', self.rate, 'at least 0 and below 1')
        if not train or not self.rate:
            return inputs

        def mask(key: jax.Array) -> jax.Array:
            return jax.random.bernoulli(key, 1 - self.rate, inputs.shape[1:])

        key = self.make_rng('dropout')
        keep = global_batch.draw(mask, key, global_batch.positions(len(inputs), self.axis_name))
        return jnp.where(keep, inputs / (1 - self.rate), 0)
