"""A stretch of training as one function with a variable number of steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def make_stretch(step: Callable, batch_at: Callable, longest: int) -> Callable:
    """Makes the function of a stretch of training, so that a complete stretch is one compiled call.

    The number of steps is an argument of the compiled program, not a part of it. One program makes stretches of any
    length, and the results of a run do not depend on its division into stretches.

    Args:
        step: from `gan_jax.steps.make_train_step`.
        batch_at: (data, step, slot, positions) -> the batch of step number `step`, at the index `slot` of the data.
        longest: the maximum number of steps of a stretch.

    Returns:
        `stretch(state, data, positions, slot, count) -> (state, metrics)` makes `count` steps on the batches at the
        indices from `slot` on; the first `count` values of each metric [longest] are those of the steps.
    """

    def stretch(state: Any, data: Any, positions: jax.Array, slot: jax.Array, count: jax.Array):
        @functools.partial(jax.jit, inline=True)  # jitted, it is traced once for the two uses below
        def one(state: Any, slot: jax.Array):
            return step(state, batch_at(data, state.step, slot, positions), positions)

        def body(i: jax.Array, carry: Any):
            state, metrics = carry
            state, values = one(state, slot + i)
            return state, jax.tree.map(lambda kept, value: kept.at[i].set(value), metrics, values)

        _, values = jax.eval_shape(one, state, slot)
        metrics = jax.tree.map(lambda value: jnp.zeros((longest, *value.shape), value.dtype), values)
        return jax.lax.fori_loop(0, count, body, (state, metrics))

    return stretch
