"""The contents of a run's directory, for pages."""

import itertools
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import games
from gan_jax.config import json_values
from gan_jax.config.defaults import without_networks
from gan_jax.errors import UserError
from gan_jax.evaluation import results
from gan_jax.evaluation.record import Record
from gan_jax.pages.charts import Clock
from gan_jax.pages.document import Frame
from gan_jax.pages.health.course import PROBABILISTIC, SIGNED
from gan_jax.parts import is_conditional
from gan_jax.records import description, report
from gan_jax.records.metrics import MetricsFile, evaluations_of, metrics_of, timing_of
from gan_jax.records.starts import starts_of
from gan_jax.training import phases

_SCHEDULE_POINTS = 201

Curve = tuple[list[float], list[float | None]]  # kimg and values


class Workdir(NamedTuple):
    """The records of a run; what is missing is empty.

    Attributes:
        name: the displayed name of the run.
        path: path of the directory.
        config: config of the run, as JSON values.
        facts: the contents of `run.json`.
        metrics: records of `metrics.jsonl`.
        timing: records of `timing.jsonl`.
        evaluations: records and failures of `evaluations.jsonl`.
        starts: records of `starts.jsonl`, in the order of their time.
        evaluated: (step, seed, records) of each file that `--mode eval` has written, in their order.
        diverged: why the run was given up, or None.
        samples: (step, picture) of each grid of samples, in their order.
        troubles: sentences on what could not be read.
    """

    name: str
    path: pathlib.Path
    config: dict[str, Any]
    facts: dict[str, Any]
    metrics: list[dict[str, Any]]
    timing: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    starts: list[dict[str, Any]]
    evaluated: list[tuple[int, int, list[Record]]]
    diverged: str | None
    samples: list[tuple[int, pathlib.Path]]
    troubles: list[str]

    @property
    def step(self) -> int:
        """The last step that left anything."""
        return max([record['step'] for record in self.metrics] + [step for step, _ in self.samples], default=0)

    @property
    def classes(self) -> list[str]:
        """The names of the classes that the rows of a grid show, from the top; none of an unconditional run."""
        data = self.facts['data']
        if not data['classes'] or not is_conditional(self.phases[-1]):
            return []
        return list(map(str, data.get('class_names') or range(data['classes'])))

    @property
    def phases(self) -> list[ConfigDict]:
        """The configs of its phases, with their places in the run; one of them for most runs."""
        return phases.recorded(self.config, self.facts.get('phases', []))

    @property
    def total(self) -> int:
        """Its last step when it is finished."""
        return phases.end(self.phases[-1])

    def kimg(self, step: int) -> float:
        """Thousands of images by the generator's steps."""
        return phases.kimg(self.phases, step)

    def frames(self) -> list[Frame]:
        """The grids of samples over time."""
        course = self.phases
        whens = [(step, phases.kimg(course, step), path) for step, path in self.samples]
        return [Frame(kimg, f'step {step:,}, {kimg:,.6g} thousand images', path) for step, kimg, path in whens]


def read(path: str | os.PathLike, name: str = '') -> Workdir:
    """Reads a run's directory.

    Args:
        path: path of the directory.
        name: what to call the run; by default as the directory, with the one above for a member of a population.

    Raises:
        UserError: there is no run, or its config or facts are damaged.
    """
    path, troubles = pathlib.Path(path), []

    def records(file: MetricsFile) -> list[dict[str, Any]]:
        try:
            found, trouble = file.scan()
        except UserError as error:
            found, trouble = [], str(error)
        troubles.extend([trouble] if trouble else [])
        return found

    try:
        config, facts = description.read_config(path), description.read_facts(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f'{path} is not the directory of a run: its config.json and run.json cannot be read; give the --workdir '
            'of a run.'
        ) from error
    files = (metrics_of(path), timing_of(path), evaluations_of(path))
    parent, own = path.resolve().parts[-2:]
    name = name or (f'{parent}/{own}' if own.startswith('member-') else own)
    begun = sorted(records(starts_of(path)), key=lambda start: start['time'])  # also at an earlier step than before
    found = [*map(records, files), begun, _evaluated(path, troubles)]
    try:
        diverged = description.read_divergence(path)
    except UserError as error:
        diverged = None
        troubles.append(str(error))
    return Workdir(name, path, config, facts, *found, diverged, report.sample_files(path), troubles)


def _evaluated(path: pathlib.Path, troubles: list[str]) -> list[tuple[int, int, list[Record]]]:
    found = []
    for file in (path / 'evaluation').glob('step*-seed*.json'):
        if not (numbers := re.fullmatch(r'step(\d+)-seed(\d+)', file.stem)):
            continue
        try:
            found.append((int(numbers[1]), int(numbers[2]), results.read(file).records))
        except UserError as error:
            troubles.append(str(error))
    return sorted(found, key=lambda one: one[:2])


def curves(workdir: Workdir) -> dict[str, Curve]:
    """Every metric that has a finite value somewhere and a meaning under the run's loss, by name.

    Beside them the learning rates, what the records of the clock have, and the Wasserstein estimate: the mean of the
    critic on real examples less that on fake ones.
    """
    loss = workdir.config['loss']['name']
    meaningless = () if loss in PROBABILISTIC else ('_probability',)
    meaningless += () if loss in SIGNED else ('/accuracy',)
    found = {name: curve for name, curve in _curves(workdir.metrics).items() if not name.endswith(meaningless)}
    if loss == 'wasserstein' and 'discriminator/real_loss' in found and 'discriminator/fake_loss' in found:
        (xs, real), (_, fake) = (found[f'discriminator/{part}_loss'] for part in ('real', 'fake'))
        estimate = [None if None in pair else -sum(pair) for pair in zip(real, fake, strict=True)]
        found = {'discriminator/wasserstein_estimate': (xs, estimate), **found}
    if not found:
        return {}
    clocked = {name: curve for name, curve in _curves(workdir.timing).items() if len(curve[0]) > 1}
    clocked.pop('seconds', None)
    return found | _learning_rates(workdir.phases) | clocked


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    found: dict[str, Curve] = {}
    for record in records:
        for name, value in record.items():
            if name not in ('step', 'kimg'):
                xs, ys = found.setdefault(name, ([], []))
                xs.append(record['kimg'])
                ys.append(value)
    return {name: curve for name, curve in found.items() if any(value is not None for value in curve[1])}


def clock(workdir: Workdir) -> Clock:
    """The steps and the hours of training, over all starts, by the thousands of images."""
    course = workdir.phases
    ends = [0, *map(phases.end, course)]
    found = {'step': ([phases.kimg(course, step) for step in ends], [float(step) for step in ends])}
    before = hours = 0.0
    at = [(0.0, 0.0)]
    for record in workdir.timing:
        if 'images_per_second' not in record:  # the first of a start, whose seconds begin anew
            before = hours
        hours = before + record['seconds'] / 3600
        at.append((record['kimg'], hours))
    return found | ({'hours': tuple(zip(*at, strict=True))} if len(at) > 1 else {})


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values by 'x.y'."""
    return flatten_dict(dict(config), sep='.')


def changed(config: Mapping[str, Any]) -> set[str]:
    """The keys whose values are not the base config's, or not the defaults of what a section's name chooses.

    All options of other people's modules count as changed, as a page imports none.
    """
    section = config.get('game')
    game = section.get('name') if isinstance(section, Mapping) else 'adversarial'
    is_ours = game in games.names()
    defaults = configs.base(config['model'], game, importing=False) if is_ours else without_networks()
    known = flat(json_values.to_json(defaults))
    for name, options in config.items():
        has_choice = name != 'data' and isinstance(options, Mapping) and 'name' in options
        if has_choice and '.' not in options['name'] and (is_ours or name != 'game'):
            chosen = flat({name: json_values.to_json(configs.section(name, options['name']))})
            known |= chosen | {f'{name}.name': known.get(f'{name}.name', options['name'])}
    return {key for key, value in flat(config).items() if key not in known or known[key] != value}


def seconds(workdir: Workdir) -> float:
    """The wall-clock time of all starts of a run, each until its last record; the first of each has no speed."""
    ends = [before for before, after in itertools.pairwise(workdir.timing) if 'images_per_second' not in after]
    return sum(record['seconds'] for record in [*ends, *workdir.timing[-1:]])


def protocols(workdir: Workdir) -> dict[str, Record]:
    """The last evaluation of each metric."""
    return {
        record['metric']: Record(
            record['metric'], record['value'], record['error'], f'step {record["step"]}', record['protocol']
        )
        for record in workdir.evaluations
        if 'failure' not in record
    }


def _learning_rates(course: Sequence[ConfigDict]) -> dict[str, Curve]:
    """Those that each phase's schedule gives, before the correction for lazy terms."""
    found: dict[str, Curve] = {}
    for config in course:
        if '.' in config.schedule.name:  # somebody's own, which is not imported for a page
            continue
        rounds, schedule = configs.steps(config, 'duration'), configs.make(config, 'schedule')
        steps = np.unique(np.linspace(0, rounds, _SCHEDULE_POINTS).round())
        for player in json_values.roles_with_optimizers(config):
            factors = np.broadcast_to(np.asarray(schedule(rounds)(steps)), steps.shape)
            xs, ys = found.setdefault(f'{player}/learning_rate', ([], []))
            xs.extend(configs.kimg(config, step) for step in steps)
            ys.extend((config[f'{player}_optimizer'].learning_rate * factors).tolist())
    return found
