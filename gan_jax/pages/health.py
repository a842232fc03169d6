"""What a doctor would say of a run: findings in words, each with its evidence and the usual remedies.

A finding is a function of a `Run`, of what a run's directory holds, and says nothing where all is well. Most compare a
window at the end of the run (the last tenth of its records, at least five) with what came before, so that the storms of
the first steps are not reported. Numbers are judged only where the loss gives them a meaning: a Wasserstein critic has
no probabilities.
"""

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gan_jax import config as configs
from gan_jax import phases
from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import BEST
from gan_jax.pages.diversity import Diversity, compare, cut_grid
from gan_jax.parts import is_conditional
from gan_jax.records import description, files, report
from gan_jax.records.metrics import metrics_of
from gan_jax.values import value_of

SHORTEST_WINDOW = 5  # records; the median of fewer is at the mercy of one
SATURATED_ACCURACY = 0.99  # of a batch of 64 with its fakes, one example is judged wrongly: no lesson left to learn
SATURATED_PROBABILITY = 0.02  # D(fake) above its label: log(1 - D) then has under 2 % of its largest gradient
AT_CHANCE = (0.4, 0.6)  # accuracies that are guesses: the end of a game, where small gradients are right
VANISHED = 0.01  # of the earlier gradient: no learning rate schedule asks for that, and Adam's memory is long past
VANISHED_BESIDE = 1e-4  # of the discriminator's gradient: healthy games here lie between 0.05 and 10
NEGLIGIBLE = 1e-7  # of the parameters' norm: less than float32 can add to them
EXPLODED = 100.0  # times the earlier gradient: games that train well stay within a factor of 10 after their start
GROWING = 1.05  # times the spread before: samples that were never diverse are on their way, and may only need time
WORSE = 1.25  # times the best: FIDs of other samples of the same generator differ by a few per cent
IMPROVING = 1.05  # the gain over the last quarter that is worth another quarter
FEWEST_EVALUATIONS = 4  # so that a quarter of them is one
MEMORISED = 0.2  # authenticity: half of the lowest share, 0.41, that new examples have (see `authenticity`)
ADA_LIMIT = 0.8  # above it augmentations leak into the samples: Karras et al. 2020 (ADA), section 2.2
LIPSCHITZ = 0.25  # of the target squared: gradient norms are off by half of what they should be
_MOST_GRIDS = 10  # of earlier samples that are looked at, evenly spaced

SEVERITIES = ('bad', 'warning', 'note')
_PROBABILISTIC = ('non_saturating', 'minimax', 'logistic')  # losses whose logits are those of a probability
_JUDGING = (*_PROBABILISTIC, 'hinge')  # whose logits have the sign of the discriminator's opinion


class Finding(NamedTuple):
    """Something about a run that a person should know.

    Attributes:
        name: of the finding, in snake case.
        severity: 'note', 'warning' or 'bad'.
        sentence: what was found.
        evidence: the numbers it rests on.
        remedies: what usually helps, parted by semicolons, as config keys where there are such; may be empty.
    """

    name: str
    severity: str
    sentence: str
    evidence: str
    remedies: str = ''


class Run(NamedTuple):
    """What findings look at.

    Attributes:
        config: of the run's phase, the last that has records.
        records: of `metrics.jsonl` in that phase, with None for what was not finite.
        given_up: why the run was given up as diverged, or None.
        samples: the last grid's images, uint8 [groups, n, pixels], a group for each class of a conditional run;
            None: there are no pictures of images.
        real: real images in the same layout, or None.
        earlier: grids of samples before the last.
        is_last: whether the phase is the last of the run.
    """

    config: ConfigDict
    records: list[dict[str, Any]]
    given_up: str | None = None
    samples: np.ndarray | None = None
    real: np.ndarray | None = None
    earlier: tuple[np.ndarray, ...] = ()
    is_last: bool = True


def findings(workdir: str | os.PathLike) -> list[Finding]:
    """What is to be said of the run in a directory, the gravest first; never empty.

    Raises:
        UserError: the directory holds no run, or its records are damaged.
    """
    return judge(read(workdir))


def judge(run: Run) -> list[Finding]:
    """The findings of a run, the gravest first; a run without faults has a note of what was looked at."""
    found = [finding for look in FINDINGS if (finding := look(run))]
    if all(finding.severity == 'note' for finding in found):
        found.insert(0, nothing_found(run))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def read(workdir: str | os.PathLike) -> Run:
    """Reads what findings look at from a run's directory.

    Raises:
        UserError: the directory holds no run, or its records are damaged.
    """
    workdir = pathlib.Path(workdir)
    try:
        course = phases.recorded(description.read_config(workdir), description.read_phases(workdir))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'{workdir} is not the directory of a run: its config.json or run.json is missing.') from error
    diverged = workdir / 'diverged.json'
    given_up = str(files.read_object(diverged).get('reason')) if diverged.exists() else None
    records, _ = metrics_of(workdir).scan()
    config = course[phases.trained_in(course, records[-1]['step'] if records else 0)]
    facts, begin = description.read_data_facts(workdir, config.phase.number), config.phase.steps
    run = Run(config, [record for record in records if record['step'] > begin or not begin], given_up)
    run = run._replace(is_last=config.phase.number + 1 == len(course))

    *earlier, last = [path for step, path in report.sample_grids(workdir) if step > begin or not begin] or [None]
    if last is None or len(facts['shape']) != 3 or report.caption_of(last):  # which shows more than samples
        return run
    classes = facts['classes'] if is_conditional(config) else None

    def grid(path: pathlib.Path) -> np.ndarray | None:
        return cut_grid(np.asarray(Image.open(path)), facts['shape'], config.samples, classes)

    chosen = np.unique(np.linspace(0, len(earlier) - 1, min(len(earlier), _MOST_GRIDS)).astype(int))
    before = [grid(earlier[i]) for i in chosen]
    real = workdir / 'real.png'
    return run._replace(
        samples=grid(last),
        real=grid(real) if real.exists() else None,
        earlier=tuple(one for one in before if one is not None),
    )


def not_finite(run: Run) -> Finding | None:
    """NaN or infinity in the records, or a run that was given up for it."""
    met = [(name, record['step']) for record in run.records for name, value in record.items() if value is None]
    if not met and run.given_up is None:
        return None
    evidence = f'The run was given up: {run.given_up}.'
    if run.given_up is None:
        evidence = f'Values that are no numbers: {len(met)}, the first {met[0][0]} at step {met[0][1]:,}.'
        if all(name.startswith('eval/') for name, _ in met):  # those of training would have stopped the run
            return Finding('not_finite', 'warning', 'An evaluation gave no finite number.', evidence)
    return Finding(
        'not_finite',
        'bad',
        'NaN or infinity was met: the networks have diverged.',
        evidence,
        _advice(
            run,
            'on_nan=restore, to go back to the last good checkpoint and on with other noise; '
            f'{_slower(run, "generator")}; {_slower(run, "discriminator")}; generator_optimizer.clip_norm=1.0; '
            'discriminator_optimizer.clip_norm=1.0; dtype=float32',
        ),
    )


def generator_collapsed(run: Run) -> Finding | None:
    """A last grid of few distinct images or of little spread, within each class of a conditional run.

    Judged by distances in pixels against those in a grid of real images, or else in the median earlier grid. Modes
    whose images vary are not found by pixels: recall and coverage are for them.
    """
    diversity = _diversity(run)
    if diversity is None or not diversity.is_low:
        return None
    before = [compare(grid, _references(run)) for grid in run.earlier]
    once = any(not one.is_low for one in before)
    growing = before and diversity.spread > GROWING * np.median([one.spread for one in before])
    if once:
        name, severity, sentence = 'generator_collapsed', 'bad', 'The generator has collapsed to few images.'
    elif growing:
        name, severity = 'samples_alike', 'note'
        sentence = 'The samples are still much alike, and become more diverse.'
    else:
        name, severity = 'generator_collapsed', 'warning'
        sentence = (
            'The samples are much alike: the generator has collapsed to few images, or has hardly begun to learn.'
        )
    usual = f', where two {"samples before" if run.real is None else "real images"} differ by {diversity.usual:.3g}'
    return Finding(
        name,
        severity,
        sentence,
        f'{diversity.distinct} of {diversity.number} samples in the last grid are distinct; two'
        f'{" of a class" if len(run.samples) > 1 else ""} differ by {diversity.spread:.3g} grey levels (median of root '
        f'mean squares){usual if _references(run) else ""}.',
        _advice(
            run,
            f'{"" if once else "more steps; "}{_slower(run, "generator")}; discriminator.minibatch=deviation; '
            'penalties.r1.weight=1.0; instance_noise.deviation=0.1; unrolled_steps=5; '
            'loss.name=wasserstein with penalties.gradient_penalty.weight=10.0',
        ),
    )


def gradients_exploded(run: Run) -> Finding | None:
    """Gradients of a player far above the run's own before."""
    for player in configs.roles_with_optimizers(run.config):
        window = _window(run, f'{player}/gradient_norm')
        if window and window.now > EXPLODED * window.earlier > 0:
            return Finding(
                'gradients_exploded',
                'bad',
                f'The gradients of the {player} have exploded.',
                f'Median norm {window.now:.3g} {window.span}, {window.now / window.earlier:,.0f} times the '
                f'{window.earlier:.3g} before.',
                _advice(
                    run,
                    f'{_slower(run, "discriminator")}; {_slower(run, "generator")}; '
                    f'{player}_optimizer.clip_norm=1.0; discriminator.normalization=spectral; '
                    'penalties.r1.weight=1.0',
                ),
            )
    return None


def gradients_vanished(run: Run) -> Finding | None:
    """A generator that learns nothing any more, in a game that has not come to rest at its end."""
    mine, other = (_window(run, f'{player}/gradient_norm') for player in ('generator', 'discriminator'))
    accuracy = _window(run, 'discriminator/accuracy') if run.config.loss.name in _JUDGING else None
    if mine is None or (accuracy and AT_CHANCE[0] <= accuracy.now <= AT_CHANCE[1]):
        return None
    weights = _window(run, 'generator/parameter_norm')
    signs = []
    if mine.now < VANISHED * mine.earlier:
        signs.append(f'it was {mine.earlier:.3g} before')
    if other and mine.now < VANISHED_BESIDE * other.now:
        signs.append(f'that of the discriminator is {other.now:.3g}')
    if weights and mine.now < NEGLIGIBLE * weights.now:
        signs.append(f'that of the weights is {weights.now:.3g}')
    if not signs:
        return None
    return Finding(
        'gradients_vanished',
        'bad',
        'The gradients of the generator have vanished: it learns nothing any more.',
        f'Median norm {mine.now:.3g} {mine.span}; {"; ".join(signs)}.',
        _advice(
            run,
            f'{_against_saturation(run)}{_slower(run, "discriminator")}; instance_noise.deviation=0.1; '
            'penalties.r1.weight=1.0; loss.name=wasserstein with penalties.gradient_penalty.weight=10.0',
        ),
    )


def discriminator_saturated(run: Run) -> Finding | None:
    """A discriminator that is always right, where its logits are an opinion."""
    loss = run.config.loss
    accuracy = _window(run, 'discriminator/accuracy')
    if loss.name not in _JUDGING or accuracy is None or accuracy.now < SATURATED_ACCURACY:
        return None
    evidence = f'Median accuracy {accuracy.now:.3f}'
    fake = _window(run, 'discriminator/fake_probability')
    if loss.name in _PROBABILISTIC and fake:
        if fake.now > loss.get('fake_label', 0.0) + SATURATED_PROBABILITY:
            return None
        evidence += f' and D(fake) {fake.now:.2g}'
    return Finding(
        'discriminator_saturated',
        'bad' if loss.name == 'minimax' else 'warning',  # only there the generator's gradient goes with D(fake)
        'The discriminator is saturated: it tells all samples from real examples, and has little to teach.',
        f'{evidence} {accuracy.span}.',
        _advice(
            run,
            f'{_against_saturation(run)}{_slower(run, "discriminator")}; loss.real_label=0.9; '
            'penalties.r1.weight=1.0; discriminator.normalization=spectral; instance_noise.deviation=0.1; '
            'augment.name=ada where images are few',
        ),
    )


def lipschitz_missed(run: Run) -> Finding | None:
    """A gradient penalty that does not hold the gradients' norms at their target."""
    penalty, window = run.config.penalties.gradient_penalty, _window(run, 'discriminator/gradient_penalty')
    if window is None or window.now <= LIPSCHITZ * penalty.target**2 or not penalty.target:
        return None
    return Finding(
        'lipschitz_missed',
        'warning',
        'The gradient penalty does not hold: the critic is far from the slope it should have.',
        f'Between real and fake examples gradient norms are off their target {penalty.target:g} by '
        f'{window.now**0.5:.3g} (root mean square) {window.span}.',
        _advice(
            run,
            f'penalties.gradient_penalty.weight={max(10.0, 10 * penalty.weight)}; {_slower(run, "discriminator")}; '
            'discriminator_steps=5; discriminator.normalization=layer',
        ),
    )


def augmentation_at_limit(run: Run) -> Finding | None:
    """Adaptive augmentation that is as strong as is safe and still asked for more."""
    window = _window(run, 'discriminator/augmentation')
    if window is None or window.now < ADA_LIMIT:
        return None
    return Finding(
        'augmentation_at_limit',
        'warning',
        'Adaptive augmentation is at its limit: the discriminator overfits all the same, and augmentations may show '
        'in the samples.',
        f'Median p {window.now:.2f} {window.span}; {ADA_LIMIT:g} is held for safe.',
        _advice(
            run,
            'more data; data.flip=True where mirrored images are real; penalties.r1.weight=10.0; '
            'a smaller discriminator; the best checkpoint instead of the last',
        ),
    )


def metric_worsened(run: Run) -> Finding | None:
    """An evaluation that was much better before."""
    series = _headline(run)
    if series is None or len(series.values) < FEWEST_EVALUATIONS:
        return None
    best = int(np.argmin(series.costs))
    if series.costs[-1] <= WORSE * series.costs[best]:
        return None
    return Finding(
        'metric_worsened',
        'warning',
        f'The metric {series.name} has got much worse since its best.',
        f'{series.values[-1]:.4g} at step {series.steps[-1]:,}, where it was {series.values[best]:.4g} at step '
        f'{series.steps[best]:,}.',
        _advice(
            run,
            f'the best checkpoint instead of the last; checkpoints.best_metric=eval/{series.name}, to keep it; '
            'schedule.name=cosine; penalties.r1.weight=1.0; augment.name=ada where images are few',
        ),
    )


def memorised(run: Run) -> Finding | None:
    """Samples that are nearly copies of training examples."""
    steps, values = _series(run, 'eval/authenticity')
    if not len(values) or values[-1] >= MEMORISED:
        return None
    return Finding(
        'memorised',
        'warning',
        'The generator may have memorised: many of its samples are nearer to a training example than others are.',
        f'Authenticity {values[-1]:.2g} at step {steps[-1]:,}; that of held-out data is the one to compare with.',
        _advice(
            run,
            'a look at the nearest training neighbours; more data; data.flip=True where mirrored images are real; '
            'augment.name=ada; a smaller generator; an earlier checkpoint',
        ),
    )


def still_improving(run: Run) -> Finding | None:
    """A run that ended while its metric was getting better."""
    series = _headline(run)
    finished = run.records and run.is_last and run.records[-1]['step'] >= phases.end(run.config)
    if series is None or not finished or len(series.values) < FEWEST_EVALUATIONS:
        return None
    late = len(series.values) // 4
    before, after = (int(np.argmin(costs)) for costs in (series.costs[:-late], series.costs[-late:]))
    after += len(series.values) - late
    if series.costs[before] <= IMPROVING * series.costs[after]:
        return None
    return Finding(
        'still_improving',
        'note',
        f'The metric {series.name} was still getting better at the end.',
        f'{series.values[after]:.4g} at step {series.steps[after]:,}, {series.values[before]:.4g} at step '
        f'{series.steps[before]:,}.',
        'a longer duration, with --accept_config_changes',
    )


FINDINGS: tuple[Callable[[Run], Finding | None], ...] = (
    not_finite,
    generator_collapsed,
    gradients_exploded,
    gradients_vanished,
    discriminator_saturated,
    lipschitz_missed,
    augmentation_at_limit,
    metric_worsened,
    memorised,
    still_improving,
)


def nothing_found(run: Run) -> Finding:
    """The note of a run without faults: what was looked at."""
    window = _window(run, 'generator/gradient_norm')
    if window is None:
        return Finding(
            'too_early',
            'note',
            'It is too early to judge.',
            f'Trends need {2 * SHORTEST_WINDOW} records of metrics, and there are '
            f'{len(_series(run, "generator/gradient_norm")[1])}.',
        )
    shown = {'generator/gradient_norm': 'gradient norms of the generator'}
    shown['discriminator/gradient_norm'] = 'of the discriminator'
    if run.config.loss.name in _JUDGING:
        shown['discriminator/accuracy'] = 'accuracy'
    if run.config.loss.name in _PROBABILISTIC:
        shown |= {'discriminator/real_probability': 'D(real)', 'discriminator/fake_probability': 'D(fake)'}
    medians = [f'{label} {seen.now:.3g}' for name, label in shown.items() if (seen := _window(run, name))]
    evidence = f'Medians {window.span}: {", ".join(medians)}.'
    if diversity := _diversity(run):
        evidence += f' {diversity.distinct} of {diversity.number} samples in the last grid are distinct.'
    if series := _headline(run):
        evidence += f' {series.name} is {series.values[-1]:.4g} (best {series.values[np.argmin(series.costs)]:.4g}).'
    return Finding('nothing_found', 'note', 'Nothing unhealthy was found.', evidence)


class _Window(NamedTuple):
    """Medians of a metric: in the window, and before it."""

    now: float
    earlier: float
    span: str


def _window(run: Run, name: str) -> _Window | None:
    """None for a metric of fewer records than two shortest windows."""
    steps, values = _series(run, name)
    if len(values) < 2 * SHORTEST_WINDOW:
        return None
    length = max(SHORTEST_WINDOW, len(values) // 10)
    span = f'over the last {length} of {len(values)} records (steps {steps[-length - 1] + 1:,} to {steps[-1]:,})'
    return _Window(float(np.median(values[-length:])), float(np.median(values[:-length])), span)


def _series(run: Run, name: str) -> tuple[list[int], np.ndarray]:
    """A metric's steps and values, where they are finite."""
    points = [(record['step'], record[name]) for record in run.records if record.get(name) is not None]
    return [step for step, _ in points], np.array([value for _, value in points], float)


class _Headline(NamedTuple):
    """The metric by which a run is judged; the lower its costs (values, or their inverse), the better."""

    name: str
    steps: list[int]
    values: np.ndarray
    costs: np.ndarray


def _headline(run: Run) -> _Headline | None:
    """The metric that chooses checkpoints, or else the first evaluated one of which less or more is better."""
    directions = {name: best for name, best in BEST.items() if best != 'real'}
    chosen = (run.config.checkpoints.best_metric or '').removeprefix('eval/')
    for name in sorted(directions, key=lambda name: name != chosen):
        steps, values = _series(run, f'eval/{name}')
        if len(values) and (values > 0).all():  # an estimate such as KID's may be below 0, and has no ratios then
            return _Headline(name, steps, values, values if directions[name] == 'min' else 1 / values)
    return None


def _advice(run: Run, remedies: str) -> str:
    """Those of the remedies, parted by semicolons, that are news: of keys that the config has, with other values."""

    def is_news(remedy: str) -> bool:
        asked = re.findall(r'([\w.]+)=([\w./-]+)', remedy)
        try:
            return not asked or any(str(value_of(run.config, key)) != value for key, value in asked)
        except UserError:  # there is no such key
            return False

    return '; '.join(filter(is_news, remedies.split('; ')))


def _against_saturation(run: Run) -> str:
    return 'loss.name=non_saturating; ' if run.config.loss.name == 'minimax' else ''


def _slower(run: Run, player: str) -> str:
    """The advice of a quarter of a player's learning rate; none of a player that the game has not is news."""
    name = f'{player}_optimizer'
    rate = run.config[name].learning_rate if name in run.config else 0
    return f'{name}.learning_rate={rate / 4:g}'


def _diversity(run: Run) -> Diversity | None:
    """Of the last grid; None for a run without images in groups of at least two, or too young to be judged."""
    if run.samples is None or run.samples.shape[1] < 2 or _window(run, 'generator/gradient_norm') is None:
        return None
    return compare(run.samples, _references(run))


def _references(run: Run) -> tuple[np.ndarray, ...]:
    return run.earlier if run.real is None else (run.real,)
