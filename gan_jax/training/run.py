"""The parts of a run: data, game and evaluation from the config, startup messages, records."""

import functools
import itertools
import json
import pathlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import clu.metrics
import clu.parameter_overview
import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build, data, games, open_sets, privacy
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import DivergedError, UserError
from gan_jax.evaluation.evaluator import Evaluator, choose_extractor
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.gather import GeneratorSamples, of_inputs
from gan_jax.evaluation.labels import draw_conditions
from gan_jax.evaluation.metrics import check_kind, check_of_generator, needs_exact
from gan_jax.game import Game, GanState, Player
from gan_jax.pages import lab_page, run_page
from gan_jax.parts import is_conditional, needs_classes, starts_from_examples
from gan_jax.records import description, files, provenance
from gan_jax.records.writers import Writers
from gan_jax.runtime import parallel
from gan_jax.runtime.checkpoint import package_versions
from gan_jax.runtime.parallel import Layout
from gan_jax.sampling import standing
from gan_jax.training import agreement, cost, feed
from gan_jax.training.datasets import load_data
from gan_jax.training.feed import Feed


def players_of(game: Game, state: GanState) -> dict[str, Player]:
    """The players on the host for sampling and evaluation, all that the functions of the game need."""
    names = {'generator', *([game.classifier] if game.is_judged else []), *(['encoder'] if game.encode else [])}
    return {name: jax.device_get(state.players[name]._replace(opt_state=None)) for name in names}


def load_training_data(
    sections: Iterable[ConfigDict], workdirs: Iterable[pathlib.Path], accept_changes: bool
) -> list[data.Dataset]:
    """Loads the data set of each phase, and checks that the runs in these directories were trained on the same data.

    Phases with equal sections `data` share one.
    """
    loaded, found, sections = {}, [], list(sections)
    for number, section in enumerate(sections):
        key = section.to_json()
        if key not in loaded:
            with configs.naming_phase(number if number + 1 < len(sections) else None):
                loaded[key] = load_data(section)
            agreement.check_data(loaded[key])
        found.append(loaded[key])
    for workdir in workdirs:
        provenance.check_same_data(workdir, found, accept_changes)
    return found


def make_feed(
    config: ConfigDict,
    dataset: data.Dataset,
    layout: Layout,
    game: Game,
    *,
    seed: Any = None,
    placement: str | None = None,
) -> Feed:
    """The feed of the config's game; a population passes its members' seeds, which are traced, and the placement."""
    seed, number = config.seed if seed is None else seed, config.phase.number
    promise = privacy.of_config(config)
    return feed.make_feed(
        dataset,
        layout,
        seed=data.group_seed(seed, f'phase {number}') if number else seed,
        batches=game.batches,
        flip=config.data.flip,
        placement=placement or config.data.placement,
        poisson_rate=promise and promise.rate,
    )


def count_classes(config: ConfigDict, dataset: data.Dataset) -> int | None:
    """The number of classes of a game: of all examples if it needs them, else of inputs or of a labelled group.

    Raises:
        UserError: an example that needs a class has none, or as `gan_jax.data.check_labelled_domains`.
    """
    if getattr(games.find(config.game.name, importing=False), 'LABELLED_DOMAINS', False):
        data.check_labelled_domains(dataset, config.game.name)
    of_game = needs_classes(config)
    if not of_game and not is_conditional(config):
        if dataset.has_maps or dataset.has_captions:
            return dataset.num_classes
        return next((group.num_classes for group in dataset.groups.values() if group.labels is not None), None)
    if of_game:
        for part in dataset.parts.values():
            if _lacks_labels(part):
                raise UserError(
                    f'The game {config.game.name} needs the class of every example, but {part.name!r} has examples '
                    'without a label: choose labelled data.'
                )
    elif _lacks_labels(dataset):
        raise UserError(
            f'The networks are conditional, but {dataset.name!r} has examples without a label: unset '
            'generator.conditioning and discriminator.conditioning, or choose labelled data.'
        )
    return dataset.num_classes


def _lacks_labels(dataset: data.Dataset) -> bool:
    return dataset.labels is None or bool((np.asarray(dataset.labels) < 0).any())


def of_data(dataset: data.Dataset, classes: int | None) -> dict[str, Any]:
    """The arguments of `gan_jax.build.make_game` that are facts about the data; `classes` is from `count_classes`."""
    return {'num_classes': classes, 'shapes': dataset.shapes, 'label_sets': dataset.label_sets}


def make_evaluation(
    config: ConfigDict, dataset: data.Dataset, game: Game, layout: Layout
) -> Callable[[int, Mapping[str, Player], Writers, int], dict[str, float]]:
    """The function that evaluates the players of a step and records the values. It processes the real images now."""
    if not config.evaluate:
        return lambda step, players, out, seed: {}
    reals, extractor = choose_reference(config, dataset, game)
    evaluator, options = Evaluator(config.evaluate, extractor, reals, layout, config.data.cache), config.evaluation
    classes, exact = (count_classes(config, dataset), dataset.class_names), None
    if needs_exact(config.evaluate):
        exact = build.make_float32_game(config, dataset.shape, **of_data(dataset, classes[0]))

    def evaluate(step: int, players: Mapping[str, Player], out: Writers, seed: int) -> dict[str, float]:
        generator, subject = players['generator'], f'step {step}'
        if game.translates:
            samples = of_inputs(game, generator, options.samples, seed, reals, subject)
        else:
            samples = GeneratorSamples(game, generator, options.samples, seed, None, subject)
            if game.given:
                samples = samples._replace(**draw_conditions(reals, options.samples, seed, *classes))
        others = {'discriminator': players.get(game.classifier), 'encoder': players.get('encoder'), 'known': dataset}
        others |= {'class_names': dataset.class_names, 'exact': exact, 'standing': config.standing_statistics}
        samples = samples._replace(**others, distribution=config.latents.distribution)
        try:
            evaluation = evaluator.evaluate(samples)
        except UserError as error:  # training continues, as it does when a single metric fails
            warnings.warn(f'Step {step} could not be evaluated: {error}', stacklevel=2)
            return {}
        for failed in evaluation.failures:
            warnings.warn(f'{failed.metric} of step {step} could not be computed: {failed.failure}', stacklevel=2)
        out.evaluation(step, configs.kimg(config, step - config.phase.steps), evaluation)
        return {f'eval/{record.metric}': record.value for record in evaluation.records}

    return evaluate


def choose_reference(config: ConfigDict, dataset: data.Dataset, game: Game) -> tuple[data.Dataset, Extractor]:
    """The real images that samples are compared with, and the feature extractor.

    Raises:
        UserError: the metrics of the config do not apply to samples of this game and data.
    """
    split = config.evaluation.split or dataset.split
    is_whole = not (config.data.left_out or config.data.labels_per_class)
    reals = dataset if split == dataset.split and is_whole else load_data(config.data, split)
    check_kind(config.evaluate, reals.name, reals.shape)
    check_of_generator(config.evaluate, game)
    extractor = choose_extractor(
        config.evaluate, config.evaluation.extractor, reals.name, reals.shape, labelled=reals.labels is not None
    )
    return reals, extractor


def make_standing(config: ConfigDict, dataset: data.Dataset, classes: int | None) -> Callable[[Player], Player]:
    """The function that gives a generator the statistics of the config's samples; see `gan_jax.sampling.standing`."""
    if not config.standing_statistics:
        return lambda generator: generator
    game = build.make_game(config, dataset.shape, **of_data(dataset, classes))
    standing.check(game, jax.eval_shape(game.init, jax.random.key(0))['generator'][1])
    return functools.partial(
        standing.with_standing_statistics,
        game,
        passes=config.standing_statistics,
        batch_size=config.batch_size,
        num_classes=classes if game.given == 'label' else None,
        seed=config.seed,
    )


def make_game(config: ConfigDict, dataset: data.Dataset, classes: int | None, layout: Layout) -> Game:
    """The game of the config for this data set."""
    cost.check_batches(config, dataset.shape, len(layout.devices))
    known = of_data(dataset, classes)
    build.check_best_metric(config, dataset.shape, **known)
    known['reference'] = reference(config, dataset, classes)
    return build.make_game(config, dataset.shape, layout.axis_name, **known)


def reference(
    config: ConfigDict, dataset: data.Dataset, classes: int | None
) -> tuple[jax.Array, jax.Array | None] | None:
    """The real examples that networks start from, chosen by the seed, with labels in a conditional game, or None."""
    if not starts_from_examples(config):
        return None
    chosen = np.random.default_rng(config.seed).choice(len(dataset), config.reference_batch)
    labels = np.asarray(dataset.labels)[chosen] if classes is not None and is_conditional(config) else None
    positions = np.arange(config.reference_batch)
    batch = data.prepare(np.asarray(dataset.examples[chosen]), labels, jax.random.key(0), positions, flip=False)
    return batch['real'], batch.get('label')


def check_same_run(workdir: pathlib.Path, config: ConfigDict, accept_changes: bool) -> None:
    """Compares the config with that of all processes, and with the one in the run's directory."""
    agreement.check_config(config)
    with description.advising():
        try:
            saved = description.read_config(workdir)
        except FileNotFoundError:
            return
    changes = json_values.differences(json_values.completed_as(saved, config), json_values.to_json(config))
    if changes and privacy.of_config(config):
        raise UserError(
            f'{workdir} contains a run of another config, which differs in {", ".join(changes)}, and a private run '
            'cannot continue with it, because its epsilon is that of one config: choose another --workdir.'
        )
    if changes and not accept_changes:
        raise UserError(
            f'{workdir} contains a run of another config, which differs in {", ".join(changes)}: choose another '
            '--workdir, or continue with the new config by --accept_config_changes.'
        )


def write_json(path: pathlib.Path, values: dict) -> None:
    """Writes a JSON file, in the main process only."""
    if parallel.is_main_process():
        files.replace(path, (json.dumps(values, indent=2) + '\n').encode())


def facts(dataset: data.Dataset, layout: Layout, state: GanState) -> dict:
    """The facts about a run besides its config; sampling reads the shape and the classes."""
    networks = {name: _arrays(player.params) for name, player in state.players.items()}
    return {
        'data': provenance.describe(dataset),
        'devices': {'kind': layout.devices[0].device_kind, 'number': len(layout.devices), 'mode': layout.mode},
        'networks': {
            name: {
                'parameters': sum(array.size for array in arrays.values()),
                'shapes': {path: 'x'.join(map(str, array.shape)) for path, array in arrays.items()},
            }
            for name, arrays in networks.items()
        },
        'versions': package_versions(),
    }


def _arrays(params: Any) -> dict[str, jax.Array]:
    """Every array of a network by 'Dense_0/kernel'."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator='/'): array for path, array in leaves}


def begin_directory(
    workdir: pathlib.Path,
    config: ConfigDict,
    phases: Sequence[tuple[ConfigDict, data.Dataset]],
    layout: Layout,
    begin: int,
    state: GanState,
) -> None:
    """Writes to a run's directory what is known before the next step of a phase: its config and facts.

    The record of an earlier divergence is removed.

    Args:
        workdir: the directory.
        config: the config of the complete run.
        phases: the config and the data of each phase.
        layout: the devices.
        begin: the step at which training starts or resumes.
        state: the state at that step.
    """
    write_json(workdir / 'config.json', json_values.to_json(config))
    described = [{'config': json_values.to_json(one), 'data': provenance.describe(dataset)} for one, dataset in phases]
    modules = {name for phase in described for name in json_values.foreign_modules(phase['config'])}
    _, dataset = phases[-1]
    more = provenance.record(workdir, dataset, begin)
    more |= {'modules': {name: open_sets.origin(name) for name in sorted(modules)}}
    more |= {'phases': described} if len(phases) > 1 else {}
    promise = privacy.of_config(phases[-1][0])
    more |= {'privacy': promise.statement()} if promise else {}
    write_json(workdir / 'run.json', facts(dataset, layout, state) | more)
    if parallel.is_main_process():
        files.remove(workdir / description.DIVERGED)


def introduce(config: ConfigDict, dataset: data.Dataset, layout: Layout, state: GanState, begin: int) -> None:
    """Prints the network, the data and the devices of a training."""
    for name, player in state.players.items():
        say(f'{name}:\n' + clu.parameter_overview.get_parameter_overview(player.params))
    device = f'{len(layout.devices)} x {layout.devices[0].device_kind} ({layout.mode})'
    size = 'x'.join(map(str, dataset.shape))
    say(f'{len(dataset)} examples of {dataset.name}, {size}; batches of {config.batch_size}; {device}.')
    if begin:
        say(f'Resuming from step {begin}.')


def compile_stretch(stretch: parallel.Program, states: Any, block: tuple[Any, ...], batch_size: int) -> None:
    """Compiles the training program for states and data, or for the data's shapes, and prints how long it took."""
    say('Compiling the training step ...')
    started = time.monotonic()
    memory = stretch.compile(states, *block, np.int32(0), np.int32(1))
    say(f'Compiled in {time.monotonic() - started:.0f} s.')
    introduce_memory(memory, batch_size)


def introduce_memory(memory: parallel.Memory | None, batch_size: int) -> None:
    """Prints the memory of the compiled program per device, and on an accelerator the batch size that would fit.

    Raises:
        UserError: it needs more memory than there is.
    """
    if memory is None:
        return
    taken, kept, available = (f'{size / 2**20:,.0f} MiB' for size in (memory.total, memory.arguments, memory.available))
    if memory.total > memory.available:
        raise UserError(
            f'A training step needs {taken} of memory, {kept} of it for data and state, but a device has {available}: '
            'lower batch_size, or set accumulate.'
        )
    fitting = ''
    if parallel.device_memory():  # a CPU's memory is not the program's alone, and a larger batch gains nothing there
        fitting = f'; a batch of about {_rounded(memory.fits(batch_size)):,} would fit'
    say(f'Peak memory: {taken} of {available} per device, {kept} of it for data and state{fitting}.')


def _rounded(number: int) -> int:
    """Rounds down to two digits."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return number // scale * scale


def spans(begin: int, end: int, every: int) -> list[tuple[int, int]]:
    """[(first, last), ...]: the stretches from `begin` to `end`, divided at the multiples of `every`."""
    cuts = [begin, *range(begin - begin % every + every, end, every), end]
    return list(itertools.pairwise(cuts))


def record(
    first: int,
    last: int,
    metrics: dict[str, np.ndarray],
    out: Writers,
    kimg: float,
    done: float,
    more: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    """Writes the means of the metrics of steps that ended at the time `done`; `kimg` and `more` are of the last step.

    Raises:
        DivergedError: a metric is not finite; the message names the first step.
    """
    finite = np.all([np.isfinite(values) for values in metrics.values()], axis=0)
    if not finite.all():
        at = int(np.argmin(finite))
        culprits = [name for name, values in metrics.items() if not np.isfinite(values[at])]
        raise DivergedError(f'{" and ".join(culprits)} became NaN or infinite in step {first + at + 1}')
    means = {name: float(clu.metrics.Average.from_model_output(values).compute()) for name, values in metrics.items()}
    out.metrics(last, kimg, means | more, done)
    return means | more


def refresh_page(workdir: pathlib.Path, *, stopped: bool = False) -> None:
    """Rewrites a run's pages, in the main process only; a failure does not stop training.

    Args:
        workdir: the run's directory.
        stopped: whether training is about to end.
    """
    if not parallel.is_main_process():
        return
    pages = {run_page.LAB: lab_page.write, run_page.NAME: functools.partial(run_page.write, stopped=stopped)}
    for name, write in pages.items():
        try:
            write(workdir)
        except Exception as error:
            warnings.warn(f'{workdir / name} could not be written: {error}', stacklevel=2)


def say(text: str) -> None:
    """Prints, in the main process only."""
    if parallel.is_main_process():
        print(text, flush=True)
