"""Standard errors that several metrics have; None if the sample cannot tell."""

import numpy as np


def binomial(share: float, number: int) -> float | None:
    """Of a share of so many examples; None if it is 0 or 1, for there the formula gives 0 whatever the number."""
    return (share * (1 - share) / number) ** 0.5 if 0 < share < 1 else None


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
