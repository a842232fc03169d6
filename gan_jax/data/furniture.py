"""Solids of furniture by constructive geometry: tables, chairs, lamps and mugs as voxels.

A set of this project: every solid is computed from its split and its index, so there is nothing to download. It stands
in for ModelNet, on which the 3D-GAN is published; figures of the two cannot be compared.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gan_jax.data.computed_set import computed_set
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError

SIZE = 32  # voxels along each side, where no size is asked for
_RULE = 'furniture 1'
_SPLITS = {'train': 8000, 'test': 2000}
_CORNER = 1 - 0.2**0.5  # heights and widths both above this share of their ranges, a fifth of all, are the test split

Grid = tuple[np.ndarray, np.ndarray, np.ndarray]  # coordinates of the centres of voxels: up, to the back, to the right


class Box(NamedTuple):
    """All points between two corners (up, back, right)."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def contains(self, grid: Grid) -> np.ndarray:
        """Which points of the grid are inside: bool [D, D, D]."""
        up, back, right = ((a <= x) & (x < b) for a, x, b in zip(self.low, grid, self.high, strict=True))
        return up & back & right


class Tube(NamedTuple):
    """An upright cylinder or frustum around (back, right), between two heights, with a hole or none.

    Attributes:
        centre: (back, right).
        low: the lower height.
        high: the upper height.
        radius: at the lower height.
        top: radius at the upper height; None: as below.
        wall: thickness of the wall; None: it is filled.
    """

    centre: tuple[float, float]
    low: float
    high: float
    radius: float
    top: float | None = None
    wall: float | None = None

    def contains(self, grid: Grid) -> np.ndarray:
        """Which points of the grid are inside: bool [D, D, D]."""
        up, back, right = grid
        distance = np.hypot(back - self.centre[0], right - self.centre[1])
        top = self.radius if self.top is None else self.top
        radius = self.radius + (top - self.radius) * (up - self.low) / (self.high - self.low)
        inside = (self.low <= up) & (up < self.high) & (distance <= radius)
        return inside if self.wall is None else inside & (distance > radius - self.wall)


class Ring(NamedTuple):
    """A torus in the plane (up, right).

    Attributes:
        centre: (up, back, right).
        radius: from the centre to the middle of the ring.
        thickness: radius of the ring itself.
    """

    centre: tuple[float, float, float]
    radius: float
    thickness: float

    def contains(self, grid: Grid) -> np.ndarray:
        """Which points of the grid are inside: bool [D, D, D]."""
        up, back, right = (x - c for x, c in zip(grid, self.centre, strict=True))
        return (np.hypot(up, right) - self.radius) ** 2 + back**2 <= self.thickness**2


Shape = list[Box | Tube | Ring]


def furniture(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The solids of a split: uint8 [n, D, D, D, 1], 255 inside and 0 outside, axes up, back and right.

    The labels are the four classes in equal numbers. The test split has the solids that are both high and wide, which
    the training split lacks.

    Args:
        name: name of the data set.
        split: 'train' (8,000 solids) or 'test' (2,000).
        size: D; None: 32.
        root: root of the cache, where the solids are kept.
        show_progress: whether to show a progress bar while computing.

    Raises:
        UserError: the split does not exist, the size is less than 16, or the cache cannot be written.
    """
    size = SIZE if size is None else size
    if size < 16:
        raise UserError(f'{name!r} needs 16 or more voxels along each side to show legs, not {size}.')

    def make(label: int, rng: np.random.Generator) -> np.ndarray:
        return voxels(draw(label, rng, large=split == 'test'), size)[..., None].astype(np.uint8) * np.uint8(255)

    options = {'root': root, 'show_progress': show_progress}
    return computed_set(name, split, _SPLITS, (size, size, size, 1), make, _RULE, tuple(CLASSES), **options)


def draw(label: int, rng: np.random.Generator, *, large: bool | None = None) -> Shape:
    """A random piece of a class, in the unit cube.

    Args:
        label: index of the class.
        rng: source of its measures.
        large: whether height and width are both in the upper part of their ranges, or not; None: in the whole ranges.
    """
    while True:
        height, width = rng.uniform(size=2)
        if large is None or (min(height, width) > _CORNER) == large:
            return list(CLASSES.values())[label](float(height), float(width), rng)


def voxels(shape: Shape, size: int) -> np.ndarray:
    """Which voxels have their centre inside one of the primitives: bool [size, size, size]."""
    ticks = (np.arange(size) + 0.5) / size
    grid = ticks[:, None, None], ticks[None, :, None], ticks[None, None, :]
    return np.logical_or.reduce([np.broadcast_to(primitive.contains(grid), (size,) * 3) for primitive in shape])


def _legs(height: float, front: float, back: float, half: float, thickness: float) -> Shape:
    """Four square legs up to a height, at both depths and at both sides of the middle."""
    return [
        Box((0.05, depth, right), (height, depth + thickness, right + thickness))
        for depth in (front, back - thickness)
        for right in (0.5 - half, 0.5 + half - thickness)
    ]


def _table(height: float, width: float, rng: np.random.Generator) -> Shape:
    top, half, depth = 0.3 + 0.4 * height, 0.25 + 0.2 * width, 0.18 + 0.2 * rng.uniform()
    leg = 0.07 + 0.04 * rng.uniform()
    slab = Box((top, 0.5 - depth, 0.5 - half), (top + 0.08, 0.5 + depth, 0.5 + half))
    if rng.uniform() < 0.3:  # one column on a foot
        foot = 0.8 * min(half, depth)
        return [slab, Tube((0.5, 0.5), 0.05, top, leg), Tube((0.5, 0.5), 0.05, 0.12, foot)]
    return [slab, *_legs(top, 0.5 - depth, 0.5 + depth, half, leg)]


def _chair(height: float, width: float, rng: np.random.Generator) -> Shape:
    seat, half, depth = 0.3 + 0.12 * rng.uniform(), 0.17 + 0.15 * width, 0.2 + 0.1 * rng.uniform()
    top, thickness, leg = seat + 0.25 + 0.25 * height, 0.07, 0.07 + 0.03 * rng.uniform()
    back = 0.5 + depth
    shape = [
        Box((seat, 0.5 - depth, 0.5 - half), (seat + thickness, back, 0.5 + half)),
        Box((seat, back - thickness, 0.5 - half), (top, back, 0.5 + half)),
        *_legs(seat, 0.5 - depth, back, half, leg),
    ]
    if rng.uniform() < 0.4:
        arm = seat + 0.2
        for right in (0.5 - half, 0.5 + half - thickness):
            shape.append(Box((arm, 0.5 - depth, right), (arm + thickness, back, right + thickness)))
            shape.append(Box((seat, 0.5 - depth, right), (arm, 0.5 - depth + thickness, right + thickness)))
    return shape


def _lamp(height: float, width: float, rng: np.random.Generator) -> Shape:
    top, shade = 0.6 + 0.33 * height, 0.17 + 0.2 * width
    depth, foot, pole = 0.2 + 0.1 * rng.uniform(), 0.12 + 0.12 * rng.uniform(), 0.045 + 0.02 * rng.uniform()
    centre = 0.5, 0.5
    return [
        Tube(centre, 0.05, 0.12, foot),
        Tube(centre, 0.05, top - 0.5 * depth, pole),
        Tube(centre, top - depth, top, shade, shade * (0.4 + 0.5 * rng.uniform())),
    ]


def _mug(height: float, width: float, rng: np.random.Generator) -> Shape:
    top, radius, wall = 0.4 + 0.4 * height, 0.17 + 0.13 * width, 0.06
    loop, thickness = 0.1 + 0.05 * rng.uniform(), 0.035 + 0.015 * rng.uniform()
    centre = 0.5, 0.42
    return [
        Tube(centre, 0.05, top, radius, wall=wall),
        Tube(centre, 0.05, 0.12, radius),
        Ring((0.05 + 0.5 * (top - 0.05), 0.5, centre[1] + radius), loop, thickness),
    ]


CLASSES: dict[str, Callable[[float, float, np.random.Generator], Shape]] = {
    'table': _table,
    'chair': _chair,
    'lamp': _lamp,
    'mug': _mug,
}
