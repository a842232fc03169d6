"""A population without run directories, for experiments with their own measurements and pictures."""

from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import data
from gan_jax.game import GanState
from gan_jax.training import run
from gan_jax.training.population import Population, Program


def watch_population(
    config: ConfigDict, dataset: data.Dataset, seeds: Sequence[int], *, every: int, classes: int | None = None
) -> Iterator[tuple[int, GanState, dict[str, np.ndarray]]]:
    """Trains one member for each seed; member i starts and draws as the recipe alone with seed i would.

    Args:
        config: the recipe; its own seed is not used.
        dataset: the examples.
        seeds: one for each member.
        every: steps between two looks at the population.
        classes: number of classes; None: the game is unconditional.

    Yields:
        The step, the members' states stacked along a first axis, and the metrics [members] at that step: before the
        first step without metrics, then after every `every` steps, and at the end.
    """
    total = configs.steps(config, 'duration')
    program = Program(Population(config, tuple(seeds), None, ()), dataset, classes)
    states = program.start()
    yield 0, states, {}
    longest = min(every, total)
    stretch = program.stretch(longest)
    spans = run.spans(0, total, longest)
    with program.open(spans) as blocks:
        for (first, last), block in zip(spans, blocks, strict=False):
            states, metrics = stretch(states, *block, np.int32(0), np.int32(last - first))
            yield last, states, {name: np.asarray(values[:, last - first - 1]) for name, values in metrics.items()}
