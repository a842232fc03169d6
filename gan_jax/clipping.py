"""Sums of per-example gradients of bounded norm: the part of DP-SGD that sees the data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array, Key, PyTree

_MARGIN = 1e-5  # of the norm, so that rounding never exceeds it


def clipped_sum(
    gradient: Callable[[PyTree], tuple[PyTree, dict[str, Array]]],
    examples: PyTree,
    included: Array,
    *,
    clip: float | Array,
    microbatch: int,
    axis_name: str | None = None,
) -> tuple[PyTree, dict[str, Array]]:
    """The sum of clipped gradients over the included examples (Abadi et al. 2016, algorithm 1).

    Each gradient g counts as g min(1, clip / |g|), with its norm over all parameters. So one example more or less
    changes the sum by a vector whose norm is at most `clip`.

    Args:
        gradient: an example -> (its gradient, scalars by name).
        examples: a tree of arrays [B, ...].
        included: bool [B].
        clip: the largest norm of an example's gradient.
        microbatch: number of examples whose gradients are in memory at the same time; it divides B, or is larger.
            Microbatches after the last included example cost nothing.
        axis_name: the mapped axis over whose devices the examples are spread.

    Returns:
        The sum, and the means of the scalars over the included examples, with 'example_norm', the norm before clipping,
        and 'clipped', the share of the examples whose norm was larger than `clip`, and their number 'examples'.
    """
    microbatch = min(microbatch, len(included))
    if len(included) % microbatch:
        raise UserError(
            f'game.microbatch={microbatch} does not divide the {len(included)} examples of a batch on each device.'
        )

    def part(i: Array) -> PyTree:
        own, present = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * microbatch, microbatch), (examples, included)
        )
        gradients, values = jax.vmap(gradient)(own)
        squares = [jnp.square(leaf).reshape(microbatch, -1).sum(1) for leaf in jax.tree.leaves(gradients)]
        norms = jnp.sqrt(sum(squares))
        scales = jnp.where(present, jnp.minimum(1.0, clip * (1 - _MARGIN) / norms), 0.0)
        values = {**values, 'example_norm': norms, 'clipped': norms > clip}
        return (
            jax.tree.map(lambda leaf: jnp.einsum('b,b...->...', scales, leaf, precision='highest'), gradients),
            {name: jnp.where(present, value, 0).sum() for name, value in values.items()},
            present.sum(),
        )

    def add(i: Array, total: PyTree) -> PyTree:
        return jax.tree.map(jnp.add, total, part(i))

    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(part, jnp.int32(0)))
    if axis_name is not None:
        zeros = jax.tree.map(lambda leaf: jax.lax.pcast(leaf, axis_name, to='varying'), zeros)
    last = jnp.max(jnp.where(included, 1 + jnp.arange(len(included)), 0))
    total = jax.lax.fori_loop(0, -(-last // microbatch), add, zeros)
    if axis_name is not None:
        total = jax.lax.psum(total, axis_name)
    summed, values, count = total
    means = {name: value / jnp.maximum(count, 1) for name, value in values.items()}
    return summed, means | {'examples': count.astype(jnp.float32)}


def noisy(tree: PyTree, key: Key, deviation: float | Array) -> PyTree:
    """A tree of float32 arrays with independent Gaussian noise of that standard deviation on every number."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    noise = [jax.random.normal(one, leaf.shape) for one, leaf in zip(keys, leaves, strict=True)]
    return structure.unflatten([leaf + deviation * more for leaf, more in zip(leaves, noise, strict=True)])


def with_gradient(value: Array, params: PyTree, gradient: PyTree) -> Array:
    """The value as a function of `params` whose gradient is the given one."""
    differences = jax.tree.map(lambda param: param - jax.lax.stop_gradient(param), params)  # zeros
    products = jax.tree.map(lambda one, other: jnp.vdot(one, jax.lax.stop_gradient(other)), differences, gradient)
    return jax.lax.stop_gradient(value) + sum(jax.tree.leaves(products))
