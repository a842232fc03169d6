"""Trains many runs of one recipe in one compiled program: N seeds, or N values of one number of the config.

Each member equals the run of its config trained alone, up to rounding, and has its own directory,
`member-0`, `member-1`, ..., an ordinary run directory: it can be sampled, evaluated and continued separately.

The members are a `vmap` of the train step (on a CPU a loop inside the program), so the program must be the same for
all. Members can differ in a number that is an input of the program (a learning rate, a beta, the weight of a penalty),
but not in what determines the program (a width, a batch size, whether there is a penalty at all). Members are
distributed over the devices and do not communicate.
"""

import ast
import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from gan_jax import build, data
from gan_jax.errors import UserError
from gan_jax.game import Game, GanState
from gan_jax.runtime import compiler, parallel
from gan_jax.runtime.canonical import canonical
from gan_jax.schedules import SWITCHED_OFF_AT_0
from gan_jax.training import run
from gan_jax.training.stretch import make_stretch
from gan_jax.values import entering_as_values, value_of, with_values

AXIS = 'members'


class Population(NamedTuple):
    """The members of a population.

    Attributes:
        config: the common recipe.
        seeds: one seed per member.
        key: the key of the number in which they differ, or None.
        values: the values of that number, one per member; empty if they differ in the seed.
    """

    config: ConfigDict
    seeds: tuple[int, ...]
    key: str | None
    values: tuple[float, ...]

    def member(self, i: int) -> ConfigDict:
        """The config of a member, like that of an ordinary run."""
        changes = {'population': 1, 'vary': '', 'seed': self.seeds[i]}
        if self.key:
            changes[self.key] = self.values[i]
        return with_values(self.config, changes)

    @property
    def noun(self) -> str:
        """The name in messages: a population of one is a 'run'."""
        return 'run' if len(self.seeds) == 1 else 'population'

    def describe(self) -> str:
        """Describes the difference between members: 'seeds 0, 1, 2'."""
        name, numbers = (self.key, self.values) if self.key else ('seeds', self.seeds)
        return f'{name} {", ".join(map(str, numbers))}'


def make_population(config: ConfigDict) -> Population:
    """The population of a config.

    Args:
        config: with `population` N for the seeds from `seed` to `seed + N - 1`, or `vary` 'KEY=VALUE,VALUE,...'.

    Raises:
        UserError: `vary` has another form, its key is not a number of the config, or both are set and do not agree.
    """
    if not config.vary:
        return Population(config, tuple(range(config.seed, config.seed + config.population)), None, ())
    key, _, text = config.vary.partition('=')
    try:
        values = tuple(float(ast.literal_eval(value)) for value in text.split(','))
    except (ValueError, SyntaxError, TypeError) as error:
        raise UserError(f"vary is {config.vary!r}; write 'KEY=VALUE,VALUE,...' with numbers.") from error
    if 0 in values and key.rpartition('.')[2] in SWITCHED_OFF_AT_0:
        raise UserError(
            f'vary has 0 for {key}, which switches clipping off for one member only: train that value as a '
            'separate run.'
        )
    default = value_of(config, key)
    if not isinstance(default, float):
        raise UserError(
            f'vary names {key}, which is {default!r}: only floating-point numbers can differ between members.'
        )
    if config.population not in (1, len(values)):
        raise UserError(f'population is {config.population}, but vary has {len(values)} values: set one of them only.')
    return Population(config, (config.seed,) * len(values), key, values)


class Program:
    """The compiled program of a population; the members' numbers are its arguments.

    Attributes:
        mesh: the devices of the members; their number divides the number of members.
        share: number of members per device.
        layout: the layout of one member.
        game: the game of the first member; all games make the same samples from the same parameters.

    Args:
        population: the members.
        dataset: the common data set.
        classes: number of classes, if the game is conditional.
        vectorized: whether a device computes its members' steps together, by `vmap`, or one after the other; None:
            together, except on a CPU, where batched products and convolutions are slower.

    Raises:
        UserError: there are several processes, or the recipe cannot be trained on these data.
    """

    def __init__(
        self, population: Population, dataset: data.Dataset, classes: int | None, vectorized: bool | None = None
    ):
        if jax.process_count() > 1:
            raise UserError(
                'A population is trained by one process: start several populations, each with some of the seeds.'
            )
        self._vectorized = jax.default_backend() != 'cpu' if vectorized is None else vectorized
        count = len(population.seeds)
        devices = max(number for number in range(1, jax.device_count() + 1) if count % number == 0)
        self.mesh = Mesh(np.array(jax.devices()[:devices]), (AXIS,))
        self.share = count // devices
        self.layout = parallel.make_layout(population.config.batch_size, num_devices=1)
        self.game = run.make_game(population.member(0), dataset, classes, self.layout)
        self._population, self._dataset, self._classes = population, dataset, classes
        self._numbers = {'seed': np.asarray(population.seeds, np.uint32)}
        if population.key:
            self._numbers['value'] = np.asarray(population.values, np.float32)

    def target(self) -> GanState:
        """The shapes of a member's state."""
        return jax.eval_shape(build.initializer(self._population.member(0), self.game), jax.random.key(0))

    def start(self) -> GanState:
        """The members' states before the first step.

        Raises:
            UserError: the number in which the members differ determines the program.
        """
        references = [
            run.reference(self._population.member(i), self._dataset, self._classes)
            for i in range(len(self._numbers['seed']))
        ]
        stacked = None if references[0] is None else jax.tree.map(lambda *leaves: np.stack(leaves), *references)
        return self._spread(self._first_state, 2, compiler_options=compiler.ONCE)(self._numbers, stacked)

    def place(self, states: list[GanState]) -> GanState:
        """The members' states, stacked, each on its device."""
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return jax.device_put(stacked, self._sharding(AXIS))

    def member(self, tree: Any, i: int) -> Any:
        """The part of member `i` in a tree of states or metrics."""
        return jax.tree.map(lambda leaf: leaf[i], tree)

    def stretch(self, longest: int) -> parallel.Program:
        """The compiled program (states, *data, slot, count) -> (states, metrics [members, longest]).

        See `gan_jax.training.stretch`. The data are the same for all steps; `open` provides them.
        """
        advance = functools.partial(self._advance, longest)
        jitted = self._spread(advance, 2, donate_argnums=0, compiler_options=compiler.training())
        return parallel.Program(jitted, self.mesh.devices.flat[0].platform)

    def outline(self, longest: int) -> tuple[Any, ...]:
        """The data of a span of steps as from `open`, but with shapes instead of the examples."""
        del longest
        everywhere = self._sharding()
        shapes = jax.tree.map(
            lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=everywhere), self._dataset.arrays
        )
        return self._placed_numbers(), shapes

    @contextlib.contextmanager
    def open(self, spans: list[tuple[int, int]]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The data of each span of steps for `stretch`: the members' numbers, and all examples."""
        del spans
        yield itertools.repeat((self._placed_numbers(), jax.device_put(self._dataset.arrays, self._sharding())))

    def _placed_numbers(self) -> dict[str, jax.Array]:
        return jax.device_put(self._numbers, self._sharding(AXIS))

    def _sharding(self, *spec: str) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*spec))

    def _spread(self, function: Callable, split: int, **options: Any) -> Callable:
        """Compiles a function of one member for all; its first `split` arguments differ between members."""

        def over_members(one, own):
            return jax.vmap(one)(own) if self._vectorized else jax.lax.map(one, own)

        def members(*arguments):
            own, shared = arguments[:split], arguments[split:]
            return over_members(lambda one: function(*one, *shared), own)

        def spread(*arguments):
            specs = (PartitionSpec(AXIS),) * split + (PartitionSpec(),) * (len(arguments) - split)
            mapped = jax.shard_map(
                members, mesh=self.mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False
            )
            return mapped(*arguments)

        return jax.jit(canonical(spread), **options)

    def _first_state(self, number: dict[str, jax.Array], reference: tuple[jax.Array, ...] | None) -> GanState:
        with self._explaining():
            config, game = self._recipe(number, reference)
            initial = build.initializer(config, game)
            return initial(build.initial_key(config, number['seed']))

    def _advance(self, longest: int, state: GanState, number: dict[str, jax.Array], arrays: dict, slot, count):
        with self._explaining():
            config, game = self._recipe(number)
            feed = run.make_feed(config, self._dataset, self.layout, game, seed=number['seed'], placement='device')
            stretch = make_stretch(build.make_step(config, game), feed.batch_at, longest)
            return stretch(state, arrays, jnp.arange(config.batch_size, dtype=jnp.uint32), slot, count)

    def _recipe(self, number: dict[str, jax.Array], reference: Any = None) -> tuple[ConfigDict, Game]:
        """The config and game of a member whose number is traced."""
        config = self._population.member(0)
        if self._population.key:
            config = with_values(config, {self._population.key: number['value']})
        known = run.of_data(self._dataset, self._classes)
        return config, build.make_game(config, self._dataset.shape, reference=reference, **known)

    def _explaining(self) -> contextlib.AbstractContextManager[None]:
        return entering_as_values(
            f'vary names {self._population.key}', 'so its values cannot share a program: train a separate run for each'
        )
