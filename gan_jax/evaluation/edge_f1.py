"""How well the edges of images agree with the edges of their targets."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from gan_jax.data import edges
from gan_jax.data.computed import luma
from gan_jax.evaluation.image_pairs import mean_over_pairs, of_pairs
from gan_jax.evaluation.record import Estimate


def edge_f1(x: ArrayLike, y: ArrayLike, *, tolerance: int = 1) -> np.ndarray:
    """The harmonic mean of precision and recall of the edge pixels of each pair.

    Edges are those of the data `edges:NAME`. For such pairs, the edges of a target are the input of its pair.

    Args:
        x: uint8 [n, H, W, 1 or 3], in which edges are found.
        y: likewise, their targets.
        tolerance: as in `agreement`.

    Returns:
        float64 [n] in [0, 1].

    Raises:
        UserError: as `image_pairs.of_pairs`.
    """
    return agreement(*_detected_in_pairs(x, y), tolerance)


def mean_edge_f1(x: ArrayLike, y: ArrayLike) -> dict[str, Estimate]:
    """The means of `edge_f1` over pairs, and over images and the target of another pair, with standard errors.

    Returns:
        'edge_f1' and 'edge_f1_chance'. The second is large for dense edges. It is missing where there is one pair.
    """
    found, wanted = _detected_in_pairs(x, y)
    rule = f'{edges.RULE}, within one pixel'
    means = {'edge_f1': mean_over_pairs(agreement(found, wanted), rule)}
    if len(wanted) > 1:
        by_chance = agreement(found, np.roll(wanted, 1, axis=0))
        means['edge_f1_chance'] = mean_over_pairs(by_chance, f'{rule}, of the target of another pair')
    return means


def _detected_in_pairs(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """The edges of all x and those of all y, bool [2, n, H, W]."""
    return np.moveaxis(of_pairs(lambda x, y: np.stack([detected(x), detected(y)], axis=1), x, y), 1, 0)


def detected(images: np.ndarray) -> np.ndarray:
    """The edges of images [n, H, W, 1 or 3] in [0, 255], as the data `edges:NAME` have them: bool [n, H, W]."""
    return edges.canny(luma(images.astype(np.uint8)), edges.sigma_of(*images.shape[1:3])) > 0


def agreement(found: np.ndarray, wanted: np.ndarray, tolerance: int = 1) -> np.ndarray:
    """The harmonic mean of precision and recall of edge pixels, bool [n, H, W] -> float64 [n] in [0, 1].

    A pixel is right if the other picture has an edge at most `tolerance` rows and columns away. Precision is the share
    of the found pixels that are right, recall that of the wanted ones. Two pictures without edges agree: 1. Where only
    one has edges it is 0. A found pixel may serve several wanted ones, unlike in the Berkeley benchmark.
    """
    precision, recall = _share_near(found, wanted, tolerance), _share_near(wanted, found, tolerance)
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1)
    return np.where(found.any(axis=(1, 2)) | wanted.any(axis=(1, 2)), f1, 1.0)


def _share_near(pixels: np.ndarray, others: np.ndarray, tolerance: int) -> np.ndarray:
    """The share of the pixels of each picture that are near to some of the others; 0 where there are none."""
    side = 2 * tolerance + 1
    near = ndimage.maximum_filter(others, (1, side, side), mode='constant')
    return (pixels & near).sum(axis=(1, 2)) / np.maximum(pixels.sum(axis=(1, 2)), 1)
