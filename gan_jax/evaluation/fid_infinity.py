"""FID extrapolated to infinitely many fakes.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them" (arXiv:1911.07023): FID of
N fakes is FID of infinitely many plus a constant / N, and the constant depends on the generator, so that even values
for the same N can rank generators wrongly. A line through FID over 1 / N meets 0 at the value without this bias. What
finitely many real images add stays in it, and so do terms in 1 / N^2, which are small where N is several times D.
"""

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.fid import covariance_root, frechet_distance
from gan_jax.evaluation.moments import BLOCK, Moments
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import require


def fid_infinity(
    real: Moments, fake: ArrayLike, *, points: int = 15, smallest: int | None = None, seed: int = 0
) -> Estimate:
    """The intercept of a straight line through FID over 1 / N, with its standard error.

    The error has two parts. One is the usual error of least squares. It does not contain the variation of the fakes
    that all subsets share: alone, its 95 % intervals contained the true value 60 % of the time. The other part is the
    standard error of FID itself under sampling of the fakes, to first order (`sampling_error`). A 95 % confidence
    interval is the value plus and minus 2 errors. The value may be negative where FID is near 0.

    Args:
        real: moments of the real features.
        fake: [m, D].
        points: how many sizes N, evenly spaced; 15 in the paper.
        smallest: the smallest N, by default m / 10, the largest being m: 5,000 and 50,000 in the paper.
        seed: seed of the subsets.

    Raises:
        UserError: there are fewer fakes than so many sizes need, or the features do not fit each other.
    """
    fake = features_array(fake, 'The fake features', least=2)
    smallest = max(len(fake) // 10, 2) if smallest is None else smallest
    sizes, distances = fid_series(real, fake, points=points, smallest=smallest, seed=seed)
    line, covariance = np.polyfit(1 / sizes, distances, 1, cov=True)
    error = np.hypot(np.sqrt(covariance[1, 1]), sampling_error(real, fake))
    rule = (
        f'line over 1 / N through {points} sizes from {smallest} to {len(fake)}, seed {seed}, errors of fit and fakes'
    )
    return Estimate(float(line[1]), float(error), rule)


def fid_series(
    real: Moments, fake: ArrayLike, *, points: int, smallest: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """FID of random subsets of the fakes, each drawn independently without replacement, as in the paper's code.

    Args:
        real: moments of the real features.
        fake: [m, D].
        points: how many sizes, at least 3.
        smallest: the smallest size, at least 2.
        seed: seed of the subsets.

    Returns:
        Sizes [points], evenly spaced from the smallest to m, and their distances [points].

    Raises:
        UserError: there are fewer fakes than so many sizes need, or the features do not fit each other.
    """
    fake = features_array(fake, 'The fake features')
    require(points >= 3, 'The number of sizes', points, 'at least 3')
    require(smallest >= 2, 'The smallest size', smallest, 'at least 2')
    if len(fake) < smallest + points - 1:
        raise UserError(
            f'{len(fake)} fakes are too few for {points} sizes from {smallest} up: use at least '
            f'{smallest + points - 1}.'
        )
    mean, covariance = real.mean, real.covariance
    check_same_dimension(mean[None], fake)
    root = covariance_root(covariance)
    rng = np.random.default_rng(seed)
    sizes = np.linspace(smallest, len(fake), points).astype(int)
    distances = []
    for size in sizes:
        subset = Moments.of(fake[rng.permutation(len(fake))[:size]])
        distances.append(frechet_distance(mean, covariance, subset.mean, subset.covariance, root1=root))
    return sizes, np.array(distances)


def sampling_error(real: Moments, fake: ArrayLike) -> float:
    """The standard error of FID under sampling of the fakes, to first order, for more fakes than dimensions.

    A fake y moves FID by 2 (mu2 - mu1) . c + |c|^2 - c^T T c with c = y - mu2 and T = A (A^T S2 A)^(-1/2) A^T with
    S1 = A A^T, the optimal map from the Gaussian of the fakes to that of the real images: the distance's derivatives by
    mean and covariance. The error is the deviation of this term, divided by sqrt(m).

    Args:
        real: moments of the real features.
        fake: [m, D].
    """
    fake = features_array(fake, 'The fake features', least=2)
    moments = Moments.of(fake)
    mean, root = moments.mean, covariance_root(real.covariance)
    values, vectors = np.linalg.eigh(root.T @ moments.covariance @ root)
    kept = values > len(values) * np.finfo(np.float64).eps * values.max(initial=0)
    half = root @ vectors[:, kept] * values[kept] ** -0.25
    shift = 2 * (mean - real.mean)
    terms = []
    for start in range(0, len(fake), BLOCK):
        rows = fake[start : start + BLOCK] - mean
        terms.append(rows @ shift + (rows**2).sum(axis=1) - ((rows @ half) ** 2).sum(axis=1))
    return float(np.concatenate(terms).std() / np.sqrt(len(fake)))
