"""Standard errors of several metrics; None if the sample does not determine them."""

from collections.abc import Sequence

import numpy as np


def binomial(share: float, number: int) -> float | None:
    """That of a share of a number of examples; None if the share is 0 or 1, where the formula always gives 0."""
    return (share * (1 - share) / number) ** 0.5 if 0 < share < 1 else None


def of_mean(values: Sequence[float] | np.ndarray) -> float | None:
    """That of the mean of independent values [n]; None for a single one."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


def over_pairs(values: np.ndarray, images: int) -> float | None:
    """An upper bound of that of the mean over random pairs of images.

    Pairs that share images are not independent: the mean over all of them varies like that over n / 2 disjoint pairs at
    most (Hoeffding 1948, "A class of statistics with asymptotically normal distribution", section 5). That and the
    draw of some pairs add up.

    Args:
        values: [p], of pairs drawn with replacement.
        images: n, from which they were drawn.

    Returns:
        None for fewer than three images, of which there is one pair, and for fewer than two values.
    """
    if len(values) < 2 or images < 3:
        return None
    return float(values.std(ddof=1) * (1 / len(values) + 1 / (images // 2)) ** 0.5)
