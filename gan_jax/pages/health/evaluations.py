"""Findings about evaluations."""

import numpy as np

from gan_jax.pages.health.course import Course, Finding, advice, headline_of, series_of
from gan_jax.training import phases

WORSE = 1.25  # times the best: FIDs of other samples of the same generator differ by a few per cent
IMPROVING = 1.05  # the gain over the last quarter that is worth another quarter
FEWEST_EVALUATIONS = 4  # so that a quarter of them is one
MEMORISED = 0.2  # authenticity: half of the lowest share, 0.41, that new examples have (see `authenticity`)


def metric_worsened(run: Course) -> Finding | None:
    """An evaluation that was much better before."""
    series = headline_of(run)
    if series is None or len(series.values) < FEWEST_EVALUATIONS:
        return None
    best = int(np.argmin(series.costs))
    if series.costs[-1] <= WORSE * series.costs[best]:
        return None
    return Finding(
        'metric_worsened',
        'warning',
        f'The metric {series.name} is much worse than its best value.',
        f'{series.values[-1]:.4g} at step {series.steps[-1]:,}, but {series.values[best]:.4g} at step '
        f'{series.steps[best]:,}.',
        advice(
            run,
            f'the best checkpoint instead of the last; checkpoints.best_metric=eval/{series.name}, to keep it; '
            'schedule.name=cosine; penalties.r1.weight=1.0; augment.name=ada for small data sets',
        ),
    )


def memorised(run: Course) -> Finding | None:
    """Samples that are nearly copies of training examples."""
    steps, values = series_of(run, 'eval/authenticity')
    if not len(values) or values[-1] >= MEMORISED:
        return None
    return Finding(
        'memorised',
        'warning',
        'The generator may have memorised training examples: many samples are almost copies of one.',
        f'Authenticity {values[-1]:.2g} at step {steps[-1]:,}; compare it with that of held-out data.',
        advice(
            run,
            'check the nearest training neighbours; more data; data.flip=True if mirrored images are realistic; '
            'augment.name=ada; a smaller generator; an earlier checkpoint',
        ),
    )


def still_improving(run: Course) -> Finding | None:
    """A run that ended while its metric was getting better."""
    series = headline_of(run)
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
        f'The metric {series.name} was still improving at the end.',
        f'{series.values[after]:.4g} at step {series.steps[after]:,}, {series.values[before]:.4g} at step '
        f'{series.steps[before]:,}.',
        'a longer duration, with --accept_config_changes',
    )
