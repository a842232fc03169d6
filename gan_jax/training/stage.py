"""A phase of a run, ready to train: its config, data and compiled program."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import build, data
from gan_jax import config as configs
from gan_jax.game import Game, Player
from gan_jax.records.writers import Writers
from gan_jax.runtime import parallel
from gan_jax.training import cost, phases, run
from gan_jax.training.population import Population, Program
from gan_jax.training.single import Single


@dataclasses.dataclass
class Stage:
    """A phase of the members of a population, or of a single run.

    Attributes:
        recipe: the population with the phase's config, which includes its place in the run.
        dataset: the training data.
        alone: whether there is only one member.
        is_last: whether it is the last phase of its run.
    """

    recipe: Population
    dataset: data.Dataset
    alone: bool
    is_last: bool

    def __post_init__(self):
        self.classes = run.count_classes(self.config, self.dataset)
        self.program = (Single if self.alone else Program)(self.recipe, self.dataset, self.classes)
        cost.check_state(self.config, self.program.target(), members=self.program.share)

    def check(self) -> None:
        """Raises a UserError if its step or its evaluation is impossible, without running them."""
        config = self.recipe.member(0)
        build.step_metrics(config, self.dataset.shape, **run.of_data(self.dataset, self.classes))
        if config.evaluate:
            run.choose_reference(config, self.dataset, self.game)

    @property
    def config(self) -> ConfigDict:
        """The config of the phase that the members share."""
        return self.recipe.config

    @property
    def game(self) -> Game:
        """The game that samples."""
        return self.program.game

    @property
    def begin(self) -> int:
        """The number of steps of the run before the phase."""
        return self.config.phase.steps

    @property
    def end(self) -> int:
        """The last step of the phase, counted from the beginning of the run."""
        return phases.end(self.config)

    @property
    def longest(self) -> int:
        """The maximum number of steps in a line of the records."""
        return min(configs.steps(self.config, 'log_every'), self.end - self.begin)

    @functools.cached_property
    def evaluate(self) -> Callable[[int, Mapping[str, Player], Writers, int], dict[str, float]]:
        """Evaluates the players of a member and records the values; see `gan_jax.training.run.make_evaluation`."""
        return run.make_evaluation(self.recipe.member(0), self.dataset, self.game, self.program.layout)

    @functools.cached_property
    def stretch(self) -> parallel.Program:
        """The compiled program of training; see `gan_jax.training.stretch`."""
        return self.program.stretch(self.longest)

    def lines(self, begin: int) -> list[tuple[int, int]]:
        """[(first, last), ...]: the steps of each line of the records from step `begin` on, counted in the phase."""
        return run.spans(begin, self.end - self.begin, configs.steps(self.config, 'log_every'))

    def due(self, first: int, last: int) -> tuple[bool, ...]:
        """Whether samples, a checkpoint and an evaluation are due after a line, all of them at the end."""
        every = (configs.steps(self.config, key) for key in configs.INTERVALS[1:])
        return tuple(self.begin + last == self.end or first // one != last // one for one in every)

    def outline(self) -> tuple[Any, ...]:
        """The data of a line, with shapes instead of arrays."""
        return self.program.outline(self.longest)
