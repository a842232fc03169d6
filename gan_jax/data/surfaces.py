"""Points on the surfaces of constructive geometry, uniformly by area."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gan_jax.data.furniture import Box, Ring, Shape, Tube

_STEP = 1e-6  # from a surface, to tell what is on either side
Points = np.ndarray  # [n, 3]: up, back, right


class Patch(NamedTuple):
    """A part of a surface.

    Attributes:
        area: its area.
        draw: (number, random generator) -> points [number, 3] uniformly on it, and outward normals [number, 3].
    """

    area: float
    draw: Callable[[int, np.random.Generator], tuple[Points, Points]]


def sample_surface(shape: Shape, number: int, rng: np.random.Generator) -> Points:
    """Independent points, uniform by area on the surface of the union of the primitives.

    Points are drawn on all primitives. A point stays if there is nothing outside of it; where the surfaces of several
    primitives coincide, only points of the first of them stay.

    Args:
        shape: the primitives.
        number: number of points.
        rng: source of the points.

    Returns:
        float64 [number, 3]: up, back and right.
    """
    patches = [(index, patch) for index, primitive in enumerate(shape) for patch in patches_of(primitive)]
    areas = np.array([patch.area for _, patch in patches])
    kept = np.empty((0, 3))
    while len(kept) < number:
        drawn = []
        for (index, patch), count in zip(patches, rng.multinomial(2 * number, areas / areas.sum()), strict=True):
            points, normals = patch.draw(count, rng)
            outside, inside = points + _STEP * normals, points - _STEP * normals
            hidden = np.any([_contains(other, outside) for other in shape], axis=0)
            repeated = np.any([_contains(other, inside) for other in shape[:index]], axis=0) if index else False
            drawn.append(points[~(hidden | repeated)])
        kept = np.concatenate([kept, rng.permutation(np.concatenate(drawn))])
    return kept[:number]


def patches_of(primitive: Box | Tube | Ring) -> list[Patch]:
    """The surface of a primitive as parts that can be drawn from."""
    match primitive:
        case Box():
            return [_rectangle(primitive, axis, end) for axis in range(3) for end in (0, 1)]
        case Tube():
            return _of_tube(primitive)
        case Ring():
            return [_torus(primitive)]


def _contains(primitive: Box | Tube | Ring, points: Points) -> np.ndarray:
    return primitive.contains(tuple(points.T))


def _rectangle(box: Box, axis: int, end: int) -> Patch:
    low, high = np.array(box.low), np.array(box.high)
    normal = np.eye(3)[axis] * (2 * end - 1)

    def draw(number: int, rng: np.random.Generator) -> tuple[Points, Points]:
        points = rng.uniform(low, high, (number, 3))
        points[:, axis] = (low, high)[end][axis]
        return points, np.broadcast_to(normal, points.shape)

    return Patch(float(np.prod(np.delete(high - low, axis))), draw)


def _of_tube(tube: Tube) -> list[Patch]:
    ends = tube.radius, tube.radius if tube.top is None else tube.top
    holes = (0.0, 0.0) if tube.wall is None else (ends[0] - tube.wall, ends[1] - tube.wall)
    patches = [_annulus(tube, end, holes[end], ends[end]) for end in (0, 1)] + [_mantle(tube, ends, 1)]
    return patches if tube.wall is None else [*patches, _mantle(tube, holes, -1)]


def _annulus(tube: Tube, end: int, inner: float, outer: float) -> Patch:
    height, normal = (tube.low, tube.high)[end], np.array([2.0 * end - 1, 0, 0])

    def draw(number: int, rng: np.random.Generator) -> tuple[Points, Points]:
        radius = np.sqrt(rng.uniform(inner**2, outer**2, number))
        points = _around(tube, np.full(number, height), radius, rng.uniform(0, 2 * np.pi, number))
        return points, np.broadcast_to(normal, points.shape)

    return Patch(np.pi * (outer**2 - inner**2), draw)


def _mantle(tube: Tube, radii: tuple[float, float], side: int) -> Patch:
    """The outer (side 1) or inner (side -1) mantle of a frustum: radii below and above."""
    (lower, upper), height = radii, tube.high - tube.low
    slant = np.hypot(height, upper - lower)

    def draw(number: int, rng: np.random.Generator) -> tuple[Points, Points]:
        share = rng.uniform(size=number)
        if lower != upper:  # the circumference grows with the height
            share = (np.sqrt(lower**2 + share * (upper**2 - lower**2)) - lower) / (upper - lower)
        angle = rng.uniform(0, 2 * np.pi, number)
        points = _around(tube, tube.low + share * height, lower + share * (upper - lower), angle)
        normals = np.stack([np.full(number, lower - upper), height * np.sin(angle), height * np.cos(angle)], axis=1)
        return points, side * normals / slant

    return Patch(np.pi * (lower + upper) * slant, draw)


def _around(tube: Tube, height: np.ndarray, radius: np.ndarray, angle: np.ndarray) -> Points:
    return np.stack([height, tube.centre[0] + radius * np.sin(angle), tube.centre[1] + radius * np.cos(angle)], axis=1)


def _torus(ring: Ring) -> Patch:
    def draw(number: int, rng: np.random.Generator) -> tuple[Points, Points]:
        along = rng.uniform(0, 2 * np.pi, number)
        around = np.empty(0)
        while len(around) < number:  # the outer half has more area: by rejection
            angle, height = rng.uniform(0, 2 * np.pi, 2 * number), rng.uniform(size=2 * number)
            dense = ring.radius + ring.thickness * np.cos(angle)
            around = np.concatenate([around, angle[height * (ring.radius + ring.thickness) < dense]])
        around = around[:number]
        normals = np.stack([np.cos(around) * np.sin(along), np.sin(around), np.cos(around) * np.cos(along)], axis=1)
        middle = ring.radius * np.stack([np.sin(along), np.zeros(number), np.cos(along)], axis=1)
        return np.array(ring.centre) + middle + ring.thickness * normals, normals

    return Patch(4 * np.pi**2 * ring.radius * ring.thickness, draw)
