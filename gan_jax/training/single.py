"""The compiled program of a single run, over the devices of its layout."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

from gan_jax import build, data
from gan_jax.game import GanState
from gan_jax.runtime import parallel
from gan_jax.training import run
from gan_jax.training.population import Population
from gan_jax.training.stretch import make_stretch


class Single:
    """The compiled program of a single run; `gan_jax.training.population.Program` is that of several.

    Attributes:
        share: number of members per device.
        layout: the devices.
        game: the game.

    Args:
        alone: the population of one.
        dataset: the training data.
        classes: number of classes, if the game is conditional.
    """

    share = 1

    def __init__(self, alone: Population, dataset: data.Dataset, classes: int | None):
        config = alone.member(0)
        self.layout = parallel.make_layout(
            config.batch_size, mode=config.parallel.mode, num_devices=config.parallel.devices or None
        )
        self.game = run.make_game(config, dataset, classes, self.layout)
        self._feed = run.make_feed(config, dataset, self.layout, self.game)
        self._step = build.make_step(config, self.game, self.layout.axis_name)
        self._config, self._dataset = config, dataset

    def target(self) -> GanState:
        """The shapes of a member's state."""
        return jax.eval_shape(build.initializer(self._config, self.game), jax.random.key(0))

    def start(self) -> GanState:
        """The state before the first step."""
        return build.init_state(self._config, self.game)

    def place(self, states: list[GanState]) -> GanState:
        """The members' states in new buffers on the devices."""
        return self.layout.replicate(states[0])

    def member(self, tree: Any, i: int) -> Any:
        """The part of member `i` in a tree of states or metrics: all of it."""
        del i
        return tree

    def stretch(self, longest: int) -> parallel.Program:
        """The compiled program (state, *data, slot, count) -> (state, metrics); see `gan_jax.training.stretch`."""
        return self.layout.compile(
            make_stretch(self._step, self._feed.batch_at, longest), data_axis=self._feed.data_axis
        )

    def outline(self, longest: int) -> tuple[Any, ...]:
        """The data of a span of steps as from `open`, but with shapes instead of arrays; in one process."""
        arrays, axis = self._dataset.arrays, self._feed.data_axis
        if axis is not None:
            batches = longest * self.game.batches, self.layout.batch_size
            arrays = jax.tree.map(lambda array: jax.ShapeDtypeStruct((*batches, *array.shape[1:]), array.dtype), arrays)
        return self.layout.outline(arrays, axis), self.layout.split(self.layout.local_positions)

    @contextlib.contextmanager
    def open(self, spans: list[tuple[int, int]]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The data of each span of steps for `stretch`."""
        positions = self.layout.split(self.layout.local_positions)
        with self._feed.open(spans) as blocks:
            yield ((block, positions) for block in blocks)
