"""Pictures of two coloured shapes in a relation, painted from a description, and the description read from a picture.

Both directions are exact: what `find` sees in a picture of 32 or more pixels a side that `paint` made is what the
picture was made of.
"""

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

COLORS = ('red', 'yellow', 'green', 'cyan', 'blue', 'purple')
SHAPES = ('circle', 'square', 'triangle', 'cross')
SIZES = ('small', 'large')
RELATIONS = ('left', 'right', 'above', 'below')  # of the first shape to the second
HELD_OUT = tuple((color, (color + 2) % len(SHAPES)) for color in range(len(COLORS)))
"""Pairs (colour, shape) that no training picture has: one shape of each colour, each shape at least once."""
SEEN = tuple(
    (color, shape) for color in range(len(COLORS)) for shape in range(len(SHAPES)) if (color, shape) not in HELD_OUT
)

_HUES = np.array([0.0, 0.15, 0.36, 0.5, 0.64, 0.82])
_PALETTE = np.array([colorsys.hsv_to_rgb(hue, 0.85, 0.95) for hue in _HUES])
_RADII = np.array([[0.1, 0.12], [0.17, 0.2]])  # the range of each size, in sides of the picture
_GAP = (0.05, 0.12)  # between the shapes, along the relation
_SLANT = 0.4  # the most that a relation deviates: across it, in distances along it
_MARGIN = 0.02
_SQUARE, _ARM = 0.88, 0.36  # half a square's side, and half the width of a cross's arms, in radii
_TOP, _BOTTOM = -1.0, 0.9  # of a triangle, in radii
_SLOPE = (_BOTTOM - _TOP, 1.0)  # of its legs, down and across
_AREAS = np.array([np.pi, 4 * _SQUARE**2, _BOTTOM - _TOP, 8 * _ARM - 4 * _ARM**2])  # in squares of the radius
_CENTROIDS = np.array([0, 0, (_TOP + 2 * _BOTTOM) / 3, 0])  # below the centre, in radii
_CHUNK = 256


class Scenes(NamedTuple):
    """Scenes of two shapes each; every array is [n, 2] or [n].

    Attributes:
        color: index of each shape's colour in `COLORS`; the two differ.
        shape: index in `SHAPES`.
        size: index in `SIZES`.
        relation: index in `RELATIONS`, of the first shape to the second.
        radius: in sides of the picture.
        place: centres [n, 2, 2], (down, right) from 0 to 1.
        light: brightness of each shape, from 0.85 to 1.
        ground: grey value of the background, from 0 to 1.
    """

    color: np.ndarray
    shape: np.ndarray
    size: np.ndarray
    relation: np.ndarray
    radius: np.ndarray
    place: np.ndarray
    light: np.ndarray
    ground: np.ndarray


class Found(NamedTuple):
    """What pictures show of each colour: arrays [n, colours].

    Attributes:
        there: whether there is something of that colour.
        shape: index of its shape in `SHAPES`; -1 if it looks like none.
        size: index of its size in `SIZES`.
        place: its centroid [n, colours, 2], (down, right) from 0 to 1.
    """

    there: np.ndarray
    shape: np.ndarray
    size: np.ndarray
    place: np.ndarray


def draw(count: int, rng: np.random.Generator, *, unseen: bool = False) -> Scenes:
    """Random scenes.

    Args:
        count: how many.
        rng: source of everything in them.
        unseen: whether one of the two shapes of each scene is a pair in `HELD_OUT`; otherwise neither is.
    """
    pairs = np.array(SEEN)[rng.integers(len(SEEN), size=(count, 2))]
    if unseen:
        which = rng.integers(2, size=count)
        pairs[np.arange(count), which] = np.array(HELD_OUT)[rng.integers(len(HELD_OUT), size=count)]
    while (same := pairs[:, 0, 0] == pairs[:, 1, 0]).any():
        others = np.array(SEEN)[rng.integers(len(SEEN), size=same.sum())]
        pairs[same, 1 - which[same] if unseen else 1] = others
    size, relation = rng.integers(len(SIZES), size=(count, 2)), rng.integers(len(RELATIONS), size=count)
    radius = rng.uniform(*np.moveaxis(_RADII[size], -1, 0))
    along = radius.sum(axis=1) + rng.uniform(*_GAP, size=count)
    across = along * rng.uniform(-_SLANT, _SLANT, size=count)
    is_upright = relation >= 2
    away = np.stack([np.where(is_upright, along, across), np.where(is_upright, across, along)], axis=1)
    place = np.stack([np.zeros((count, 2)), away], axis=1)
    first_is_beyond = relation % 2 == 1  # to the right, or below
    place = np.where(first_is_beyond[:, None, None], place[:, ::-1], place)
    low, high = (place - radius[..., None]).min(1), (place + radius[..., None]).max(1)
    place = place + rng.uniform(_MARGIN - low, 1 - _MARGIN - high)[:, None]
    light, ground = rng.uniform(0.85, 1, (count, 2)), rng.uniform(0.05, 0.3, count)
    return Scenes(pairs[..., 0], pairs[..., 1], size, relation, radius, place, light, ground)


def paint(scenes: Scenes, size: int) -> np.ndarray:
    """Pictures of scenes, with smooth edges: uint8 [n, size, size, 3]."""
    return np.concatenate(
        [
            _paint(Scenes(*(array[i : i + _CHUNK] for array in scenes)), size)
            for i in range(0, len(scenes.ground), _CHUNK)
        ]
    )


def _paint(scenes: Scenes, size: int) -> np.ndarray:
    images = np.broadcast_to(scenes.ground[:, None, None, None], (len(scenes.ground), size, size, 3))
    for i in range(2):
        cover = coverage(scenes.shape[:, i], scenes.place[:, i], scenes.radius[:, i], size)[..., None]
        color = (_PALETTE[scenes.color[:, i]] * scenes.light[:, i, None])[:, None, None]
        images = images * (1 - cover) + color * cover
    return np.round(255 * images).astype(np.uint8)


def coverage(shape: np.ndarray, place: np.ndarray, radius: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel a shape covers, by its distance from the outline.

    Args:
        shape: int [n], index in `SHAPES`.
        place: centres [n, 2].
        radius: [n].
        size: S, height and width of the pictures in pixels.

    Returns:
        float64 [n, S, S] from 0 to 1.
    """
    ticks = (np.arange(size) + 0.5) / size
    down = (ticks[None, :, None] - place[:, 0, None, None]) / radius[:, None, None]
    right = np.abs(ticks[None, None, :] - place[:, 1, None, None]) / radius[:, None, None]
    legs = ((down - _TOP) * _SLOPE[1] - right * _SLOPE[0]) / np.hypot(*_SLOPE)
    inside = (
        1 - np.hypot(down, right),
        _SQUARE - np.maximum(np.abs(down), right),
        np.minimum(legs, _BOTTOM - down),
        np.maximum(*(np.minimum(1 - a, _ARM - b) for a, b in ((np.abs(down), right), (right, np.abs(down))))),
    )
    chosen = np.select([(shape == i)[:, None, None] for i in range(len(SHAPES))], inside)
    return np.clip(chosen * radius[:, None, None] * size + 0.5, 0, 1)


def find(images: np.ndarray, least: float = 0.6) -> Found:
    """The shapes in pictures.

    The hue of a pixel tells the colour, since a mixture with grey has the same hue. All pixels of a colour are one
    object. Its shape is the one whose painting with the same area and centroid covers it best.

    Args:
        images: uint8 [n, S, S, 3]; the background should be grey.
        least: smallest intersection over union with a shape that counts as that shape.
    """
    parts = [_find(images[i : i + _CHUNK], least) for i in range(0, len(images), _CHUNK)]
    return Found(*map(np.concatenate, zip(*parts, strict=True)))


def _find(images: np.ndarray, least: float) -> Found:
    seen, size = _of_colors(images), images.shape[1]
    area = seen.mean(axis=(2, 3))
    there = area > 0.5 * _AREAS.min() * _RADII[0, 0] ** 2
    ticks = (np.arange(size) + 0.5) / size
    total = np.maximum(area, 1e-9)
    place = np.stack([(seen.mean(3) * ticks).mean(-1) / total, (seen.mean(2) * ticks).mean(-1) / total], axis=-1)
    matches, radii = np.zeros((*area.shape, len(SHAPES))), np.ones((*area.shape, len(SHAPES)))
    for shape in range(len(SHAPES)):
        radius = np.sqrt(area[there] / _AREAS[shape])
        centre = place[there] - np.stack([_CENTROIDS[shape] * radius, 0 * radius], axis=-1)
        cover = coverage(np.full(len(radius), shape), centre, radius, size)
        pair = cover, seen[there]
        matches[there, shape] = np.minimum(*pair).sum((1, 2)) / np.maximum(*pair).sum((1, 2))
        radii[there, shape] = radius
    best = matches.argmax(-1)
    radius = np.take_along_axis(radii, best[..., None], -1)[..., 0]
    sizes = (radius > (_RADII[0, 1] + _RADII[1, 0]) / 2).astype(int)
    return Found(there, np.where(matches.max(-1) >= least, best, -1), sizes, place)


def _of_colors(images: np.ndarray) -> np.ndarray:
    """How much of each pixel has each colour, [n, colours, S, S] from 0 to 1; traces count as nothing."""
    hue, palette = (_chroma(array) for array in (images / 255, _PALETTE))
    turned = hue[:, None] * np.conj(palette / np.abs(palette))[None, :, None, None]
    nearest = turned.real.argmax(axis=1)[:, None] == np.arange(len(COLORS))[None, :, None, None]
    share = np.clip(turned.real / (0.925 * np.abs(palette))[None, :, None, None], 0, 1)
    return np.where(nearest & (share > 0.2), share, 0)


def _chroma(colors: np.ndarray) -> np.ndarray:
    """The hue and its strength as a complex number, of colours [..., 3] in [0, 1]; that of grey is 0."""
    red, green, blue = np.moveaxis(colors, -1, 0)
    return red - (green + blue) / 2 + 1j * np.sqrt(0.75) * (green - blue)


def relation(first: Sequence[float], second: Sequence[float]) -> int:
    """The relation of a place (down, right) to another, as an index in `RELATIONS`, by the larger distance."""
    down, right = (a - b for a, b in zip(first, second, strict=True))
    return 2 + int(down > 0) if abs(down) >= abs(right) else int(right > 0)
