"""One training as compiled functions, for experiments that measure at any step and between steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.data import Dataset
from gan_jax.game import Game, GanState
from gan_jax.runtime import parallel
from gan_jax.steps import TrainStep
from gan_jax.training import run


class Loop(NamedTuple):
    """The functions; the arrays of the data are arguments, because a compiled function would copy what it encloses.

    Attributes:
        batch_at: (arrays, seed, number) -> the batch of that number in the training with a seed.
        train: (state, arrays, seed, step) -> the state at that step.
        positions: the positions of a batch.
    """

    batch_at: Callable[..., dict[str, jax.Array]]
    train: Callable[..., GanState]
    positions: jax.Array


def make_loop(config: ConfigDict, dataset: Dataset, game: Game, step: TrainStep) -> Loop:
    """The functions of a config's batches and of a train step, on one device."""
    layout = parallel.make_layout(config.batch_size, num_devices=1)
    positions = jnp.arange(config.batch_size, dtype=jnp.uint32)

    def batch_at(arrays: Any, seed: Any, number: Any) -> dict[str, jax.Array]:
        feed = run.make_feed(config, dataset, layout, game, seed=seed, placement='device')
        return feed.batch_at(arrays, number, None, positions)

    def train(state: GanState, arrays: Any, seed: Any, until: Any) -> GanState:
        def one(state: GanState) -> GanState:
            return step(state, batch_at(arrays, seed, state.step), positions)[0]

        return jax.lax.while_loop(lambda state: state.step < until, one, state)

    return Loop(batch_at, train, positions)
