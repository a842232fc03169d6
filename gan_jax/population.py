"""Many runs of one recipe in one compiled program: N seeds, or N values of any number of the config.

Each member equals the run of its own config trained alone, up to float noise, and lives in a directory of its own,
`member-0`, `member-1`, ..., which is that of an ordinary run: it can be sampled, evaluated and trained on alone.

The members are a `vmap` of the train step, on a CPU a loop inside the program, so the program must be the same for all:
what may differ is a number that enters it as a value (a learning rate, a beta, the weight of a penalty), and not what
decides its shape (a width, a batch size, whether there is a penalty at all). Over several devices the members are
spread, and do not talk.
"""

import ast
import contextlib
import dataclasses
import functools
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from gan_jax import build, compiler, cost, data, lock, parallel, report, run, sampling, steps
from gan_jax import config as configs
from gan_jax.canonical import canonical
from gan_jax.checkpoint import Checkpoints
from gan_jax.errors import DivergedError, InterruptedRunError, UserError
from gan_jax.game import Game, GanState, Pair, Player, named_key
from gan_jax.interrupt import StopSignals
from gan_jax.parallel import Layout
from gan_jax.writers import Writers

AXIS = 'members'


class Population(NamedTuple):
    """The members of a population.

    Attributes:
        config: the recipe that they share.
        seeds: one for each member.
        key: of the number in which they differ, or None.
        values: of that number, one for each member; empty where they differ in the seed.
    """

    config: ConfigDict
    seeds: tuple[int, ...]
    key: str | None
    values: tuple[float, ...]

    def member(self, i: int) -> ConfigDict:
        """The config of a member, as of an ordinary run."""
        changes = {'population': 1, 'vary': '', 'seed': self.seeds[i]}
        if self.key:
            changes[self.key] = self.values[i]
        return with_values(self.config, changes)

    def describe(self) -> str:
        """What differs: 'seeds 0, 1, 2'."""
        name, numbers = (self.key, self.values) if self.key else ('seeds', self.seeds)
        return f'{name} {", ".join(map(str, numbers))}'


def make_population(config: ConfigDict) -> Population:
    """The population of a config.

    Args:
        config: with `population` N for the seeds from `seed` to `seed + N - 1`, or `vary` 'KEY=VALUE,VALUE,...'.

    Raises:
        UserError: `vary` is not of that form, its key is no number of the config, or both are set and do not agree.
    """
    if not config.vary:
        return Population(config, tuple(range(config.seed, config.seed + config.population)), None, ())
    key, _, text = config.vary.partition('=')
    try:
        values = tuple(float(ast.literal_eval(value)) for value in text.split(','))
    except (ValueError, SyntaxError, TypeError) as error:
        raise UserError(f"vary is {config.vary!r}; write 'KEY=VALUE,VALUE,...', numbers all.") from error
    if 0 in values and key.rpartition('.')[2] in ('clip_norm', 'clip_weights'):
        raise UserError(
            f'vary has 0 for {key}, which alone would switch clipping off: train that value as a run of its own.'
        )
    default = configs.value_of(config, key)
    if not isinstance(default, float):
        raise UserError(
            f'vary names {key}, which is {default!r}: only a number with a fraction can differ in one program.'
        )
    if config.population not in (1, len(values)):
        raise UserError(f'population is {config.population}, but vary has {len(values)} values: set one of them only.')
    return Population(config, (config.seed,) * len(values), key, values)


def with_values(config: ConfigDict, values: dict[str, Any]) -> ConfigDict:
    """A copy of a config with other values, which may be traced."""
    changed = config.copy_and_resolve_references()
    for key, value in values.items():
        section, _, name = key.rpartition('.')
        holder = configs.value_of(changed, section) if section else changed
        with holder.ignore_type():
            holder[name] = value
    return changed


@lock.alone
def train_population(
    config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False
) -> list[GanState]:
    """Trains all members, or goes on where an earlier start was stopped.

    A member whose metrics become NaN or infinite is given up, with its last good checkpoint and a `diverged.json`, and
    the others go on.

    Args:
        config: from `gan_jax.config.load`, with `population` or `vary`.
        workdir: the members' directories are below it.
        accept_config_changes: go on although the data or a member's config differ from those it was started with.

    Returns:
        The members' last states.

    Raises:
        UserError: something that the user has to mend.
        DivergedError: all members have diverged.
        InterruptedRunError: SIGTERM or Ctrl-C came; all members are saved that have not diverged.
    """
    population = make_population(config)
    configurations = [population.member(i) for i in range(len(population.seeds))]
    directories = [pathlib.Path(workdir) / f'member-{i}' for i in range(len(configurations))]
    for member, directory in zip(configurations, directories, strict=True):
        configs.check(member)
        run.check_same_run(directory, member, accept_config_changes)
    _check_trainable(config)

    # Data, game, program
    layout = parallel.make_layout(config.batch_size, num_devices=1)
    dataset = run.load_training_data(config.data, directories, accept_config_changes)
    classes = run.count_classes(config, dataset)
    game = run.make_game(configurations[0], dataset, classes, layout)
    program = Program(population, dataset, classes, layout)
    target = jax.eval_shape(build.initializer(configurations[0], game), jax.random.key(0))
    cost.check_state(config, target, members=len(configurations) // program.mesh.size)
    total, *intervals, log_every = (configs.steps(config, key) for key in (*configs.INTERVALS, 'log_every'))

    with contextlib.ExitStack() as stack, StopSignals() as signals:
        stack.enter_context(lock.exclusive(*directories))  # each is that of a run, which could be trained alone
        checkpoints = [
            stack.enter_context(Checkpoints(one / 'checkpoints', **configs.retention(config))) for one in directories
        ]
        given_up = _given_up(directories, accept_config_changes)
        begin, states = _restore(checkpoints, program, given_up)
        given_up = given_up if begin else set()  # at the beginning all are started anew
        if begin >= total:
            run.say(f'This population is finished (step {begin} of {total}).')
            return _unstacked(states, len(checkpoints))
        members, evaluate = [], run.make_evaluation(config, dataset, game, classes, layout)
        for member, directory, kept in zip(configurations, directories, checkpoints, strict=True):
            out = stack.enter_context(
                Writers(directory, begin=begin, total=total, every=log_every, quiet=bool(members))
            )
            samples = sampling.fixed_samples(game, config.samples, member.seed, classes)
            diverged = DivergedError('it was given up before') if len(members) in given_up else None
            if not diverged:
                run.begin_directory(directory, member, dataset, layout, _member(states, 0), samples)
            members.append(_Member(member, game, dataset, kept, out, samples, evaluate, diverged))
        run.introduce(config, dataset, layout, _member(states, 0), begin)
        run.say(f'{len(members)} members over {program.mesh.size} devices: {population.describe()}.')

        for first, last in run.spans(begin, total, log_every):
            states, metrics = program.stretch(last - first)(states)
            if first == begin:  # as in a run alone: while the devices are at work
                build.warn_of_mixing(config, dataset.shape, classes)
            metrics = jax.device_get(metrics)
            due = [last == total or first // every != last // every for every in intervals]
            stop = signals.received is not None
            for i, member in enumerate(members):
                member.look(first, last, _member(metrics, i), lambda: _member(states, i), due, stop)  # noqa: B023
            if all(member.diverged for member in members):
                raise members[0].diverged
            if stop and last < total:
                raise InterruptedRunError(
                    f'the population is saved at step {last} of {total}, as asked: the same command goes on.',
                    signals.received,
                )
    for i, (member, directory) in enumerate(zip(members, directories, strict=True)):
        if member.diverged:
            report.write(directory)
        else:
            generator = run.generator_of(_member(states, i))
            run.picture_whole(directory, member.config, dataset, game, member.samples, generator)
    run.say(f'Done. Each of {workdir}/member-0 ... member-{len(members) - 1} is the directory of a run.')
    return _unstacked(states, len(members))


@dataclasses.dataclass
class _Member:
    """What a member leaves: records, pictures, evaluations and checkpoints, as an ordinary run."""

    config: ConfigDict
    game: Game
    dataset: data.Dataset
    checkpoints: Checkpoints
    out: Writers
    samples: sampling.Samples
    evaluate: Callable[[int, Player, Writers, int], dict[str, float]]
    diverged: DivergedError | None = None

    def look(self, first: int, last: int, metrics: dict, state: Callable[[], GanState], due: list, stop: bool) -> None:
        """Records a stretch, and does what is due at its end."""
        if self.diverged:
            return
        try:
            means = run.record(first, last, metrics, self.out, self.config.batch_size)
        except DivergedError as error:
            run.say(f'{self.out.workdir}: {error}; this member is given up, with its last good checkpoint.')
            self.diverged = error
            run.give_up(self.out.workdir, error)
            return
        sample, save, judge = due
        if sample:
            self.out.samples(last, run.picture_samples(self.samples, self.game, state(), self.dataset))
        if judge:
            means |= self.evaluate(last, run.generator_of(state()), self.out, self.config.seed)
        if sample or judge:
            run.refresh_page(self.out.workdir)
        if save or (judge and self.config.evaluate) or stop:
            self.checkpoints.save(last, state(), config=configs.to_json(self.config), metrics=means)


class Program:
    """The one compiled program of a population; the members' numbers are its arguments.

    Attributes:
        mesh: the devices that the members are spread over: as many as divide their number.

    Args:
        population: the members.
        dataset: of all of them.
        classes: of its labels, where the game is conditional.
        layout: of one member.
        vectorized: whether a device makes its members' steps at once, by `vmap`, or one after the other; None: at once,
            but for a CPU, where batched products and convolutions are slower than single ones.
    """

    def __init__(
        self,
        population: Population,
        dataset: data.Dataset,
        classes: int | None,
        layout: Layout,
        vectorized: bool | None = None,
    ):
        self._vectorized = jax.default_backend() != 'cpu' if vectorized is None else vectorized
        count = len(population.seeds)
        devices = max(number for number in range(1, jax.device_count() + 1) if count % number == 0)
        self.mesh = Mesh(np.array(jax.devices()[:devices]), (AXIS,))
        self._population, self._dataset, self._classes, self._layout = population, dataset, classes, layout
        self._numbers = {'seed': np.asarray(population.seeds, np.uint32)}
        if population.key:
            self._numbers['value'] = np.asarray(population.values, np.float32)
        arrays = {'examples': np.asarray(dataset.examples)}
        if dataset.labels is not None:
            arrays['labels'] = np.asarray(dataset.labels)
        self._data = jax.device_put(arrays, NamedSharding(self.mesh, PartitionSpec()))

    def start(self) -> GanState:
        """The members' states before the first step.

        Raises:
            UserError: the number in which the members differ decides what program is made.
        """
        with self._explaining():
            return self._spread(self._first_state, 1, compiler_options=compiler.ONCE)(self._numbers)

    def place(self, states: list[GanState]) -> GanState:
        """Stacks the members' states, each on its device."""
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return jax.device_put(stacked, NamedSharding(self.mesh, PartitionSpec(AXIS)))

    @functools.cache  # noqa: B019 (a program lives as long as its run)
    def stretch(self, length: int) -> Callable[[GanState], tuple[GanState, dict[str, jax.Array]]]:
        """The compiled stretch of that many steps: the members' states -> (states, metrics [members, length])."""
        options = compiler.training()
        advance = functools.partial(self._advance, length)
        compiled = parallel.Program(self._spread(advance, 2, donate_argnums=0, compiler_options=options))

        def call(states: GanState):
            with self._explaining():
                return compiled(states, self._numbers, self._data)

        return call

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise UserError(
                f'vary names {self._population.key}, which decides what program is made, so that its values cannot '
                'share one: train a run for each.'
            ) from error

    def _spread(self, function: Callable, split: int, **options: Any) -> Callable:
        """Compiles a member's function for all; its first `split` arguments are the member's own."""

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

    def _first_state(self, number: dict[str, jax.Array]) -> GanState:
        return build.initializer(*self._member(number))(named_key(number['seed'], 'state'))

    def _advance(self, length: int, state: GanState, number: dict[str, jax.Array], arrays: dict[str, jax.Array]):
        config, game = self._member(number)
        feed = run.make_feed(config, self._dataset, self._layout, seed=number['seed'], placement='device')
        stretch = steps.scan_steps(build.make_step(config, game), feed.batch_at, length)
        return stretch(state, arrays, jnp.arange(config.batch_size, dtype=jnp.uint32))

    def _member(self, number: dict[str, jax.Array]) -> tuple[ConfigDict, Game]:
        """The config and game of a member whose number is traced."""
        config = self._population.member(0)
        if self._population.key:
            config = with_values(config, {self._population.key: number['value']})
        return config, build.make_game(config, self._dataset.shape, num_classes=self._classes)


def _check_trainable(config: ConfigDict) -> None:
    if jax.process_count() > 1:
        raise UserError('A population is trained by one process: start several, each with some of the seeds.')
    if config.on_nan == 'restore':
        raise UserError('on_nan=restore is for a single run: a population gives a member up that diverges.')
    if any(config[player].get('normalization') == 'virtual' for player in Pair._fields):
        raise UserError('normalization=virtual keeps a reference batch for each seed: train its runs one by one.')


def _given_up(directories: list[pathlib.Path], anew: bool) -> set[int]:
    """The numbers of the members that have diverged before; of all, only to start them `anew`."""
    found = {i for i, one in enumerate(directories) if (one / run.DIVERGED).exists()}
    if len(found) == len(directories) and not anew:
        raise DivergedError(
            f'all members in {directories[0].parent} have diverged before: choose another --workdir, or start them '
            'anew by --accept_config_changes.'
        )
    return found


def _restore(checkpoints: list[Checkpoints], program: Program, given_up: set[int]) -> tuple[int, GanState]:
    """The members' states at the last step that all living ones have saved, or before the first."""
    first = program.start()
    living = [one for i, one in enumerate(checkpoints) if i not in given_up]
    steps_of = [set(one.all_steps()) for one in living]
    if not any(steps_of):
        return 0, first
    target = jax.eval_shape(lambda: _member(first, 0))
    for step in sorted(set.intersection(*steps_of), reverse=True):
        try:
            states = [
                _member(first, i) if i in given_up else one.restore(target, step)[1]
                for i, one in enumerate(checkpoints)
            ]
        except UserError as error:
            warnings.warn(f'{error} The population goes back to the checkpoints before.', stacklevel=2)
            continue
        return step, program.place(states)
    raise UserError(
        f'The members under {checkpoints[0].directory.parent.parent} have no readable checkpoint of one step in '
        'common: train them on one by one, or choose another --workdir.'
    )


def _member(stacked: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], stacked)


def _unstacked(states: GanState, count: int) -> list[GanState]:
    return [_member(states, i) for i in range(count)]
