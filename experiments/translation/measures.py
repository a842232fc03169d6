"""The distance of translations from their targets, and how well they preserve the edges of their inputs."""

import numpy as np
from scipy import ndimage

from gan_jax.data import Dataset, edges
from gan_jax.data.computed import luma
from gan_jax.evaluation.l1 import l1
from gan_jax.evaluation.psnr import psnr
from gan_jax.evaluation.ssim import ssim


def measure(outputs: np.ndarray, pairs: Dataset) -> dict[str, float]:
    """Means over pairs of what compares outputs uint8 [n, H, W, C] with the targets, and their edges with the inputs.

    'by chance' is the edge F1 against the input of another pair, which dense edges make large.
    The PSNR of an output that equals its target is infinite.
    """
    targets, wanted, found = np.asarray(pairs.examples), np.asarray(pairs.inputs)[..., 0] > 0, detected(outputs)
    values = {
        'L1': l1(outputs, targets),
        'PSNR': psnr(outputs, targets),
        'SSIM': ssim(outputs, targets),
        'edge F1': edge_f1(found, wanted),
        'by chance': edge_f1(found, np.roll(wanted, 1, axis=0)),
    }
    return {name: float(each.mean()) for name, each in values.items()}


def detected(images: np.ndarray) -> np.ndarray:
    """The edges of images uint8 [n, H, W, C] as the data `edges:NAME` have them, bool [n, H, W]."""
    return edges.canny(luma(images), edges.sigma_of(*images.shape[1:3])) > 0


def edge_f1(found: np.ndarray, wanted: np.ndarray, tolerance: int = 1) -> np.ndarray:
    """The harmonic mean of precision and recall of edge pixels, bool [n, H, W] -> [n] in [0, 1].

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
