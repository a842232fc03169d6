"""The story of a run: data, game, state, compiled stretches, and the loop that logs, samples and saves.

A run is a function of its config. Batch k depends on (seed, k) and the noise of a step on (key, step), so whatever
stops a run, starting it again continues with the bits it would have had.
"""

import functools
import itertools
import json
import os
import pathlib
import signal
from collections.abc import Callable

import clu.metrics
import clu.parameter_overview
import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build, data, files, parallel, report, sampling, steps
from gan_jax import config as configs
from gan_jax.checkpoint import Checkpoints, package_versions
from gan_jax.errors import DivergedError, InterruptedRunError, UserError
from gan_jax.evaluation.evaluator import Evaluator, draw_labels
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.gather import Samples, check_images
from gan_jax.feed import make_feed
from gan_jax.game import Game, GanState, Pair, Player
from gan_jax.interrupt import StopSignals
from gan_jax.parallel import Layout
from gan_jax.writers import Writers

_MAX_RESTORES = 3  # of on_nan='restore', in one start


def train(config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False) -> GanState:
    """Trains a GAN, or goes on where an earlier start of the same run was stopped.

    Args:
        config: from `gan_jax.config.load`.
        workdir: the run's directory; everything the run writes is below it.
        accept_config_changes: go on although the config differs from the one the run was started with.

    Returns:
        The last state, on the devices.

    Raises:
        UserError: something that the user has to mend; the message says what.
        DivergedError: a metric became NaN or infinite.
        InterruptedRunError: SIGTERM or Ctrl-C came; the state is saved.
    """
    configs.check(config)
    workdir = pathlib.Path(workdir)
    layout = parallel.make_layout(
        config.batch_size, mode=config.parallel.mode, num_devices=config.parallel.devices or None
    )
    _check_same_run(workdir, config, accept_config_changes)

    # Data, game, step
    dataset = _load(config.data)
    feed = make_feed(
        dataset,
        layout,
        seed=config.seed,
        discriminator_steps=config.discriminator_steps,
        flip=config.data.flip,
        placement=config.data.placement,
    )
    classes = _classes(config, dataset)
    game = _make_game(config, dataset, classes, layout)
    step = build.make_step(config, game, layout.axis_name)

    @functools.cache
    def compiled_stretch(length: int):
        return layout.compile(steps.scan_steps(step, feed.batch_at, length), data_axis=feed.data_axis)

    keys = ('duration', 'sample_every', 'checkpoint_every', 'evaluate_every')
    total, *intervals = (configs.steps(config, key) for key in keys)
    samples = sampling.fixed_samples(game, config.samples, config.seed, classes)
    evaluate = _make_evaluation(config, dataset, game, classes, layout)
    positions = layout.split(layout.local_positions)

    def advance(begin: int, state: GanState, out: Writers) -> GanState:
        """Trains from step `begin` to the end, or raises what stops it."""
        spans = _spans(begin, total, configs.steps(config, 'log_every'))
        waiting, means = [], {}
        with feed.open(spans) as stretches:
            for first, last in spans:
                state, metrics = compiled_stretch(last - first)(state, next(stretches), positions)
                waiting.append((first, last, metrics))
                stop = parallel.any_process(signals.received is not None)
                sample, save, judge = (last == total or first // every != last // every for every in intervals)
                # Metrics are read one stretch late, to keep the devices at work, unless they are needed now.
                while len(waiting) > (0 if sample or save or judge or stop else 1):
                    means = _report(*waiting.pop(0), out, config.batch_size)
                if sample:
                    made = samples.draw(game, _generator(state))
                    out.samples(last, sampling.picture(made, dataset.examples, columns=samples.columns))
                if judge:
                    means |= evaluate(last, _generator(state), out)
                if save or (judge and config.evaluate) or stop:
                    checkpoints.save(last, state, config=configs.to_json(config), metrics=means)
                if stop and last < total:
                    checkpoints.wait()
                    raise InterruptedRunError(
                        f'the run is saved at step {last} of {total}, as asked: the same command goes on from there.',
                        signals.received or signal.SIGTERM,
                    )
        return state

    with Checkpoints(workdir / 'checkpoints', **config.checkpoints) as checkpoints, StopSignals() as signals:
        target = jax.eval_shape(lambda: build.init_state(config, game))
        begin, state = checkpoints.restore(target) or (0, build.init_state(config, game))
        if begin >= total:
            _finish_again(workdir, begin, total)
            return state
        _write_json(workdir / 'config.json', configs.to_json(config))
        _write_json(workdir / 'run.json', _facts(dataset, layout))
        _introduce(config, dataset, layout, state, begin)

        for attempt in range(1, _MAX_RESTORES + 2):
            try:
                with Writers(workdir, begin=begin, total=total, enabled=parallel.is_main_process()) as out:
                    state = advance(begin, layout.replicate(state), out)
                break
            except DivergedError as error:
                checkpoints.wait()
                good = checkpoints.latest_step()
                ending = 'there is no checkpoint yet' if good is None else f'the last good checkpoint is step {good}'
                if config.on_nan == 'stop' or attempt > _MAX_RESTORES:
                    raise DivergedError(
                        f'{error}; {ending}: set on_nan=restore to go back to it and on with other noise, or lower '
                        'the learning rates and add --accept_config_changes.'
                    ) from error
                _say(f'{error}; {ending}: going back to it and on with other noise.')
                begin, state = checkpoints.restore(target) or (0, build.init_state(config, game))
                state = state.replace(key=jax.random.fold_in(state.key, attempt))

    if parallel.is_main_process():
        _sum_up(workdir, config, game, _generator(state), classes)
    return state


def _finish_again(workdir: pathlib.Path, step: int, total: int) -> None:
    if parallel.is_main_process() and not (workdir / 'curves.png').exists():  # stopped on the last yards
        report.write(workdir)
    _say(f'This run is finished (step {step} of {total}); its pictures are in {workdir}/samples.')


def _sum_up(workdir: pathlib.Path, config: ConfigDict, game: Game, generator: Player, classes: int | None) -> None:
    """The pictures of a whole run."""
    report.write(workdir)
    if classes is not None:
        sampling.save_interpolation(workdir / 'interpolation.png', game, generator, config.seed, classes)
    _say(f'Done. Look at {workdir}/samples.png, samples.gif (how they came about) and curves.png.')


def _generator(state: GanState) -> Player:
    """The generator on the host, for sampling."""
    return jax.device_get(state.generator._replace(opt_state=None))


def _load(options: ConfigDict, split: str | None = None) -> data.Dataset:
    return data.load(
        options.name,
        split=split or options.split,
        size=options.size,
        channels=options.channels,
        data_dir=options.directory,
        cache_dir=options.cache,
        show_progress=parallel.is_main_process(),
    )


def _classes(config: ConfigDict, dataset: data.Dataset) -> int | None:
    """The number of classes where the game is conditional, else None."""
    if not build.is_conditional(config):
        return None
    if dataset.labels is None or (np.asarray(dataset.labels) < 0).any():
        raise UserError(
            f'The networks are conditional, but {dataset.name!r} has examples without a label: unset '
            'generator.conditioning and discriminator.conditioning, or choose labelled data.'
        )
    return dataset.num_classes


def _make_evaluation(
    config: ConfigDict, dataset: data.Dataset, game: Game, classes: int | None, layout: Layout
) -> Callable[[int, Player, Writers], dict[str, float]]:
    """What judges the generator of a step and records the values; looks at the real images at once."""
    if not config.evaluate:
        return lambda step, generator, out: {}
    options, split = config.evaluation, config.evaluation.split or dataset.split
    reals = dataset if split == dataset.split else _load(config.data, split)
    check_images(reals)
    extractor = find_extractor(options.extractor, reals.name, reals.shape)
    evaluator = Evaluator(config.evaluate, extractor, reals, layout, config.data.cache)
    conditions = None if classes is None else draw_labels(dataset, options.samples, config.seed)

    def evaluate(step: int, generator: Player, out: Writers) -> dict[str, float]:
        samples = Samples(game, generator, options.samples, config.seed, conditions, f'step {step}')
        records = evaluator.evaluate(samples)
        out.evaluation(step, step * config.batch_size / 1000, records)
        return {f'eval/{record.metric}': record.value for record in records}

    return evaluate


def _make_game(config: ConfigDict, dataset: data.Dataset, classes: int | None, layout: Layout) -> Game:
    virtual = any(config[player].get('normalization') == 'virtual' for player in Pair._fields)
    reference = _reference(config, dataset, classes) if virtual else None
    game = build.make_game(config, dataset.shape, layout.axis_name, num_classes=classes, reference=reference)
    build.warn_of_mixing(config, dataset.shape, classes)
    return game


def _reference(config: ConfigDict, dataset: data.Dataset, classes: int | None) -> tuple[jax.Array, jax.Array | None]:
    """The real examples of virtual batch normalisation, with their labels in a conditional game."""
    chosen = np.random.default_rng(config.seed).choice(len(dataset), config.reference_batch)
    labels = None if classes is None else np.asarray(dataset.labels)[chosen]
    positions = np.arange(config.reference_batch)
    batch = data.prepare(np.asarray(dataset.examples[chosen]), labels, jax.random.key(0), positions, flip=False)
    return batch['real'], batch.get('label')


def _check_same_run(workdir: pathlib.Path, config: ConfigDict, accept_changes: bool) -> None:
    """Compares the config with the one that the directory's run was started with."""
    path = workdir / 'config.json'
    try:
        saved = json.loads(path.read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UserError(
            f'{path} cannot be read ({error}): choose another --workdir, or delete the file to go on.'
        ) from error
    changes = configs.differences(saved, configs.to_json(config))
    if changes and not accept_changes:
        raise UserError(
            f'{workdir} holds a run of another config, which differs in {", ".join(changes)}: choose another '
            '--workdir, or go on with the new config by --accept_config_changes.'
        )


def _write_json(path: pathlib.Path, values: dict) -> None:
    if parallel.is_main_process():
        files.replace(path, (json.dumps(values, indent=2) + '\n').encode())


def _facts(dataset: data.Dataset, layout: Layout) -> dict:
    """What a run was made with, beside its config; sampling reads the shape."""
    return {
        'data': {
            'name': dataset.name,
            'split': dataset.split,
            'examples': len(dataset),
            'shape': list(dataset.shape),
            'classes': dataset.num_classes,
            'fingerprint': dataset.fingerprint,
        },
        'devices': {'kind': layout.devices[0].device_kind, 'number': len(layout.devices), 'mode': layout.mode},
        'versions': package_versions(),
    }


def _introduce(config: ConfigDict, dataset: data.Dataset, layout: Layout, state: GanState, begin: int) -> None:
    for name in ('generator', 'discriminator'):
        _say(f'{name}:\n' + clu.parameter_overview.get_parameter_overview(getattr(state, name).params))
    device = f'{len(layout.devices)} x {layout.devices[0].device_kind} ({layout.mode})'
    size = 'x'.join(map(str, dataset.shape))
    _say(f'{len(dataset)} examples of {dataset.name}, {size}; batches of {config.batch_size}; {device}.')
    if begin:
        _say(f'Going on from step {begin}.')


def _spans(begin: int, end: int, every: int) -> list[tuple[int, int]]:
    """[(first, last), ...]: the stretches from `begin` to `end`, cut at the multiples of `every`."""
    cuts = [begin, *range(begin - begin % every + every, end, every), end]
    return list(itertools.pairwise(cuts))


def _report(first: int, last: int, metrics: dict[str, jax.Array], out: Writers, batch_size: int) -> dict[str, float]:
    """Writes the means of a stretch's metrics; raises DivergedError at the first step that is not finite."""
    metrics = jax.device_get(metrics)
    finite = np.all([np.isfinite(values) for values in metrics.values()], axis=0)
    if not finite.all():
        at = int(np.argmin(finite))
        culprits = [name for name, values in metrics.items() if not np.isfinite(values[at])]
        raise DivergedError(f'{" and ".join(culprits)} became NaN or infinite in step {first + at + 1}')
    means = {name: float(clu.metrics.Average.from_model_output(values).compute()) for name, values in metrics.items()}
    out.metrics(last, last * batch_size / 1000, means)
    return means


def _say(text: str) -> None:
    if parallel.is_main_process():
        print(text, flush=True)
