"""Bootstrap intervals for any metric."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.layers.choices import require


class Interval(NamedTuple):
    """Bounds between which a value lies with some confidence."""

    low: float
    high: float


def bootstrap(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval of a statistic under resampling of its rows with replacement.

    Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; Efron and Tibshirani 1993, "An Introduction to the
    Bootstrap", section 13.3. To resample the fakes, fix the real images in the statistic:
    `bootstrap(lambda fake: inception_score(fake).value, logits)`.

    A resample contains duplicates and about 63 % of the rows, which affects metrics that compare samples with each
    other. Its covariance is on average (n - 1) / n of the sample's and of lower rank, so FID is biased again by
    about as much as by n fakes; the interval can lie above the value itself. KID and other unbiased MMDs
    count duplicates as neighbours at distance 0, which adds about mean(k(x, x) - k(x, x')) / n; prefer the standard
    error of `kid_full`. For means, Inception Scores and shares of samples the interval is accurate.

    Args:
        statistic: the arrays, resampled -> a number.
        *arrays: [n, ...] each, resampled by the same rows.
        resamples: number of resamples; percentiles of 95 % need about 1,000.
        confidence: in (0, 1), the share of resamples within the interval.
        seed: seed of the rows drawn.

    Raises:
        UserError: there are no rows, the arrays differ in their number, an option is out of its range, or a resample
            has no finite value.
    """
    require(resamples >= 1, 'The number of resamples', resamples, 'at least 1')
    require(0 < confidence < 1, 'The confidence', confidence, 'between 0 and 1')
    arrays = [np.asarray(array) for array in arrays]
    lengths = [len(array) if array.ndim else 0 for array in arrays]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise UserError(
            f'The arrays to resample have {lengths} rows; give at least one row, and the same number in each.'
        )
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        rows = rng.integers(lengths[0], size=lengths[0])
        values.append(float(statistic(*(array[rows] for array in arrays))))
    if not np.isfinite(values).all():
        raise UserError(f'{(~np.isfinite(values)).sum()} of {resamples} resamples have no finite value.')
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
