"""The training of a run: data, game, program, and the loop that logs, samples and saves.

A run is a population of one, so the same loop trains single runs and populations. A run is a function of its
config: batch k depends on (seed, k) and the noise of a step on (key, step). A run that was stopped and started again
therefore continues with the same bits. A run of several phases (see `gan_jax.training.phases`) trains them one after
the other, each from the last checkpoint of the previous one.
"""

import os
import pathlib
import signal
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import build
from gan_jax import config as configs
from gan_jax.errors import InterruptedRunError
from gan_jax.game import GanState
from gan_jax.layers.choices import require
from gan_jax.pages import run_page
from gan_jax.records import lock, writers
from gan_jax.runtime import hosts
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.runtime.interrupt import StopSignals
from gan_jax.runtime.pace import Pace
from gan_jax.training import phases, run
from gan_jax.training.member import Member
from gan_jax.training.members import GoBackError, Members
from gan_jax.training.population import Population, make_population
from gan_jax.training.stage import Stage
from gan_jax.values import with_values


@lock.alone
def train(config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False) -> GanState:
    """Trains a GAN, or resumes a stopped run.

    Args:
        config: from `gan_jax.config.load`.
        workdir: the run's directory, which contains everything that the run writes.
        accept_config_changes: continue although the config or the data differ from those of the earlier start.

    Returns:
        The last state, on the devices.

    Raises:
        UserError: a problem that the user can fix, such as another training in the directory.
        DivergedError: a metric became NaN or infinite.
        InterruptedRunError: SIGTERM or Ctrl-C was received; the state is saved.
    """
    configs.check(config)
    require(config.population == 1 and not config.vary, 'A population', config.population, 'given to train_population')
    (state,) = _train(make_population(config), [pathlib.Path(workdir)], accept_config_changes)
    return state


@lock.alone
def train_population(
    config: ConfigDict, workdir: str | os.PathLike, *, accept_config_changes: bool = False
) -> list[GanState]:
    """Trains all members of a population, or resumes a stopped one.

    A member whose metrics become NaN or infinite is given up, with its last good checkpoint and a `diverged.json`, and
    the others continue.

    Args:
        config: from `gan_jax.config.load`, with `population` or `vary`.
        workdir: the directory of the members' run directories, `member-0` and so on.
        accept_config_changes: continue although the data or a member's config differ from those of the earlier start.

    Returns:
        The members' last states.

    Raises:
        UserError: a problem that the user can fix.
        DivergedError: all members have diverged.
        InterruptedRunError: SIGTERM or Ctrl-C was received; all members that have not diverged are saved.
    """
    members = make_population(config)
    directories = [pathlib.Path(workdir) / f'member-{i}' for i in range(len(members.seeds))]
    with lock.exclusive(*directories):  # a member's directory could also be trained as a single run
        return _train(members, directories, accept_config_changes)


def _train(recipe: Population, directories: Sequence[pathlib.Path], accept_config_changes: bool) -> list[GanState]:
    course = _prepare(recipe, directories, accept_config_changes)
    total = course[-1].end
    members = Members(_make_members(recipe, directories, course), course)
    pace = Pace(recipe.config.stretch_seconds)

    def catch_up(*, leave: int) -> None:
        """Records finished stretches, until at most `leave` stretches are in progress."""
        for done in pace.done(leave=leave):
            members.read(done)

    def stop(step: int, states: Any) -> None:
        catch_up(leave=0)
        members.save(step, states)
        members.wait()
        for directory in directories:
            run.refresh_page(directory, stopped=True)
        raise InterruptedRunError(
            f'Interrupted; the {recipe.noun} is saved at step {step} of {total}. Run the same command to resume.',
            signals.received or signal.SIGTERM,
        )

    def advance(stage: Stage, begin: int, states: Any) -> Any:
        """Trains from step `begin` to the end of the phase, or raises the exception that stops it."""
        config, before = stage.config, stage.begin  # from here on, steps are counted from the beginning of the phase
        lines = stage.lines(begin - before - members.unfinished_steps)
        with (
            members.recording(begin, total, max(one.longest for one in course)),
            stage.program.open([(first, first + stage.longest) for first, _ in lines]) as blocks,
            pace,
        ):
            if begin == 0:
                members.watch(begin, states)
            for first, last in lines:
                block, step = next(blocks), max(first, begin - before)
                while step < last:
                    if hosts.any_process(signals.received is not None):
                        stop(before + step, states)
                    is_start = pace.step_seconds is None
                    if not stage.stretch.is_compiled:  # several processes compile for placed arrays, see `_introduce`
                        run.compile_stretch(stage.stretch, states, block, config.batch_size)
                    count = pace.steps(last - step)
                    states, metrics = stage.stretch(states, *block, np.int32(step - first), np.int32(count))
                    pace.add(before + step, before + step + count, metrics, is_line=step + count == last)
                    step += count
                    if is_start:  # slow checks, while the devices compute the first steps
                        known = run.of_data(stage.dataset, stage.classes)
                        build.warn_of_networks(config, stage.dataset.shape, **known)
                        run.say(pace.first_words(last - step))
                    catch_up(leave=1)  # one stretch stays in progress, so the devices never wait for the host
                sample, save, evaluate = stage.due(first, last)
                if sample or save or evaluate:
                    catch_up(leave=0)
                members.look(before + last, states, sample=sample, evaluate=evaluate)
                if save or (evaluate and config.evaluate):
                    members.save(before + last, states)
        return states

    with members, StopSignals(pace.when) as signals:
        members.find_given_up(try_again=accept_config_changes or recipe.config.on_nan == 'restore')
        begin, states = members.restore()
        is_finished, introduced = begin >= total, None
        while begin < total:
            stage = members.stage
            if stage is not introduced:
                members.begin(begin, states)
                _introduce(course, stage, begin, states)
                pace.step_seconds, introduced = None, stage
            try:
                states, begin = advance(stage, begin, states), stage.end
                if begin < total:  # the next phase starts from the checkpoint, as after a kill
                    begin, states = members.restore()
            except GoBackError:
                begin, states = members.restore()

    members.finish(begin, states)
    run.say(_last_words(directories, begin, total, is_finished))
    return [members.stage.program.member(states, i) for i in range(len(directories))]


def _prepare(recipe: Population, directories: Sequence[pathlib.Path], accept_config_changes: bool) -> list[Stage]:
    """The phases of a training, after checking config and data against those in the directories."""
    for i, directory in enumerate(directories):
        own = recipe.member(i)
        configs.check(own)
        writers.check(own.writers)
        run.check_same_run(directory, own, accept_config_changes)
    parts = configs.split(recipe.config)
    datasets = run.load_training_data([part.data for part in parts], directories, accept_config_changes)
    known = [with_values(part, {'data.examples': len(dataset)}) for part, dataset in zip(parts, datasets, strict=True)]
    course = []
    for phase, dataset in zip(phases.line_up(known), datasets, strict=True):
        is_last = len(course) + 1 == len(parts)
        with configs.naming_phase(None if is_last else len(course)):
            course.append(Stage(recipe._replace(config=phase), dataset, len(directories) == 1, is_last))
            if len(course) > 1:  # an impossible phase is refused now, not after the phases before it
                course[-1].check()
    return course


def _make_members(recipe: Population, directories: Sequence[pathlib.Path], course: Sequence[Stage]) -> list[Member]:
    whole = with_values(recipe.config, {'data.examples': len(course[-1].dataset)})
    recipe, alone = recipe._replace(config=whole), len(directories) == 1
    retention = configs.retention(whole)
    if not alone:  # an old checkpoint is removed only when all members have the next one
        retention['keep_last'] = max(2, retention['keep_last'])
    return [
        Member(
            name='' if alone else f'{directory.name}: ',
            whole=recipe.member(i),
            workdir=directory,
            checkpoints=Checkpoints(directory / 'checkpoints', **retention),
            phases=[(stage.recipe.member(i), stage.dataset) for stage in course],
        )
        for i, directory in enumerate(directories)
    ]


def _introduce(course: Sequence[Stage], stage: Stage, begin: int, states: Any) -> None:
    """Prints what is trained, and compiles the program if this is possible before the data are placed."""
    if len(course) > 1:
        number = stage.config.phase.number + 1
        run.say(f'Phase {number} of {len(course)}: to step {stage.end} of {course[-1].end}.')
    first = begin if begin > stage.begin else 0
    run.introduce(stage.config, stage.dataset, stage.program.layout, stage.program.member(states, 0), first)
    if not stage.alone:
        members = len(stage.recipe.seeds)
        run.say(f'{members} members over {stage.program.mesh.size} devices: {stage.recipe.describe()}.')
    if jax.process_count() == 1:  # a program that needs too much memory is refused before the data are placed
        run.compile_stretch(stage.stretch, states, stage.outline(), stage.config.batch_size)


def _last_words(directories: Sequence[pathlib.Path], step: int, total: int, is_finished: bool) -> str:
    workdir, alone = directories[0], len(directories) == 1
    if is_finished:
        what = f'This {"run" if alone else "population"} is already finished (step {step} of {total})'
        return f'{what}: open {workdir}/{run_page.NAME}.' if alone else f'{what}.'
    if alone:
        files = 'samples.png, samples.gif (progress over time) and curves.png'
        more = f'python -m gan_jax.main --mode sample --workdir {workdir}'
        return f'Done. Open {workdir}/report.html; see also {files}. More samples: {more}'
    return f'Done. {workdir} ... {directories[-1].name} are run directories.'
