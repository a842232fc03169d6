"""The Fréchet distance between two sets of features, and so the FID.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", equation 6:
|mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), with the means and covariances of the features. All of it is in float64,
for float32 is off by 0.01 to 0.5 at 2048 dimensions.

No matrix square root is taken: with S1 = A A^T and S2 = B B^T, the trace of (S1 S2)^(1/2) is the nuclear norm of A^T B,
for the eigenvalues of S1 S2 are the squares of its singular values.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import check_same_dimension, features_array
from gan_jax.evaluation.moments import Moments
from gan_jax.evaluation.record import Estimate

EPSILON = np.finfo(np.float64).eps
TOLERANCE = 1e-9  # of the overlap; rounding was seen to do far less than its bound
SMALL = 256  # side of a matrix whose singular values take no time worth saving
SMALLEST_PIVOT = 1e-10  # of the largest: far above the rounding that a singular covariance has there


def frechet_distance(
    mu1: ArrayLike, sigma1: ArrayLike, mu2: ArrayLike, sigma2: ArrayLike, *, root1: np.ndarray | None = None
) -> float:
    """The squared Fréchet (2-Wasserstein) distance between two Gaussians.

    Dowson and Landau 1982, "The Fréchet distance between multivariate normal distributions". Covariances may be
    singular. Negative results of rounding are returned as 0.

    Args:
        mu1: [D].
        sigma1: [D, D].
        mu2: [D].
        sigma2: [D, D].
        root1: `covariance_root(sigma1)`, where many distances are taken from the same Gaussian.

    Raises:
        UserError: the shapes do not match, or something is NaN or infinite.
    """
    mu1, sigma1, mu2, sigma2 = (np.asarray(array, np.float64) for array in (mu1, sigma1, mu2, sigma2))
    dimension = mu1.size
    if {mu1.shape, mu2.shape} != {(dimension,)} or {sigma1.shape, sigma2.shape} != {(dimension, dimension)}:
        shapes = ', '.join(str(list(array.shape)) for array in (mu1, sigma1, mu2, sigma2))
        raise UserError(f'The moments have shapes {shapes}; a Fréchet distance takes [D], [D, D], [D] and [D, D].')
    if not all(np.isfinite(array).all() for array in (mu1, sigma1, mu2, sigma2)):
        raise UserError('The moments contain NaN or infinity: check the features that they were computed from.')
    root1 = covariance_root(sigma1) if root1 is None else root1
    overlap = _nuclear_norm(root1.T @ covariance_root(sigma2))
    distance = ((mu1 - mu2) ** 2).sum() + np.trace(sigma1) + np.trace(sigma2) - 2 * overlap
    return max(float(distance), 0.0)


def covariance_root(sigma: np.ndarray) -> np.ndarray:
    """A matrix A [D, r] with A A^T = sigma [D, D] of rank r.

    It is the Cholesky factor of a covariance of full rank. Otherwise it comes from the eigenvectors, without those
    whose eigenvalue is 0 to rounding: kept, a thousand such values of 1e-16 would add the thousand roots 1e-8.
    """
    try:
        root = np.linalg.cholesky(sigma)
        pivots = np.diag(root) ** 2
        if pivots.min() > SMALLEST_PIVOT * pivots.max():
            return root
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(sigma)
    kept = values > len(values) * EPSILON * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def _nuclear_norm(matrix: np.ndarray) -> float:
    """The sum of the singular values.

    In large matrices they are the roots of the eigenvalues of the Gram matrix, which are found twice as fast, but small
    ones lose digits in the square: where rounding could change the sum by more than `TOLERANCE` of it, the singular
    values are computed.
    """
    if min(matrix.shape) <= SMALL:
        return np.linalg.svd(matrix, compute_uv=False).sum()
    squares = np.linalg.eigvalsh(matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix)
    rounding = EPSILON * squares.max(initial=0) + np.finfo(np.float64).tiny
    values = np.sqrt(squares.clip(rounding))
    if (rounding / values).sum() <= TOLERANCE * values.sum():
        return values.sum()
    return np.linalg.svd(matrix, compute_uv=False).sum()


def fid(real: ArrayLike, fake: ArrayLike) -> Estimate:
    """The Fréchet distance between the moments of two sets of features.

    It is biased upwards by approximately a constant / number of samples (see `fid_infinity`): compare only values for
    the same numbers of images, by convention all of the training set against 50,000 fakes.

    Args:
        real: [n, D] with n of at least 2; fewer rows than dimensions are allowed.
        fake: [m, D], likewise.

    Raises:
        UserError: the features do not have these shapes, or are NaN or infinite.
    """
    real = features_array(real, 'The real features', least=2)
    fake = features_array(fake, 'The fake features', least=2)
    check_same_dimension(real, fake)
    first, second = Moments.of(real), Moments.of(fake)
    distance = frechet_distance(first.mean, first.covariance, second.mean, second.covariance)
    return Estimate(distance, rule='covariances with ddof 1, float64')


def class_fids(
    real: ArrayLike,
    real_labels: ArrayLike,
    fake: ArrayLike,
    fake_labels: ArrayLike,
    names: Sequence[str] | None = None,
) -> dict[int, float]:
    """The FID of each class, between its real images and its fakes.

    Args:
        real: [n, D].
        real_labels: [n], whole numbers.
        fake: [m, D].
        fake_labels: [m], the class that each fake was made for.
        names: names of the classes by label, for the error.

    Returns:
        The distance of each label, in order.

    Raises:
        UserError: labels do not fit the features, or a class does not have two real images and two fakes.
    """
    real, fake = features_array(real, 'The real features'), features_array(fake, 'The fake features')
    real_labels, fake_labels = np.asarray(real_labels), np.asarray(fake_labels)
    if real_labels.shape != real.shape[:1] or fake_labels.shape != fake.shape[:1]:
        raise UserError(
            f'{len(real)} real images and {len(fake)} fakes have labels of shapes {list(real_labels.shape)} and '
            f'{list(fake_labels.shape)}; each image needs one label.'
        )
    distances = {}
    for label in np.union1d(real_labels, fake_labels).tolist():
        reals, fakes = real[real_labels == label], fake[fake_labels == label]
        if min(len(reals), len(fakes)) < 2:
            name = label if names is None or label < 0 else repr(names[label])
            raise UserError(
                f'Class {name} has {len(reals)} real images and {len(fakes)} fakes; its FID needs at least 2 of '
                'each: use more, or remove the class.'
            )
        distances[label] = fid(reals, fakes).value
    return distances


def intra_fid(
    real: ArrayLike,
    real_labels: ArrayLike,
    fake: ArrayLike,
    fake_labels: ArrayLike,
    names: Sequence[str] | None = None,
) -> Estimate:
    """The mean of `class_fids`, as in Miyato and Koyama 2018, "cGANs with Projection Discriminator", section 5.

    Classes have equal weights, whatever their sizes. Each has few samples, so the bias of `fid` is large.
    """
    distances = list(class_fids(real, real_labels, fake, fake_labels, names).values())
    return Estimate(
        float(np.mean(distances)), rule=f'mean over {len(distances)} classes, covariances with ddof 1, float64'
    )
