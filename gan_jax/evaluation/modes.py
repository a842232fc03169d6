"""Mode coverage: how many modes of the data a generator reaches, and how evenly.

The counts of the literature, on the host and in float64:

- Mixtures in the plane (VEEGAN, Srivastava et al., arXiv:1705.07761, section 5; PacGAN, Lin et al., arXiv:1712.04086,
  section 4.1): of 2,500 samples, those within three standard deviations of the nearest centre are of high quality; a
  mode is captured if it is the nearest of at least one of them. A perfect generator in the plane has a share
  1 - exp(-9 / 2) = 0.989 of high quality, and not 1.
- Stacked digits (Unrolled GAN, Metz et al., arXiv:1611.02163; VEEGAN; PacGAN, section 4.2; tables of later results in
  PresGAN, Dieng et al., arXiv:1910.04302): a classifier names the digit in each channel of 26,000 samples; a mode, one
  of the 1,000 triples, is captured if it has at least one sample. Even a perfect generator whose modes are equally
  likely has a divergence of about 999 / 52,000 = 0.019 then, for the sample is small.

Captured modes, shares and divergences depend on the number of samples: compare only reports of the same `protocol`.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.data.toys import Mixture
from gan_jax.errors import UserError

NUM_SAMPLES = 2500
NUM_STACKED_SAMPLES = 26_000
MAX_DISTANCE = 3.0  # in standard deviations


class ModeReport(NamedTuple):
    """The mode coverage of a generator's samples.

    Attributes:
      captured: the number of modes with at least `least` samples (of high quality, for a mixture).
      num_modes: the number of modes of the data.
      high_quality: share in [0, 1] of the samples that are of high quality; None if quality is not judged.
      reverse_kl: KL(samples || data) between the histograms over the modes, in nats, with 0 log 0 = 0. 0 is perfect;
        all in one of n equally likely modes is log(n). Infinite if no sample counts, for there is no histogram then,
        or if one counts where the data has none.
      counts: int64 [num_modes], the samples that count for each mode.
      protocol: the counting rule.
    """

    captured: int
    num_modes: int
    high_quality: float | None
    reverse_kl: float
    counts: np.ndarray
    protocol: str


def mixture_modes(points: np.ndarray, mixture: Mixture, least: int = 1) -> ModeReport:
    """Mode coverage of a mixture of Gaussians, as in VEEGAN, section 5, and PacGAN, section 4.1.

    A sample is of high quality if its Euclidean distance to the nearest centre is below three standard deviations; it
    counts for that mode and no other. The divergence is that of the high-quality samples from equally likely modes, as
    PacGAN's published code has its histogram. Points that are not finite are samples of no quality.

    Args:
      points: [n, 2], the samples; `NUM_SAMPLES` of them by protocol.
      mixture: the data's distribution.
      least: number of high-quality samples that a captured mode must have.

    Raises:
      UserError: there are no points, or they are not of that shape.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise UserError(f'Modes of a mixture are counted over points [n, 2], not over {list(points.shape)}.')
    offsets = points[:, None] - mixture.centres
    distances = np.hypot(offsets[..., 0], offsets[..., 1])
    nearest = distances.argmin(axis=1)
    good = distances.min(axis=1) < MAX_DISTANCE * mixture.std
    num_modes = len(mixture.centres)
    counts = np.bincount(nearest[good], minlength=num_modes)
    protocol = f'{num_modes} modes of std {mixture.std:g}, {len(points)} samples, within 3 std, least {least}'
    return _report(counts, np.ones(num_modes), float(good.mean()), least, protocol)


def label_modes(
    labels: np.ndarray, num_modes: int, data_counts: np.ndarray | None = None, least: int = 1
) -> ModeReport:
    """Mode coverage from the mode of each sample, as for stacked MNIST in VEEGAN, section 5, and PacGAN, section 4.2.

    Args:
      labels: int [n], the mode of each sample, in [0, num_modes), as a classifier names it; `NUM_STACKED_SAMPLES` of
        them by protocol.
      num_modes: the number of modes, 1,000 for stacked MNIST.
      data_counts: [num_modes], how often the data has each mode; by default all are equally likely.
      least: how many samples a mode must have to be captured.

    Raises:
      UserError: there are no labels, they do not fit num_modes, or data_counts does not.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.min() < 0 or labels.max() >= num_modes:
        raise UserError(f'Modes are counted over at least one label in [0, {num_modes}), each a whole number.')
    weights = np.ones(num_modes) if data_counts is None else np.asarray(data_counts, np.float64)
    if weights.shape != (num_modes,) or weights.min() < 0 or weights.sum() == 0:
        raise UserError(
            f"The data's counts have shape {list(weights.shape)}; {num_modes} modes need {num_modes} counts, not all 0."
        )
    counts = np.bincount(labels, minlength=num_modes)
    kind = 'equally likely modes' if data_counts is None else "modes as likely as the data's"
    return _report(counts, weights, None, least, f'{num_modes} {kind}, {len(labels)} samples, least {least}')


def _report(
    counts: np.ndarray, weights: np.ndarray, high_quality: float | None, least: int, protocol: str
) -> ModeReport:
    captured = int((counts >= least).sum())
    return ModeReport(captured, len(counts), high_quality, _divergence(counts, weights), counts, protocol)


def _divergence(counts: np.ndarray, weights: np.ndarray) -> float:
    """KL(counts || weights) in nats, both normalised here."""
    present = counts > 0
    if not present.any() or (weights[present] == 0).any():
        return float('inf')
    model, data = counts[present] / counts.sum(), weights[present] / weights.sum()
    return float((model * np.log(model / data)).sum())
