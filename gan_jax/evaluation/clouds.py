"""Quality of generated point clouds: distances of clouds, and comparisons of sets of clouds by them.

Achlioptas et al. 2018, "Learning Representations and Generative Models for 3D Point Clouds", section 4: minimum
matching distance, coverage, and the divergence of occupied space. Yang et al. 2019, "PointFlow", section 5.1: the
accuracy of the nearest neighbour, which is 1/2 where two sets cannot be told apart (Lopez-Paz and Oquab 2017). All of
them depend on the number of clouds and of points, and on how clouds are scaled, so values of other protocols cannot be
compared. A set of training clouds in the place of the generated ones shows what is possible.
"""

import itertools
from collections.abc import Callable

import jax
import numpy as np
import scipy.optimize
import scipy.spatial
import scipy.special

from gan_jax.chamfer import least_squares
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial, of_mean

Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]
RESOLUTION = 28  # cells along each side of the cube of side 1, for the divergence
_CLOUDS, _MATCHED_CLOUDS, _MATCHED_POINTS = 200, 50, 256  # of each set; and where points are assigned to each other
_SEED = 0


def chamfer_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The Chamfer distance of each cloud of a set to each of another, as `gan_jax.chamfer.chamfer` defines it.

    Args:
        one: [n, points, 3].
        other: [m, points, 3].

    Returns:
        float64 [n, m].
    """
    other = np.asarray(other, np.float32)
    return np.stack([np.asarray(_to_each(cloud, other), np.float64) for cloud in np.asarray(one, np.float32)])


def earth_movers_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The earth mover's distance of each cloud of a set to each of another.

    It is the mean distance of points and their partners, in the one-to-one assignment that makes it smallest. The
    assignment is exact; the authors' code has an approximation.

    Args:
        one: [n, points, 3].
        other: [m, points, 3].

    Returns:
        float64 [n, m].
    """
    if one is other:  # symmetric
        distances = np.zeros((len(one), len(one)))
        for i, j in itertools.combinations(range(len(one)), 2):
            distances[i, j] = distances[j, i] = _earth_movers_distance(one[i], one[j])
        return distances
    return np.array([[_earth_movers_distance(cloud, partner) for partner in other] for cloud in one])


def minimum_matching_distance(distances: np.ndarray) -> np.ndarray:
    """The distance of each real cloud to the nearest generated one: [real, fake] -> [real]; MMD is the mean."""
    return distances.min(axis=1)


def coverage(distances: np.ndarray) -> float:
    """The share of real clouds that are the nearest one of some generated cloud, by distances [real, fake]."""
    return len(np.unique(distances.argmin(axis=0))) / len(distances)


def nearest_neighbour_accuracy(real: np.ndarray, between: np.ndarray, fake: np.ndarray) -> float:
    """The share of clouds whose nearest other cloud, of both sets, is of their own set; a tie counts half.

    Args:
        real: distances among real clouds [n, n].
        between: distances of real and generated clouds [n, m].
        fake: distances among generated clouds [m, m].
    """
    own = [np.where(np.eye(len(some), dtype=bool), np.inf, some).min(axis=1) for some in (real, fake)]
    margins = np.concatenate([between.min(axis=1) - own[0], between.min(axis=0) - own[1]])
    return float(np.mean((np.sign(margins) + 1) / 2))


def occupancy_divergence(real: np.ndarray, fake: np.ndarray) -> float:
    """The Jensen-Shannon divergence, in bits, of the distributions of points over space.

    Points are counted at the nearest node of a grid of 28^3 nodes on the cube of side 1 around the origin, of which
    those in the sphere of radius 1/2 are kept.

    Args:
        real: [n, points, 3].
        fake: [m, points, 3].
    """
    ticks = np.linspace(-0.5, 0.5, RESOLUTION)
    nodes = np.stack(np.meshgrid(ticks, ticks, ticks, indexing='ij'), axis=-1).reshape(-1, 3)
    tree = scipy.spatial.cKDTree(nodes[np.linalg.norm(nodes, axis=1) <= 0.5])
    counts = [np.bincount(tree.query(some.reshape(-1, 3))[1], minlength=tree.n) for some in (real, fake)]
    shares = [count / count.sum() for count in counts]
    mean = (shares[0] + shares[1]) / 2
    return float(np.mean([scipy.special.rel_entr(share, mean).sum() for share in shares]) / np.log(2))


def cloud_metrics(real: np.ndarray, fake: np.ndarray, known: np.ndarray | None = None) -> dict[str, Estimate]:
    """`clouds_mmd`, `clouds_coverage`, `clouds_1nna` by the Chamfer distance, and `clouds_jsd`.

    Args:
        real: [n, points, 3].
        fake: [m, points, 3].
        known: training clouds [k, points, 3]; with them there are also the values of these clouds in the place of the
            generated ones, with `_train` at the end of their names.
    """
    sets, number = _chosen(_CLOUDS, real, fake, known)
    rule = f'{number} clouds of each set, {real.shape[1]} points'
    found = _compared(sets, chamfer_distances, 'clouds', f'Chamfer distance of squares, {rule}')
    for ending, some in zip(('', '_train'), sets[1:], strict=False):
        divergence = occupancy_divergence(sets[0], some)
        found[f'clouds_jsd{ending}'] = Estimate(divergence, rule=f'bits, {RESOLUTION}^3 nodes in the sphere, {rule}')
    return found


def matched_metrics(real: np.ndarray, fake: np.ndarray, known: np.ndarray | None = None) -> dict[str, Estimate]:
    """`clouds_emd_mmd`, `clouds_emd_coverage` and `clouds_emd_1nna` by the earth mover's distance.

    An assignment is slow, so that 50 clouds of 256 of their points, chosen at random, are compared.

    Args:
        real: as in `cloud_metrics`.
        fake: likewise.
        known: likewise.
    """
    sets, number = _chosen(_MATCHED_CLOUDS, real, fake, known)
    rng, points = np.random.default_rng(_SEED), min(_MATCHED_POINTS, real.shape[1])
    sets = [some[:, rng.permutation(some.shape[1])[:points]] for some in sets]
    rule = f"earth mover's distance, {number} clouds of each set, {points} points"
    return _compared(sets, earth_movers_distances, 'clouds_emd', rule)


def _chosen(most: int, *sets: np.ndarray | None) -> tuple[list[np.ndarray], int]:
    """As many clouds of each set, chosen at random, and their number."""
    given = [some for some in sets if some is not None]
    number = min(most, *map(len, given))
    rows = [np.random.default_rng(_SEED).choice(len(some), number, replace=False) for some in given]
    return [np.asarray(some[np.sort(row)]) for some, row in zip(given, rows, strict=True)], number


def _compared(sets: list[np.ndarray], measure: Distances, name: str, rule: str) -> dict[str, Estimate]:
    """The values of the second set, and of a third one with `_train`, against the first, which is real."""
    real, found = measure(sets[0], sets[0]), {}
    for ending, some in zip(('', '_train'), sets[1:], strict=False):
        between = measure(sets[0], some)
        nearest, share = minimum_matching_distance(between), coverage(between)
        accuracy, number = nearest_neighbour_accuracy(real, between, measure(some, some)), len(some)
        found |= {
            f'{name}_mmd{ending}': Estimate(float(nearest.mean()), of_mean(nearest), rule),
            f'{name}_coverage{ending}': Estimate(share, binomial(share, number), rule),
            f'{name}_1nna{ending}': Estimate(accuracy, binomial(accuracy, 2 * number), rule),
        }
    return found


@jax.jit
def _to_each(cloud: jax.Array, others: jax.Array) -> jax.Array:
    def to(other: jax.Array) -> jax.Array:
        return least_squares(cloud, other).mean() + least_squares(other, cloud).mean()

    return jax.lax.map(to, others)  # one after the other, so that a CPU's cache holds the distances of two clouds


def _earth_movers_distance(one: np.ndarray, other: np.ndarray) -> float:
    costs = scipy.spatial.distance.cdist(one, other)
    return float(costs[scipy.optimize.linear_sum_assignment(costs)].mean())
