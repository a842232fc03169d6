"""The inputs of findings, and common helpers."""

import re
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import BEST
from gan_jax.values import value_of

SHORTEST_WINDOW = 5  # records; the median of fewer is at the mercy of one
EARLY_KIMG = 5.0  # thousand images: the samples of a DCGAN of digits are alike until about then
SEVERITIES = ('bad', 'warning', 'note')
PROBABILISTIC = ('non_saturating', 'minimax', 'logistic')  # losses whose logits are those of a probability
SIGNED = (*PROBABILISTIC, 'hinge')  # whose logits have the sign of the discriminator's opinion


class Finding(NamedTuple):
    """A problem or a note about a run.

    Attributes:
        name: name of the finding, in snake case.
        severity: 'note', 'warning' or 'bad'.
        sentence: what was found.
        evidence: the numbers it rests on.
        remedies: what usually helps, separated by semicolons, as config keys if possible; can be empty.
    """

    name: str
    severity: str
    sentence: str
    evidence: str
    remedies: str = ''


class Course(NamedTuple):
    """The course of a training: the inputs of findings.

    Attributes:
        config: config of the run's phase, the last that has records.
        records: records of `metrics.jsonl` in that phase, with None for what was not finite.
        given_up: why the run was given up as diverged, or None.
        shape: (H, W, C) of an image.
        samples: the last grid's images, uint8 [groups, n, H W C], a group for each class of a conditional run;
            None: there are no pictures of images.
        real: real images in the same layout, or None.
        earlier: grids of samples before the last.
        is_last: whether the phase is the last of the run.
    """

    config: ConfigDict
    records: list[dict[str, Any]]
    given_up: str | None = None
    shape: tuple[int, ...] = ()
    samples: np.ndarray | None = None
    real: np.ndarray | None = None
    earlier: tuple[np.ndarray, ...] = ()
    is_last: bool = True

    @property
    def is_early(self) -> bool:
        """Whether the generator has been trained too little for findings about samples."""
        return not self.records or self.records[-1]['kimg'] < EARLY_KIMG


class Window(NamedTuple):
    """Medians of a metric: in the window, and before it."""

    now: float
    earlier: float
    span: str


def window_of(run: Course, name: str) -> Window | None:
    """None for a metric of fewer records than two shortest windows."""
    steps, values = series_of(run, name)
    if len(values) < 2 * SHORTEST_WINDOW:
        return None
    length = max(SHORTEST_WINDOW, len(values) // 10)
    span = f'over the last {length} of {len(values)} records (steps {steps[-length - 1] + 1:,} to {steps[-1]:,})'
    return Window(float(np.median(values[-length:])), float(np.median(values[:-length])), span)


def series_of(run: Course, name: str) -> tuple[list[int], np.ndarray]:
    """A metric's steps and values, where they are finite."""
    points = [(record['step'], record[name]) for record in run.records if record.get(name) is not None]
    return [step for step, _ in points], np.array([value for _, value in points], float)


class Headline(NamedTuple):
    """The metric used for findings; lower costs (values, or their inverse) are better."""

    name: str
    steps: list[int]
    values: np.ndarray
    costs: np.ndarray


def headline_of(run: Course) -> Headline | None:
    """The metric that chooses checkpoints, or else the first evaluated metric with a best direction."""
    directions = {name: best for name, best in BEST.items() if best != 'real'}
    chosen = (run.config.checkpoints.best_metric or '').removeprefix('eval/')
    for name in sorted(directions, key=lambda name: name != chosen):
        steps, values = series_of(run, f'eval/{name}')
        if len(values) and (values > 0).all():  # an estimate such as KID's may be below 0, and has no ratios then
            return Headline(name, steps, values, values if directions[name] == 'min' else 1 / values)
    return None


def advice(run: Course, remedies: str) -> str:
    """The remedies, separated by semicolons, whose keys the config has with other values."""

    def is_news(remedy: str) -> bool:
        asked = re.findall(r'([\w.]+)=([\w./-]+)', remedy)
        try:
            return not asked or any(str(value_of(run.config, key)) != value for key, value in asked)
        except UserError:  # there is no such key
            return False

    return '; '.join(filter(is_news, remedies.split('; ')))


def against_saturation(run: Course) -> str:
    """The advice to use the non-saturating loss, if the run has the saturating one."""
    return 'loss.name=non_saturating; ' if run.config.loss.name == 'minimax' else ''


def slower(run: Course, player: str) -> str:
    """The advice to use a quarter of a player's learning rate; `advice` drops players that the game does not have."""
    name = f'{player}_optimizer'
    rate = run.config[name].learning_rate if name in run.config else 0
    return f'{name}.learning_rate={rate / 4:g}'
