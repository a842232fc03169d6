"""All findings of a run, and the note of a run without any."""

import os
from collections.abc import Callable

import numpy as np

from gan_jax.config import json_values
from gan_jax.pages.health import evaluations, samples, training
from gan_jax.pages.health.course import (
    EARLY_KIMG,
    PROBABILISTIC,
    SEVERITIES,
    SHORTEST_WINDOW,
    SIGNED,
    Course,
    Finding,
    headline_of,
    series_of,
    window_of,
)
from gan_jax.pages.health.reading import read

FINDINGS: tuple[Callable[[Course], Finding | None], ...] = (
    training.not_finite,
    samples.generator_collapsed,
    samples.checkerboard,
    training.gradients_exploded,
    training.gradients_vanished,
    training.discriminator_saturated,
    training.generator_won,
    training.oscillating,
    training.lipschitz_missed,
    training.augmentation_at_limit,
    evaluations.metric_worsened,
    evaluations.memorised,
    evaluations.still_improving,
)


def no_problems(run: Course) -> Finding:
    """The note of a run without problems: what was checked, or that it is too early."""
    roles = sorted(json_values.roles_with_optimizers(run.config), key=lambda role: role != 'generator')
    norms = {f'{role}/gradient_norm': role for role in roles}
    moving = next((name for name in norms if len(series_of(run, name)[1])), 'generator/gradient_norm')
    window, early = window_of(run, moving), 'It is too early for findings.'
    if window is None:
        needed, there = 2 * SHORTEST_WINDOW, len(series_of(run, moving)[1])
        evidence = f'Trends need {needed} records of metrics; there are {there}.'
        return Finding('too_early', 'note', early, evidence)
    if run.is_early:
        evidence = f'The generator has seen {1000 * run.records[-1]["kimg"]:,.0f} images, fewer than '
        return Finding('too_early', 'note', early, evidence + f'{1000 * EARLY_KIMG:,.0f}.')
    shown = {name: f'{"gradient norms " * (name == moving)}of the {role}' for name, role in norms.items()}
    if run.config.loss.name in SIGNED:
        shown['discriminator/accuracy'] = 'accuracy'
    if run.config.loss.name in PROBABILISTIC:
        shown |= {'discriminator/real_probability': 'D(real)', 'discriminator/fake_probability': 'D(fake)'}
    medians = [f'{label} {seen.now:.3g}' for name, label in shown.items() if (seen := window_of(run, name))]
    evidence = f'Medians {window.span}: {", ".join(medians)}.'
    if diversity := samples.diversity_of(run):
        evidence += f' {diversity.distinct} of {diversity.number} samples in the last grid are distinct.'
    if series := headline_of(run):
        evidence += f' {series.name} is {series.values[-1]:.4g} (best {series.values[np.argmin(series.costs)]:.4g}).'
    return Finding('no_problems', 'note', 'No problems detected.', evidence)


def findings(workdir: str | os.PathLike) -> list[Finding]:
    """The findings of the run in a directory, the most severe first; never empty.

    Raises:
        UserError: the directory is not a run, or its records are damaged.
    """
    return assess(read(workdir))


def assess(run: Course) -> list[Finding]:
    """The findings of a run, the most severe first; a run without problems has a note of what was checked."""
    found = [finding for look in FINDINGS if (finding := look(run))]
    if all(finding.severity == 'note' and finding.name != 'samples_alike' for finding in found):
        found.insert(0, no_problems(run))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
