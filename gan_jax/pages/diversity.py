"""The diversity of the images of a grid, by their distances in pixels."""

from typing import NamedTuple

import numpy as np

from gan_jax.records import report

TWINS = 0.6  # of the usual distance to the nearest other image: 95 % of real images and of good samples keep more
ALIKE = 2.0  # grey levels: images nearer than that look alike to anyone, whatever the references
SPREAD = 0.7  # of the usual distance of any two: good samples have 0.9 and more of it, one noisy image had 0.6
DISTINCT_SHARE = 0.75  # of a grid: with that 95 % no chance; one image with strong noise on it gave 64 %


def cut_grid(picture: np.ndarray, shape: tuple[int, ...], number: int, classes: int | None = None) -> np.ndarray | None:
    """Cuts a run's picture of samples into its images: the inverse of `report.image_grid` as a run uses it.

    Args:
        picture: uint8 [height, width] or [height, width, C].
        shape: (H, W, C) of an image.
        number: the config's `samples`.
        classes: how many the data have, for a conditional run, whose rows are classes.

    Returns:
        uint8 [groups, n, H W C]; None if the picture is not laid out like that.
    """
    rows = 1 if classes is None else min(classes, number)
    columns = None if classes is None else number // rows
    number = number // rows * rows
    layout = report.image_grid(np.zeros((number, *shape[:2], 1), np.uint8), columns)[..., 0] == 0
    if picture.shape[:2] != layout.shape:
        return None
    tops, lefts = (_starts(layout.any(axis)) for axis in (1, 0))
    scale = (layout[:, lefts[0]].sum() // len(tops)) // shape[0]
    height, width = (side * scale for side in shape[:2])
    places = [(top, left) for top in tops for left in lefts][:number]
    images = [picture[top : top + height : scale, left : left + width : scale] for top, left in places]
    return np.asarray(images).reshape(rows, number // rows, -1)


def columns(shape: tuple[int, ...], number: int, classes: int | None = None) -> int:
    """How many images stand side by side in a run's picture of samples; the arguments are those of `cut_grid`."""
    if classes is not None:
        return number // min(classes, number)
    return report.columns_of(number, *shape[:2])


class Diversity(NamedTuple):
    """The diversity of the images of a grid.

    Attributes:
        distinct: images left when those that resemble one before them are skipped.
        number: number of all images.
        spread: median distance of two images of a group, in grey levels (root mean square).
        usual: that of the references, 0 where there are none.
    """

    distinct: int
    number: int
    spread: float
    usual: float

    @property
    def is_low(self) -> bool:
        """Whether there are few distinct images, or all are very similar."""
        return self.distinct < DISTINCT_SHARE * self.number or self.spread < SPREAD * self.usual


def compare(grid: np.ndarray, references: tuple[np.ndarray, ...]) -> Diversity:
    """A grid's diversity beside the medians of the references'."""
    distances, others = distances_within(grid), [distances_within(reference) for reference in references]
    nearest = np.median([np.median(one.min(-1), axis=-1) for one in others], axis=0) if others else np.zeros(len(grid))
    usual = float(np.median([spread_of(one) for one in others])) if others else 0.0
    distinct = sum(map(count_distinct, distances, np.maximum(ALIKE, TWINS * nearest)))
    return Diversity(distinct, grid.shape[0] * grid.shape[1], spread_of(distances), usual)


def spread_of(distances: np.ndarray) -> float:
    """The median distance of two different images of a group, from all distances [groups, n, n]."""
    return float(np.median(distances[np.isfinite(distances)]))


def distances_within(groups: np.ndarray) -> np.ndarray:
    """Root mean square distances [groups, n, n] of images [groups, n, pixels]; infinite from an image to itself."""
    groups = groups.astype(np.float64)
    squares = (groups**2).sum(-1)
    products = groups @ groups.swapaxes(-1, -2)
    distances = np.sqrt(np.maximum(squares[..., None] + squares[:, None] - 2 * products, 0) / groups.shape[-1])
    distances[:, np.eye(groups.shape[1], dtype=bool)] = np.inf
    return distances


def count_distinct(distances: np.ndarray, radius: float) -> int:
    """How many images are left when those within the radius of one before them are skipped; distances [n, n]."""
    kept: list[int] = []
    for i, row in enumerate(distances):
        if (row[kept] > radius).all():
            kept.append(i)
    return len(kept)


def _starts(mask: np.ndarray) -> np.ndarray:
    """Where runs of True begin in [n] booleans that begin with False."""
    return np.flatnonzero(mask[1:] & ~mask[:-1]) + 1
