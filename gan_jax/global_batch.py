"""The global batch of a step, whose examples may be divided over the devices of a mapped axis.

`axis_name` is the name of that axis; None: this device has the whole batch. Draws depend on positions in the global
batch, so devices that share a batch draw what one device would draw.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Key = jax.Array
PyTree = Any


def mean(tree: PyTree, axis_name: str | None) -> PyTree:
    """The mean of each device's values over the devices."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def gather(tree: PyTree, axis_name: str | None) -> PyTree:
    """Arrays [B, ...] of this device -> arrays [B, ...] of the global batch."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)


def roll(rows: Array, axis_name: str | None) -> Array:
    """Row i + 1 of the global batch for row i, and the first row for the last: [B, ...] -> [B, ...]."""
    if axis_name is None:
        return jnp.roll(rows, -1, axis=0)
    everywhere = gather(rows, axis_name)
    return everywhere[(positions(len(rows), axis_name) + 1) % len(everywhere)]


def positions(count: int, axis_name: str | None) -> Array:
    """The positions int32 [count] in the global batch of the examples on this device."""
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return first + jnp.arange(count)


def draw(sample: Callable[..., Array], key: Key, positions: Array, *arrays: Array) -> Array:
    """One independent draw for each position.

    Args:
        sample: (key, a row of each array) -> a draw [...].
        key: random key of the global batch.
        positions: positions [B] in the global batch.
        *arrays: further arguments [B, ...] of `sample`.

    Returns:
        [B, ...].
    """
    return jax.vmap(lambda position, *rows: sample(jax.random.fold_in(key, position), *rows))(positions, *arrays)


def axis_of(layer: Any) -> str | None:
    """The layer's field `axis_name`; None during initialisation, which runs outside the mapped axis."""
    return None if layer.is_initializing() else layer.axis_name
