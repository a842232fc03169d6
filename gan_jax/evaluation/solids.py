"""Quality of generated solids by their voxels: one piece, mirror symmetry, and how real solids are matched."""

import numpy as np
import scipy.ndimage

from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial, of_mean

_RULE = 'voxels of 128 and more'


def connected_share(solids: np.ndarray) -> np.ndarray:
    """The share of each solid's voxels that belong to its largest piece, whose voxels touch by faces.

    Args:
        solids: uint8 [n, D, D, D, 1]; voxels of 128 and more are inside.

    Returns:
        float64 [n]; 0 for an empty solid.
    """
    return np.array([_largest(solid) / max(1, solid.sum()) for solid in _inside(solids)])


def symmetry(solids: np.ndarray) -> np.ndarray:
    """The intersection over union of each solid and its mirror image, left and right exchanged.

    Args:
        solids: as in `connected_share`.

    Returns:
        float64 [n]; 1 for an empty solid.
    """
    inside = _inside(solids)
    mirrored = inside[..., ::-1]
    common, either = ((f(inside, mirrored)).sum(axis=(1, 2, 3)) for f in (np.logical_and, np.logical_or))
    return np.where(either, common / np.maximum(either, 1), 1.0)


def matches(real: np.ndarray, fake: np.ndarray, block: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """For each solid of a set the one of the other set with which it has the largest intersection over union.

    Args:
        real: uint8 [m, D, D, D, 1]; voxels of 128 and more are inside.
        fake: uint8 [n, D, D, D, 1].
        block: number of real solids that are compared at a time.

    Returns:
        float64 [m], the largest intersection over union of each real solid; int [n], the real solid of each fake one.
    """
    real, fake = (_inside(solids).reshape(len(solids), -1) for solids in (real, fake))
    fakes, sizes = fake.T.astype(np.float32), fake.sum(axis=1)
    best, nearest, closest = np.zeros(len(real)), np.zeros(len(fake), int), np.full(len(fake), -1.0)
    for start in range(0, len(real), block):
        part = real[start : start + block].astype(np.float32)
        common = part @ fakes
        ratio = common / np.maximum(part.sum(axis=1)[:, None] + sizes - common, 1)
        best[start : start + block] = ratio.max(axis=1)
        closer = ratio.max(axis=0) > closest
        nearest[closer] = start + ratio.argmax(axis=0)[closer]
        closest = np.maximum(closest, ratio.max(axis=0))
    return best, nearest


def solid_metrics(real: np.ndarray, fake: np.ndarray) -> dict[str, Estimate]:
    """All of the above as means: `solids_connected`, `solids_symmetry`, `solids_iou`, `solids_coverage`.

    The last two are the minimum matching distance and the coverage of Achlioptas et al. 2018, "Learning Representations
    and Generative Models for 3D Point Clouds", section 4, with intersection over union as similarity: the mean over
    real solids of the best match among the fakes, and the share of real solids that are the best match of a fake. They
    compare equal numbers, the first of the larger set.

    Args:
        real: uint8 [m, D, D, D, 1].
        fake: uint8 [n, D, D, D, 1].
    """
    count = min(len(real), len(fake))
    best, nearest = matches(real[:count], fake[:count])
    coverage = len(np.unique(nearest)) / count
    matched = f'{_RULE}, {count} fakes against {count} real solids'
    return {
        'solids_connected': _mean(connected_share(fake), f'{_RULE}, pieces touch by faces'),
        'solids_symmetry': _mean(symmetry(fake), f'{_RULE}, left against right'),
        'solids_iou': _mean(best, f'{matched}, best match of each real one'),
        'solids_coverage': Estimate(coverage, binomial(coverage, count), f'{matched}, best match of each fake'),
    }


def _inside(solids: np.ndarray) -> np.ndarray:
    return np.asarray(solids)[..., 0] >= 128


def _largest(solid: np.ndarray) -> int:
    pieces, number = scipy.ndimage.label(solid)
    return int(np.bincount(pieces.ravel())[1:].max()) if number else 0


def _mean(values: np.ndarray, rule: str) -> Estimate:
    return Estimate(float(values.mean()), of_mean(values), rule)
