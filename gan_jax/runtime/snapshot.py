"""Converts a training state to one array of bytes and a JSON description, and back, bit for bit, without files."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


def pack(state: PyTree) -> tuple[np.ndarray, dict[str, dict]]:
    """Copies a state to the host.

    Args:
      state: a tree of arrays, typed PRNG keys among them; arrays spread over several processes are replicated.

    Returns:
      The bytes of all arrays, one after the other (uint8, one dimension, memory of its own), and for each array, under
      its path in the tree, its shape, dtype, offset in bytes and, for PRNG keys, their implementation.
    """
    host = jax.device_get(jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, state))
    parts, leaves, offset = [], {}, 0
    for (path, leaf), array in zip(jax.tree.leaves_with_path(state), jax.tree.leaves(host), strict=True):
        description = {**_describe(leaf), 'offset': offset}
        leaves[_name(path)] = description | ({'key': jax.random.key_impl(leaf)} if _is_key(leaf) else {})
        parts.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        offset += array.nbytes
    return np.concatenate(parts), leaves  # copies: on the CPU device_get returns views of the buffers


def difference(target: PyTree, leaves: dict[str, dict]) -> str | None:
    """Describes the first array whose path, shape or dtype differs between a description and a target, or None."""
    saved = {name: _text(leaf) for name, leaf in leaves.items()}
    wanted = {_name(path): _text(_describe(leaf)) for path, leaf in jax.tree.leaves_with_path(target)}
    differing = [name for name in wanted | saved if wanted.get(name) != saved.get(name)]
    if not differing:
        return None
    there, here = (side.get(differing[0], 'absent') for side in (saved, wanted))
    return f'{differing[0]} is {there} in the checkpoint and {here} here (the first of {len(differing)} differences)'


def unpack(target: PyTree, data: np.ndarray, leaves: dict[str, dict]) -> PyTree:
    """The inverse of `pack`.

    Args:
      target: a tree of arrays or `jax.ShapeDtypeStruct`s, without `difference` to the packed one.
      data: the bytes.
      leaves: their description.

    Returns:
      The state, in new buffers on the default device.
    """

    def rebuild(path: tuple, leaf: Any) -> jax.Array:
        saved = leaves[_name(path)]
        stored = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        values = np.frombuffer(data, stored.dtype, math.prod(stored.shape), saved['offset'])
        array = jnp.array(values.reshape(stored.shape))
        return jax.random.wrap_key_data(array, impl=saved['key']) if _is_key(leaf) else array

    return jax.tree.map_with_path(rebuild, target)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(leaf: Any) -> dict[str, Any]:
    return {'shape': list(leaf.shape), 'dtype': str(leaf.dtype)}


def _text(leaf: dict[str, Any]) -> str:
    return f'{leaf["dtype"]}{leaf["shape"]}'


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator='/')
