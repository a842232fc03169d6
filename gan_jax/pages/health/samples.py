"""Findings about the pictures of samples."""

import numpy as np

from gan_jax.pages.diversity import Diversity, compare
from gan_jax.pages.health.course import EARLY_KIMG, Course, Finding, advice, slower, window_of

SMALLEST_SIDE = 16  # pixels, so that there are frequencies around the pattern's own
PEAK = 5.0  # times the power around, and times that of real images: 64 images leave an error of an eighth
FAINTEST = 1.0  # grey levels (root mean square): a fainter pattern cannot be seen
GROWING = 1.05  # times the spread before: samples that were never diverse are on their way, and may only need time


def generator_collapsed(run: Course) -> Finding | None:
    """A last grid with few distinct images or little spread, within each class of a conditional run.

    The check compares distances in pixels with those in a grid of real images, or else in the median earlier grid.
    It does not detect missing modes; use recall and coverage for those.
    """
    diversity = diversity_of(run)
    if diversity is None or not diversity.is_low:
        return None
    before = [compare(grid, references(run)) for grid in run.earlier]
    once = any(not one.is_low for one in before)
    growing = before and diversity.spread > GROWING * np.median([one.spread for one in before])
    if once:
        name, severity, sentence = 'generator_collapsed', 'bad', 'The generator has collapsed to a few images.'
    elif growing or run.is_early:
        name, severity = 'samples_alike', 'note'
        sentence = 'It is too early for findings: the samples are still very similar'
        sentence += (
            ', but their diversity is increasing.' if growing else f' after fewer than {EARLY_KIMG:g} thousand images.'
        )
    else:
        name, severity = 'generator_collapsed', 'warning'
        sentence = (
            'The samples are very similar: the generator has collapsed to a few images, or has hardly begun to learn.'
        )
    usual = f' ({"earlier samples" if run.real is None else "real images"}: {diversity.usual:.3g})'
    return Finding(
        name,
        severity,
        sentence,
        f'{diversity.distinct} of {diversity.number} samples in the last grid are distinct; median RMS distance'
        f'{" within a class" if len(run.samples) > 1 else ""} {diversity.spread:.3g} grey levels'
        f'{usual if references(run) else ""}.',
        advice(
            run,
            f'{"" if once else "more steps; "}{slower(run, "generator")}; discriminator.minibatch=deviation; '
            'penalties.r1.weight=1.0; instance_noise.deviation=0.1; unrolled_steps=5; '
            'loss.name=wasserstein with penalties.gradient_penalty.weight=10.0',
        ),
    )


def checkerboard(run: Course) -> Finding | None:
    """Samples with more of a pattern of every other pixel, or every fourth, than real images have.

    Odena et al. 2016, "Deconvolution and Checkerboard Artifacts": strided transposed convolutions whose kernel's size
    is no multiple of the stride leave it.
    """
    diversity = diversity_of(run)
    if diversity is None or diversity.is_low or run.real is None or min(run.shape[:2]) < SMALLEST_SIDE:
        return None
    (fake, strength), (real, _) = (peaks(grid.reshape(-1, *run.shape)) for grid in (run.samples, run.real))
    excess = fake / np.maximum(real, 1)
    strongest = int(np.argmax(np.where(strength > FAINTEST, excess, 0)))
    if excess[strongest] < PEAK or strength[strongest] <= FAINTEST:
        return None
    return Finding(
        'checkerboard',
        'warning',
        'The samples have a checkerboard pattern.',
        f'At a period of {(2, 4)[strongest]} pixels the peak in their spectrum is {excess[strongest]:.1f} times that '
        f'of real images; its amplitude is {strength[strongest]:.2g} grey levels (RMS).',
        advice(
            run,
            'generator.upsampling=nearest; a kernel whose size is a multiple of the stride; more steps; '
            f'{slower(run, "generator")}',
        ),
    )


def peaks(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the power at the periods of 2 and 4 pixels stands out of the spectrum around it.

    Args:
        images: [n, H, W, C] in grey levels.

    Returns:
        For each of the periods the largest ratio of the mean power at one of its frequencies to the usual one, the
        median of those within two bins, and the root of all that is above the usual; zeros where the sides are no
        multiples of the period.
    """
    height, width = images.shape[1:3]
    power = (np.abs(np.fft.fft2(images.astype(np.float64), axes=(1, 2)) / (height * width)) ** 2).mean((0, 3))
    ratios, strengths = np.zeros(2), np.zeros(2)
    for i, period in enumerate((2, 4)):
        if height % period or width % period or min(height, width) < SMALLEST_SIDE * period // 2:
            continue
        rows, columns = (np.arange(period) * (side // period) for side in (height, width))
        own = [(row, column) for row in rows for column in columns if row or column]
        if period == 4:  # but those of the period 2
            own = [(row, column) for row, column in own if row % (height // 2) or column % (width // 2)]
        around = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if a or b]
        for row, column in own:
            usual = np.median([power[(row + a) % height, (column + b) % width] for a, b in around])
            ratios[i] = max(ratios[i], power[row, column] / max(usual, 1e-12))
            strengths[i] += max(0.0, power[row, column] - usual)
    return ratios, np.sqrt(strengths)


def diversity_of(run: Course) -> Diversity | None:
    """The diversity of the last grid; None for a run without images in groups of at least two, or just begun."""
    if run.samples is None or run.samples.shape[1] < 2 or window_of(run, 'generator/gradient_norm') is None:
        return None
    return compare(run.samples, references(run))


def references(run: Course) -> tuple[np.ndarray, ...]:
    """The grids that a grid of samples is compared with: real images, or else earlier samples."""
    return run.earlier if run.real is None else (run.real,)
