"""Separate measures of fidelity and coverage: improved precision and recall, density and coverage.

All four estimate the support of a set by balls around each of its examples with the distance to its k-th neighbour
(itself not counted) as radius, and test which examples of the other set are inside. Values depend on k and on the
numbers of examples: compare only those of the same rule.

Degenerate sets:

- Copies within a set are neighbours at distance 0. If every example has k copies, all radii are 0. A point is in a
  closed ball of radius 0 if it is a copy of its centre, and in an open one never: a set against its copy then has
  precision and recall 1 (as in torch-fidelity) and density and coverage 0 (as in prdc, which has all four balls open
  and gives 0 for all four).
- Collapsed fakes, all in one place: precision is 1 if the place is in the real balls, else 0; recall is 0 unless a
  real example is a copy of them; density may exceed 1.
- Up to k examples in a set whose balls are needed: a UserError.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.distances import BLOCK, ball_counts, nearest
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import require


class PrecisionRecall(NamedTuple):
    """Both in [0, 1], 1 is best."""

    precision: Estimate
    recall: Estimate


class DensityCoverage(NamedTuple):
    """Density is at least 0, of expected value 1 for equal distributions, and may exceed 1; coverage is in [0, 1]."""

    density: Estimate
    coverage: Estimate


def precision_recall(
    real_features: ArrayLike, fake_features: ArrayLike, k: int = 3, block: int = BLOCK
) -> PrecisionRecall:
    """Improved precision and recall, Kynkäänniemi et al. 2019, arXiv:1904.06991, equations 1 to 3.

    Precision is the share of fakes within at least one real ball, recall the share of real images within at least one
    fake ball; balls are closed.

    Args:
        real_features: [n, D].
        fake_features: [m, D].
        k: the neighbour that the balls reach to; 3 in the paper.
        block: as in `distances.nearest`.

    Raises:
        UserError: features are unfit, or a set has no k-th neighbour.
    """
    real, fake = _sets(real_features, fake_features, k, fake_least=k + 1)
    precision = ball_counts(fake, real, _radii(real, k, block), closed=True, block=block).balls
    recall = ball_counts(real, fake, _radii(fake, k, block), closed=True, block=block).balls
    rule = f'k={k}, closed balls, {len(real)} real and {len(fake)} fake'
    return PrecisionRecall(*(Estimate(float((counts > 0).mean()), None, rule) for counts in (precision, recall)))


def density_coverage(
    real_features: ArrayLike, fake_features: ArrayLike, k: int = 5, block: int = BLOCK
) -> DensityCoverage:
    """Density and coverage, Naeem et al. 2020, arXiv:2002.09797, equations 4 and 6.

    Density is the number of real balls that a fake lies in, on average and divided by k; coverage is the share of real
    balls that hold at least one fake. Balls are open, as in the authors' package prdc.

    Args:
        real_features: [n, D].
        fake_features: [m, D]; one is enough.
        k: the neighbour that the balls reach to; 5 in the paper.
        block: as in `distances.nearest`.

    Raises:
        UserError: features are unfit, or the real images have no k-th neighbour.
    """
    real, fake = _sets(real_features, fake_features, k, fake_least=1)
    counts = ball_counts(fake, real, _radii(real, k, block), closed=False, block=block)
    rule = f'k={k}, open balls, {len(real)} real and {len(fake)} fake'
    density, coverage = float(counts.balls.mean() / k), float((counts.points > 0).mean())
    return DensityCoverage(Estimate(density, None, rule), Estimate(coverage, None, rule))


def _sets(real: ArrayLike, fake: ArrayLike, k: int, fake_least: int) -> tuple[np.ndarray, np.ndarray]:
    require(k >= 1, 'The neighbour k', k, 'at least 1')
    real = features_array(real, 'The real features', k + 1)
    fake = features_array(fake, 'The fake features', fake_least)
    check_same_dimension(real, fake)
    return real, fake


def _radii(features: np.ndarray, k: int, block: int) -> np.ndarray:
    return nearest(features, features, k, exclude_self=True, block=block).distances[:, -1]
