"""The completed share of the training, for layers that change during training, such as layers that fade in."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

COLLECTION = 'progress'


def training_share(module: nn.Module) -> jax.Array:
    """The completed share of the training phase, a float32 scalar from 0 to 1; for use in a compact module's call.

    It is a variable in the collection 'progress', so samples of a checkpoint use the share at its step.
    `gan_jax.steps.make_train_step` sets it before each round, if it is given `progress`; the initial value is 0.
    """
    return module.variable(COLLECTION, 'share', lambda: jnp.zeros(())).value


def faded_in(network: nn.Module) -> jax.Array:
    """The fade-in of the last stage of a network, from 0 to 1, with its `fade`; for use in a compact module's call."""
    return jnp.minimum(1.0, training_share(network) / network.fade)


def blended(before: jax.Array, after: jax.Array, share: jax.Array) -> jax.Array:
    """The linear interpolation between two arrays."""
    return (before + share * (after - before)).astype(after.dtype)


def with_share(variables: Any, share: jax.Array) -> Any:
    """A tree of networks' variables with another value in the collections 'progress'."""

    def changed(path: tuple, leaf: jax.Array) -> jax.Array:
        is_progress = any(getattr(key, 'key', None) == COLLECTION for key in path)
        return jnp.full(leaf.shape, share, leaf.dtype) if is_progress else leaf

    return jax.tree_util.tree_map_with_path(changed, variables)
