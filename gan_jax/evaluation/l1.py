"""Mean absolute differences of pixels, between translations and targets."""

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.evaluation.image_pairs import mean_over_pairs, of_pairs
from gan_jax.evaluation.record import Estimate


def l1(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """The mean absolute difference of each pair of uint8 images [n, H, W, 1 or 3], as a share of white: [n] in [0, 1].

    In [-1, 1], as in pix2pix's loss, it is twice as large.

    Raises:
        UserError: as `image_pairs.of_pairs`.
    """
    return of_pairs(lambda x, y: np.abs(x - y).mean(axis=(1, 2, 3)) / 255, x, y)


def mean_l1(x: ArrayLike, y: ArrayLike) -> Estimate:
    """The mean of `l1` over pairs, with its standard error."""
    return mean_over_pairs(l1(x, y), 'share of white, all pixels and channels')
