"""The story of a run: data, game, program, and the loop that logs, samples and saves.

A run is a population of one, so that the same loop trains it and a population of many. A run is a function of its
config: batch k depends on (seed, k) and the noise of a step on (key, step), so whatever stops a run, starting it again
continues with the bits it would have had.
"""

import os
import pathlib
import signal
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build, cost, data, population, run, single
from gan_jax import config as configs
from gan_jax.errors import InterruptedRunError
from gan_jax.game import GanState
from gan_jax.layers.choices import require
from gan_jax.member import Member
from gan_jax.members import GoBackError, Members
from gan_jax.pages import run_page
from gan_jax.records import lock
from gan_jax.runtime import hosts
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.runtime.interrupt import StopSignals
from gan_jax.runtime.pace import Pace
from gan_jax.sampling import samples as sampling


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
    (state,) = _train(population.make_population(config), [pathlib.Path(workdir)], accept_config_changes)
    return state


@lock.alone
def train_population(
    config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False
) -> list[GanState]:
    """Trains all members of a population, or goes on where an earlier start was stopped.

    A member whose metrics become NaN or infinite is given up, with its last good checkpoint and a `diverged.json`, and
    the others go on.

    Args:
        config: from `gan_jax.config.load`, with `population` or `vary`.
        workdir: the members' directories, `member-0` and so on, are below it, each that of a run.
        accept_config_changes: go on although the data or a member's config differ from those it was started with.

    Returns:
        The members' last states.

    Raises:
        UserError: something that the user has to mend.
        DivergedError: all members have diverged.
        InterruptedRunError: SIGTERM or Ctrl-C came; all members are saved that have not diverged.
    """
    members = population.make_population(config)
    directories = [pathlib.Path(workdir) / f'member-{i}' for i in range(len(members.seeds))]
    with lock.exclusive(*directories):  # each is that of a run, which could be trained alone
        return _train(members, directories, accept_config_changes)


def _train(
    recipe: population.Population, directories: Sequence[pathlib.Path], accept_config_changes: bool
) -> list[GanState]:
    # Data, game, program
    recipe, dataset = _load(recipe, directories, accept_config_changes)
    config, alone = recipe.config, len(directories) == 1
    own_configs = [recipe.member(i) for i in range(len(directories))]
    classes = run.count_classes(config, dataset)
    program = (single.Single if alone else population.Program)(recipe, dataset, classes)
    cost.check_state(config, program.target(), members=program.share)
    log_every, total, *intervals = (configs.steps(config, key) for key in ('log_every', *configs.INTERVALS))
    longest = min(log_every, total)
    stretch = program.stretch(longest)
    members = _make_members(own_configs, directories, dataset, classes, program)
    pace = Pace(config.stretch_seconds)

    def catch_up(*, leave: int) -> None:
        """Records what is done, until no more stretches than `leave` are under way."""
        for done in pace.done(leave=leave):
            members.read(done)

    def stop(step: int, states: Any) -> None:
        catch_up(leave=0)
        members.save(step, states)
        members.wait()
        raise InterruptedRunError(
            f'the {recipe.noun} is saved at step {step} of {total}, as asked: the same command goes on from there.',
            signals.received or signal.SIGTERM,
        )

    def advance(begin: int, states: Any) -> Any:
        """Trains from step `begin` to the end, or raises what stops it."""
        lines = run.spans(begin - members.unfinished_steps, total, log_every)
        with (
            members.recording(begin, total, log_every),
            program.open([(first, first + longest) for first, _ in lines]) as blocks,
            pace,
        ):
            for first, last in lines:
                block, step = next(blocks), max(first, begin)
                while step < last:
                    if hosts.any_process(signals.received is not None):
                        stop(step, states)
                    is_start = pace.step_seconds is None
                    if not stretch.is_compiled:  # by several processes, for arrays that are placed
                        run.compile_stretch(stretch, states, block, config.batch_size)
                    count = pace.steps(last - step)
                    states, metrics = stretch(states, *block, np.int32(step - first), np.int32(count))
                    pace.add(step, step + count, metrics, is_line=step + count == last)
                    step += count
                    if is_start:  # what takes a while to find out, for which the devices need not wait
                        build.warn_of_networks(config, dataset.shape, classes, dataset.shapes)
                        run.say(pace.first_words(last - step))
                    catch_up(leave=1)  # so that the devices are at work while the host is
                sample, save, judge = (last == total or first // every != last // every for every in intervals)
                if sample or save or judge:
                    catch_up(leave=0)
                members.look(last, states, sample=sample, judge=judge)
                if save or (judge and config.evaluate):
                    members.save(last, states)
        return states

    with members, StopSignals(pace.when) as signals:
        members.find_given_up(try_again=accept_config_changes or config.on_nan == 'restore')
        begin, states = members.restore()
        is_finished = begin >= total
        if not is_finished:
            members.begin(states)
            run.introduce(config, dataset, program.layout, program.member(states, 0), begin)
            if not alone:
                run.say(f'{len(directories)} members over {program.mesh.size} devices: {recipe.describe()}.')
            if jax.process_count() == 1:  # before the data are placed, so that what takes too much says so
                run.compile_stretch(stretch, states, program.outline(longest), config.batch_size)
        while begin < total:
            try:
                states = advance(begin, states)
            except GoBackError:
                begin, states = members.restore()
            else:
                begin = total

    members.finish(begin, states)
    run.say(_last_words(directories, begin, total, is_finished))
    return [program.member(states, i) for i in range(len(directories))]


def _load(
    recipe: population.Population, directories: Sequence[pathlib.Path], accept_config_changes: bool
) -> tuple[population.Population, data.Dataset]:
    """The data, and the recipe on them, if both are those that the directories' runs were started with."""
    for i, directory in enumerate(directories):
        own = recipe.member(i)
        configs.check(own)
        run.check_same_run(directory, own, accept_config_changes)
    dataset = run.load_training_data(recipe.config.data, directories, accept_config_changes)
    return recipe.on(dataset), dataset


def _make_members(
    own_configs: Sequence[ConfigDict],
    directories: Sequence[pathlib.Path],
    dataset: data.Dataset,
    classes: int | None,
    program: single.Single | population.Program,
) -> Members:
    game, alone = program.game, len(directories) == 1
    evaluate = run.make_evaluation(own_configs[0], dataset, game, classes, program.layout)
    retention = configs.retention(own_configs[0])
    if not alone:  # an old checkpoint goes when all members have the next
        retention['keep_last'] = max(2, retention['keep_last'])
    members = [
        Member(
            name='' if alone else f'{directory.name}: ',
            config=own,
            workdir=directory,
            checkpoints=Checkpoints(directory / 'checkpoints', **retention),
            dataset=dataset,
            game=game,
            samples=sampling.of_run(game, own.samples, own.seed, dataset, classes),
            evaluate=evaluate,
            standing=run.make_standing(own, dataset, classes),
        )
        for own, directory in zip(own_configs, directories, strict=True)
    ]
    return Members(members, program)


def _last_words(directories: Sequence[pathlib.Path], step: int, total: int, is_finished: bool) -> str:
    workdir, alone = directories[0], len(directories) == 1
    if is_finished:
        what = f'This {"run" if alone else "population"} is finished (step {step} of {total})'
        return f'{what}: look at {workdir}/{run_page.NAME}.' if alone else f'{what}.'
    if alone:
        return f'Done. Look at {workdir}/report.html, samples.png, samples.gif (how they came about) and curves.png.'
    return f'Done. Each of {workdir} ... {directories[-1].name} is the directory of a run.'
