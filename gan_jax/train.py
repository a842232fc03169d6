"""The story of a run: data, game, state, compiled stretches, and the loop that logs, samples and saves.

A run is a function of its config. Batch k depends on (seed, k) and the noise of a step on (key, step), so whatever
stops a run, starting it again continues with the bits it would have had.
"""

import functools
import os
import pathlib
import signal
from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from gan_jax import build, cost, hosts, lock, parallel, run, sampling, steps
from gan_jax import config as configs
from gan_jax.checkpoint import Checkpoints
from gan_jax.errors import DivergedError, InterruptedRunError
from gan_jax.game import GanState
from gan_jax.interrupt import StopSignals
from gan_jax.layers.choices import require
from gan_jax.pages import run_page
from gan_jax.writers import Writers

_MAX_RESTORES = 3  # of on_nan='restore', in one start


@lock.alone
def train(config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False) -> GanState:
    """Trains a GAN, or goes on where an earlier start of the same run was stopped.

    Args:
        config: from `gan_jax.config.load`.
        workdir: the run's directory; everything the run writes is below it.
        accept_config_changes: go on although the config or the data differ from those the run was started with.

    Returns:
        The last state, on the devices.

    Raises:
        UserError: something that the user has to mend, such as another training in the directory.
        DivergedError: a metric became NaN or infinite.
        InterruptedRunError: SIGTERM or Ctrl-C came; the state is saved.
    """
    configs.check(config)
    require(config.population == 1 and not config.vary, 'A population', config.population, 'given to train_population')
    workdir = pathlib.Path(workdir)
    layout = parallel.make_layout(
        config.batch_size, mode=config.parallel.mode, num_devices=config.parallel.devices or None
    )
    run.check_same_run(workdir, config, accept_config_changes)

    # Data, game, step
    dataset = run.load_training_data(config.data, [workdir], accept_config_changes)
    feed = run.make_feed(config, dataset, layout)
    classes = run.count_classes(config, dataset)
    game = run.make_game(config, dataset, classes, layout)
    step = build.make_step(config, game, layout.axis_name)

    @functools.cache
    def compiled_stretch(length: int):
        return layout.compile(steps.scan_steps(step, feed.batch_at, length), data_axis=feed.data_axis)

    total, *intervals, log_every = (configs.steps(config, key) for key in (*configs.INTERVALS, 'log_every'))
    samples = sampling.fixed_samples(game, config.samples, config.seed, classes)
    evaluate = run.make_evaluation(config, dataset, game, classes, layout)
    draw = functools.partial(run.picture_whole, workdir, config, dataset, game, samples)
    positions = layout.split(layout.local_positions)

    def advance(begin: int, state: GanState, out: Writers) -> GanState:
        """Trains from step `begin` to the end, or raises what stops it."""
        spans = run.spans(begin, total, log_every)
        waiting, means = [], {}
        with feed.open(spans) as stretches:
            for first, last in spans:
                stretch, arguments = compiled_stretch(last - first), (state, next(stretches), positions)
                if first == begin:
                    run.introduce_memory(stretch.compile(*arguments), config.batch_size)
                state, metrics = stretch(*arguments)
                if first == begin:  # takes a while to find out, for which the devices need not wait
                    build.warn_of_mixing(config, dataset.shape, classes)
                waiting.append((first, last, metrics))
                stop = hosts.any_process(signals.received is not None)
                sample, save, judge = (last == total or first // every != last // every for every in intervals)
                # Metrics are read one stretch late, to keep the devices at work, unless they are needed now.
                while len(waiting) > (0 if sample or save or judge or stop else 1):
                    means = run.record(*waiting.pop(0), out, config.batch_size)
                if sample:
                    out.samples(last, run.picture_samples(samples, game, state, dataset))
                if judge:
                    means |= evaluate(last, run.generator_of(state), out, config.seed)
                if sample or judge:
                    run.refresh_page(workdir)
                if save or (judge and config.evaluate) or stop:
                    checkpoints.save(last, state, config=configs.to_json(config), metrics=means)
                if stop and last < total:
                    checkpoints.wait()
                    raise InterruptedRunError(
                        f'the run is saved at step {last} of {total}, as asked: the same command goes on from there.',
                        signals.received or signal.SIGTERM,
                    )
        return state

    with Checkpoints(workdir / 'checkpoints', **configs.retention(config)) as checkpoints, StopSignals() as signals:
        target = cost.check_state(config, jax.eval_shape(build.initializer(config, game), jax.random.key(0)))
        begin, state = checkpoints.restore(target) or (0, build.init_state(config, game))
        if begin >= total:
            _finish_again(workdir, begin, total, lambda: draw(run.generator_of(state)))
            return state
        run.begin_directory(workdir, config, dataset, layout, state, samples)
        run.introduce(config, dataset, layout, state, begin)

        for attempt in range(1, _MAX_RESTORES + 2):
            try:
                with Writers(
                    workdir, begin=begin, total=total, every=log_every, enabled=parallel.is_main_process()
                ) as out:
                    state = advance(begin, layout.replicate(state), out)
                break
            except DivergedError as error:
                ending = _last_good(checkpoints)
                if config.on_nan == 'stop' or attempt > _MAX_RESTORES:
                    raise run.give_up(
                        workdir,
                        error,
                        f'{ending}: set on_nan=restore to go back to it and on with other noise, or lower the learning '
                        'rates and add --accept_config_changes.',
                    ) from error
                run.say(f'{error}; {ending}: going back to it and on with other noise.')
                begin, state = checkpoints.restore(target) or (0, build.init_state(config, game))
                state = state.replace(key=jax.random.fold_in(state.key, attempt))

    draw(run.generator_of(state))
    run.say(f'Done. Look at {workdir}/report.html, samples.png, samples.gif (how they came about) and curves.png.')
    return state


def _last_good(checkpoints: Checkpoints) -> str:
    checkpoints.wait()
    good = checkpoints.latest_step()
    return 'there is no checkpoint yet' if good is None else f'the last good checkpoint is step {good}'


def _finish_again(workdir: pathlib.Path, step: int, total: int, draw: Callable[[], None]) -> None:
    if not (workdir / 'curves.png').exists():  # stopped on the last yards
        draw()
    if not (workdir / run_page.NAME).exists():
        run.refresh_page(workdir)
    run.say(f'This run is finished (step {step} of {total}): look at {workdir}/{run_page.NAME}.')
