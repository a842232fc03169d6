"""Edges of images by Canny's detector, the inputs of pairs such as pix2pix's (Isola et al., arXiv:1611.07004).

J. Canny, "A Computational Approach to Edge Detection", IEEE PAMI 8 (1986): smooth, take the gradient, keep what is
largest along it, and of the lines that remain those that are strong somewhere.
"""

import numpy as np
from scipy import ndimage

LOW, HIGH = 0.1, 0.2  # thresholds of the Sobel gradient of images in [0, 1]
RULE = f'edges 1: Canny, sigma of side / 64 in [0.5, 2], thresholds {LOW} and {HIGH}'
_EQUAL = 1e-5  # a difference of gradients that rounding can make
_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = True  # the eight neighbours, and none in another image


def sigma_of(height: int, width: int) -> float:
    """The standard deviation of the smoothing in pixels: a 64th of the shorter side, at least 0.5 and at most 2."""
    return float(np.clip(min(height, width) / 64, 0.5, 2))


def canny(grey: np.ndarray, sigma: float) -> np.ndarray:
    """White lines on black where the brightness changes.

    Args:
      grey: uint8 [n, height, width].
      sigma: standard deviation of the Gaussian in pixels; beyond the border stands the value of the border.

    Returns:
      uint8 [n, height, width], 255 on an edge and 0 elsewhere; 0 in the outermost pixels.

    The gradient is Sobel's with weights 1, 2, 1. Of two pixels across a line that have the same gradient, the brighter
    one is kept, so that the edge of a step is one pixel wide.
    """
    smooth = ndimage.gaussian_filter(grey.astype(np.float32) / 255, (0, sigma, sigma), mode='nearest')
    down, right = (_sobel(smooth, axis) for axis in (1, 2))
    magnitude = np.sqrt(down * down + right * right)
    thin = _largest_along_gradient(magnitude, down, right)
    lines, count = ndimage.label(thin, _IN_PLANE)
    is_strong = np.zeros(count + 1, bool)
    is_strong[lines[thin & (magnitude >= HIGH)]] = True
    return np.where(is_strong[lines], np.uint8(255), np.uint8(0))


def _sobel(images: np.ndarray, axis: int) -> np.ndarray:
    """The gradient along one axis of images [n, height, width]."""
    slope = ndimage.correlate1d(images, [-1, 0, 1], axis)
    return ndimage.correlate1d(slope, [1, 2, 1], 3 - axis)


def _largest_along_gradient(magnitude: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where the gradient is at least `LOW` and the largest of it and those one pixel before and behind.

    Those are interpolated linearly between the two pixels next to that place.
    """
    candidates = magnitude >= LOW
    candidates[:, [0, -1]] = candidates[:, :, [0, -1]] = False
    image, row, column = np.nonzero(candidates)
    here, down, right = (array[image, row, column] for array in (magnitude, down, right))
    row_step, column_step = np.sign(down).astype(int), np.sign(right).astype(int)
    steep, flat = np.abs(down), np.abs(right)
    share = np.minimum(steep, flat) / np.maximum(steep, flat)  # of the diagonal neighbour
    straight = np.where(steep >= flat, row_step, 0), np.where(steep >= flat, 0, column_step)

    def beside(direction: int) -> np.ndarray:
        diagonal = magnitude[image, row + direction * row_step, column + direction * column_step]
        near = magnitude[image, row + direction * straight[0], column + direction * straight[1]]
        return share * diagonal + (1 - share) * near

    candidates[image, row, column] = (here > beside(1) + _EQUAL) & (here > beside(-1) - _EQUAL)
    return candidates
