"""Maximum mean discrepancies between two sets of features: KID and MMDs with other kernels.

All are unbiased estimates of MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y): Gretton et al. 2012, "A Kernel Two-Sample
Test", equation 3, without the pairs of a sample with itself. Such an estimate is 0 on average between two samples of
one distribution, where about half of them are negative; a negative value is not an error and is never clipped.

Kernels are computed in float64 in blocks of `BLOCK` x `BLOCK`, so that memory does not grow with the number of pairs.
The full estimates of 50,000 against 50,000 are still 1e10 kernel values, minutes of computation.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import scipy  # which imports its modules when they are used
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.record import Estimate
from gan_jax.layers.choices import choose, require

BLOCK = 1024
MEDIAN_SAMPLES = 1000
_ROUNDING = 1e-9  # in squared bandwidths, and of a squared distance

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # float64 [n, D] and [m, D] to a new [n, m]

PROFILES = {  # of the squared distance in bandwidths
    'gaussian': lambda squares: np.exp(-squares / 2),
    'laplacian': lambda squares: np.exp(-np.sqrt(squares)),
    'rational_quadratic': lambda squares: sum((1 + squares / (2 * a)) ** -a for a in (0.2, 0.5, 1, 2, 5)),
}


def kid(
    real: ArrayLike,
    fake: ArrayLike,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
    seed: int = 2020,
) -> Estimate:
    """Kernel Inception distance: the mean of MMD^2 over random subsets, with the kernel (gamma x.y + coef)^degree.

    Bińkowski et al. 2018, "Demystifying MMD GANs", section 4. Subsets are drawn as torch-fidelity draws them, the fakes
    being its first input: in turn from one RandomState(seed), without replacement.

    Args:
        real: [n, D].
        fake: [m, D].
        subsets: their number.
        subset_size: samples in each, of either set.
        degree: degree of the polynomial.
        gamma: by default 1 / D.
        coef: the polynomial's constant.
        seed: seed of the subsets.

    Returns:
        The mean over subsets, with the population deviation over them. That is the deviation of one subset's estimate,
        not of the mean, and the smaller the larger the part of the sets that all subsets share. It is None for a single
        subset, and where a subset is the whole of a set, whose share of the deviation is then missing. For a standard
        error see `kid_full`.

    Raises:
        UserError: a set is smaller than a subset, or the features do not fit each other.
    """
    require(subsets >= 1, 'The number of subsets', subsets, 'at least 1')
    require(subset_size >= 3, 'The subset size', subset_size, 'at least 3')
    real, fake = _pair(real, fake)
    smaller = min(len(real), len(fake))
    if smaller < subset_size:
        raise UserError(
            f'KID takes subsets of {subset_size} samples, but there are {len(real)} real images and {len(fake)} '
            f'fakes: set subset_size to {smaller} or less, or use more samples.'
        )
    kernel, formula = _polynomial(real.shape[1], degree, gamma, coef)
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        fakes = fake[rng.choice(len(fake), subset_size, replace=False)]
        reals = real[rng.choice(len(real), subset_size, replace=False)]
        values.append(_unbiased(reals, fakes, kernel)[0])
    varied = subsets > 1 and subset_size < smaller
    rule = f'{formula}, {subsets} subsets of {subset_size} by RandomState({seed})'
    if not varied:
        return Estimate(float(np.mean(values)), None, f'{rule}, no error, for the subsets do not vary')
    return Estimate(float(np.mean(values)), float(np.std(values)), f'{rule}, deviation over subsets')


def kid_full(
    real: ArrayLike, fake: ArrayLike, *, degree: int = 3, gamma: float | None = None, coef: float = 1.0
) -> Estimate:
    """KID over all pairs of samples instead of subsets, so that nothing is random, with its standard error.

    Args:
        real: [n, D] with n of at least 3.
        fake: [m, D], likewise.
        degree: degree of the polynomial.
        gamma: by default 1 / D.
        coef: the polynomial's constant.

    Returns:
        The unbiased estimate, with the error of `mmd`.

    Raises:
        UserError: there are too few samples, or the features do not fit each other.
    """
    real, fake = _pair(real, fake, least=3)
    kernel, formula = _polynomial(real.shape[1], degree, gamma, coef)
    return _full_estimate(real, fake, kernel, formula)


def mmd(real: ArrayLike, fake: ArrayLike, kernel: str = 'gaussian', bandwidth: float | None = None) -> Estimate:
    """MMD^2 over all pairs of samples, with its standard error.

    The error is the delete-one jackknife's over both sets (Arvesen 1969, "Jackknifing U-statistics"), from the sums of
    each sample's kernel values. It is right where the distributions differ clearly. Where they are the same, it is too
    large by about the root of 2; on average its square is never too small (Efron and Stein 1981, "The Jackknife
    Estimate of Variance").

    Args:
        real: [n, D] with n of at least 3.
        fake: [m, D], likewise.
        kernel: with d the Euclidean distance divided by the bandwidth,
            'gaussian': exp(-d^2 / 2);
            'laplacian': exp(-d);
            'rational_quadratic': the sum of (1 + d^2 / (2 a))^-a over a = 0.2, 0.5, 1, 2, 5 (Bińkowski et al. 2018,
            section 2, where the bandwidth is 1);
            'polynomial': that of `kid`, (x.y / D + 1)^3;
            'linear': x.y, whose MMD is the distance between the means.
        bandwidth: bandwidth of the first three. By default the `median_distance`, which depends on the fakes: fix it to
            compare generators.

    Raises:
        UserError: the kernel does not exist, the bandwidth is not positive or not asked for, there are too few samples,
            or the features do not fit each other.
    """
    choose({**PROFILES, 'polynomial': None, 'linear': None}, kernel, 'kernel')
    real, fake = _pair(real, fake, least=3)
    if kernel in PROFILES:
        bandwidth = median_distance(real, fake) if bandwidth is None else bandwidth
        require(bandwidth > 0, 'The bandwidth', bandwidth, 'above 0')
        centre = np.median(real[:: -(-len(real) // MEDIAN_SAMPLES)].astype(np.float64), axis=0)  # where most are
        chosen = functools.partial(_radial, PROFILES[kernel], centre, bandwidth)
        return _full_estimate(real, fake, chosen, f'{kernel} kernel of bandwidth {bandwidth:.6g}')
    require(bandwidth is None, f'The bandwidth of the {kernel} kernel', bandwidth, 'None, because it has no bandwidth')
    degree, gamma, coef = (3, None, 1.0) if kernel == 'polynomial' else (1, 1.0, 0.0)
    return _full_estimate(real, fake, *_polynomial(real.shape[1], degree, gamma, coef))


def median_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """The median Euclidean distance between the samples of both sets together (Gretton et al. 2012, section 8).

    Every k-th sample of each set is used, so that there are at most 1,000.

    Raises:
        UserError: it is 0, because most samples are equal.
    """
    real, fake = _pair(real, fake)
    rows = np.concatenate([array[:: -(-len(array) // MEDIAN_SAMPLES)] for array in (real, fake)]).astype(np.float64)
    median = float(np.median(scipy.spatial.distance.pdist(rows)))
    if median == 0:
        raise UserError('Most samples are equal, so their median distance is 0: set the bandwidth.')
    return median


def _full_estimate(real: np.ndarray, fake: np.ndarray, kernel: Kernel, formula: str) -> Estimate:
    return Estimate(*_unbiased(real, fake, kernel), f'{formula}, unbiased over all pairs, delete-one jackknife error')


def _unbiased(real: np.ndarray, fake: np.ndarray, kernel: Kernel) -> tuple[float, float]:
    """MMD^2 and its jackknife error, from the sums of the kernel over the pairs of each sample."""
    n, m = len(real), len(fake)
    real_sums, fake_sums = _own_sums(real, kernel), _own_sums(fake, kernel)
    real_to_fake, fake_to_real = _cross_sums(real, fake, kernel)
    value = real_sums.sum() / (n * (n - 1)) + fake_sums.sum() / (m * (m - 1)) - 2 * real_to_fake.sum() / (n * m)
    variance = _jackknife_variance(real_sums, real_to_fake, m) + _jackknife_variance(fake_sums, fake_to_real, n)
    return float(value), math.sqrt(variance)


def _jackknife_variance(own: np.ndarray, cross: np.ndarray, others: int) -> float:
    """Of MMD^2 by leaving out each sample of one set, whose pairs with that set and with the others have these sums."""
    n = len(own)
    without = (own.sum() - 2 * own) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / ((n - 1) * others)
    return (n - 1) * float(without.var())


def _cross_sums(real: np.ndarray, fake: np.ndarray, kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the kernel of each real with all fakes [n], and of each fake with all real images [m]."""
    real_sums, fake_sums = np.zeros(len(real)), np.zeros(len(fake))
    for rows in _blocks(real):
        reals = real[rows].astype(np.float64, copy=False)
        for columns in _blocks(fake):
            values = kernel(reals, fake[columns].astype(np.float64, copy=False))
            real_sums[rows] += values.sum(axis=1)
            fake_sums[columns] += values.sum(axis=0)
    return real_sums, fake_sums


def _own_sums(features: np.ndarray, kernel: Kernel) -> np.ndarray:
    """The sum of the kernel of each sample with all others [n]."""
    sums = np.zeros(len(features))
    blocks = _blocks(features)
    for index, rows in enumerate(blocks):
        first = features[rows].astype(np.float64, copy=False)
        values = kernel(first, first)
        np.fill_diagonal(values, 0)
        sums[rows] += values.sum(axis=1)
        for columns in blocks[index + 1 :]:  # the kernel is symmetric: each pair of blocks is computed once
            values = kernel(first, features[columns].astype(np.float64, copy=False))
            sums[rows] += values.sum(axis=1)
            sums[columns] += values.sum(axis=0)
    return sums


def _blocks(features: np.ndarray) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, len(features), BLOCK)]


def _pair(real: ArrayLike, fake: ArrayLike, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    real, fake = features_array(real, 'The real features', least), features_array(fake, 'The fake features', least)
    check_same_dimension(real, fake)
    return real, fake


def _polynomial(dimension: int, degree: int, gamma: float | None, coef: float) -> tuple[Kernel, str]:
    scale = 1 / dimension if gamma is None else gamma
    shown = f'x.y / {dimension}' if gamma is None else f'{gamma:g} x.y'
    return lambda x, y: (x @ y.T * scale + coef) ** degree, f'kernel ({shown} + {coef:g})^{degree}'


def _radial(
    profile: Callable[[np.ndarray], np.ndarray], centre: np.ndarray, bandwidth: float, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """The profile of squared distances from products, or from differences where those lose most digits of it."""
    inner, outer = (x - centre) / bandwidth, (y - centre) / bandwidth
    norms = (inner**2).sum(axis=1)[:, None] + (outer**2).sum(axis=1)
    squares = np.maximum(norms - 2 * inner @ outer.T, 0)
    error = x.shape[1] * np.finfo(np.float64).eps * norms
    first, second = np.nonzero((error > _ROUNDING) & (squares < error / _ROUNDING))
    step = max(BLOCK * BLOCK // x.shape[1], 1)
    for start in range(0, len(first), step):
        some = first[start : start + step], second[start : start + step]
        squares[some] = (((x[some[0]] - y[some[1]]) / bandwidth) ** 2).sum(axis=1)
    return profile(squares)
