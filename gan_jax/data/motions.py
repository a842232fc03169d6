"""Clips of a coloured shape that moves over a still background, with the motion as class.

A set of this project, after the shape motions of MoCoGAN (Tulyakov et al. 2018, section 4.1): the content of a clip is
its shape, size, colour and background, its motion goes from side to side, up and down, or around. The clips of
`plain_motions` have black backgrounds, `motion_maps` are clips with exact label maps of their frames. Nothing is
downloaded.
"""

import dataclasses
import pathlib

import numpy as np
from PIL import Image

from gan_jax.data import fingerprints
from gan_jax.data.computed_set import computed_set
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError

CLASSES = ('horizontal', 'vertical', 'circular')
FRAMES = 16
SIZE = 32  # pixels along each side, where no size is asked for
SHAPES = ('disc', 'square', 'triangle')
COLORS = np.array(
    [[230, 40, 40], [40, 190, 60], [60, 90, 240], [240, 220, 40], [220, 60, 220], [40, 210, 220]], np.float64
)
MAPPED = ('background', 'red', 'green', 'blue', 'yellow', 'magenta', 'cyan')  # classes of maps, of `COLORS` in order
_SPLITS = {'train': 4000, 'test': 1000}
_RULES = {'motions': 'motions 1', 'plain_motions': 'plain motions 1', 'motion_maps': 'motion maps 1'}
_SAMPLES = 3  # per side of a pixel, of which it is the mean


def motions(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The clips of a split: uint8 [n, 16, size, size, 3], with one of `CLASSES` each.

    The contents are 6 s + c for the shape s of `SHAPES` in the colour c of `COLORS`.

    Args:
        name: 'motions', or 'plain_motions' for black backgrounds.
        split: 'train' (4,000 clips) or 'test' (1,000).
        size: height and width of a frame; None: 32.
        root: root of the cache, where the clips are kept.
        show_progress: whether to show a progress bar while computing.

    Raises:
        UserError: the split does not exist, the size is less than 16, or the cache cannot be written.
    """
    size = _checked(name, size)

    def make(motion: int, rng: np.random.Generator) -> np.ndarray:
        return clip(motion, size, rng, plain=name == 'plain_motions')[0]

    def content(rng: np.random.Generator) -> int:
        shape, color = _content(rng)
        return shape * len(COLORS) + color

    shape = FRAMES, size, size, 3
    options = {'root': root, 'show_progress': show_progress, 'content': content}
    return computed_set(name, split, _SPLITS, shape, make, _RULES[name], CLASSES, **options)


def motion_maps(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The clips of a split, and as inputs the label maps of their frames.

    The shapes move by whole pixels. A pixel of which a shape covers more than half has the class of its colour, all
    others are background.

    Args:
        name: name of the data set.
        split: as in `motions`.
        size: likewise.
        root: likewise.
        show_progress: likewise.

    Returns:
        Clips uint8 [n, 16, size, size, 3] with maps [n, 16, size, size, 1] of the classes in `MAPPED`.

    Raises:
        UserError: as `motions`.
    """
    size = _checked(name, size)

    def make(motion: int, rng: np.random.Generator) -> np.ndarray:
        content = _content(rng)
        frames, cover = _painted(motion, size, content, rng, by_pixels=True)
        return np.concatenate([frames, np.where(cover > 0.5, content[1] + 1, 0).astype(np.uint8)], axis=-1)

    shape = FRAMES, size, size, 4
    options = {'root': root, 'show_progress': show_progress}
    both = computed_set(name, split, _SPLITS, shape, make, _RULES[name], CLASSES, **options)
    return dataclasses.replace(
        both,
        examples=both.examples[..., :3],
        inputs=both.examples[..., 3:],
        labels=None,
        num_classes=len(MAPPED),
        class_names=MAPPED,
        fingerprint=fingerprints.of_value(['motion maps', both.fingerprint]),
    )


def clip(motion: int, size: int, rng: np.random.Generator, *, plain: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A clip of a random shape.

    Args:
        motion: index of its motion in `CLASSES`.
        size: height and width of a frame.
        rng: source of its content and of the path.
        plain: whether the background is black.

    Returns:
        The clip, uint8 [16, size, size, 3], and the coverage of each pixel by the shape, float64 [16, size, size, 1].
    """
    return _painted(motion, size, _content(rng), rng, plain=plain)


def _painted(
    motion: int,
    size: int,
    content: tuple[int, int],
    rng: np.random.Generator,
    *,
    plain: bool = False,
    by_pixels: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The `clip` of a content; `by_pixels`: the shape moves by whole pixels, and looks the same in all frames."""
    shape, color = content
    radius = rng.uniform(0.12, 0.2)
    coarse = rng.integers(0, 1 if plain else 110, (4, 4, 3), dtype=np.uint8)
    background = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), np.float64)
    ticks = (np.arange(size * _SAMPLES) + 0.5) / (size * _SAMPLES)
    rows, columns = ticks[:, None], ticks[None, :]
    centres = _path(motion, radius, rng)
    if by_pixels:
        reach = np.ceil(radius * size - 0.5)
        centres = (np.clip(np.floor(centres * size), reach, size - 1 - reach) + 0.5) / size
    covered = np.stack([_inside(SHAPES[shape], rows - y, columns - x, radius) for y, x in centres])
    cover = covered.reshape(FRAMES, size, _SAMPLES, size, _SAMPLES).mean(axis=(2, 4))[..., None]
    frames = cover * COLORS[color] + (1 - cover) * background
    return frames.round().astype(np.uint8), cover


def _checked(name: str, size: int | None) -> int:
    """The size of frames, the usual one for None."""
    if size is not None and size < 16:
        raise UserError(f'{name!r} needs frames of 16 or more pixels along each side to show shapes, not {size}.')
    return size or SIZE


def _content(rng: np.random.Generator) -> tuple[int, int]:
    """The shape and the colour of a clip, as indices: the first that its random generator draws."""
    return int(rng.integers(len(SHAPES))), int(rng.integers(len(COLORS)))


def _path(motion: int, radius: float, rng: np.random.Generator) -> np.ndarray:
    """The centres (row, column) of the frames [16, 2]; the shape stays inside."""
    room = 0.5 - radius
    angles = 2 * np.pi * (rng.uniform() + rng.choice([-1, 1]) * np.arange(FRAMES) / FRAMES)
    if CLASSES[motion] == 'circular':
        reach = room * rng.uniform(0.6, 1.0)
        return 0.5 + reach * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    along = 0.5 + room * rng.uniform(0.7, 1.0) * np.sin(angles)
    across = np.full(FRAMES, 0.5 + room * rng.uniform(-1, 1))
    return np.stack([across, along] if CLASSES[motion] == 'horizontal' else [along, across], axis=1)


def _inside(shape: str, rows: np.ndarray, columns: np.ndarray, radius: float) -> np.ndarray:
    """Which points, from the centre, are inside a shape that a circle of the radius contains."""
    if shape == 'disc':
        return rows**2 + columns**2 <= radius**2
    if shape == 'square':
        return np.maximum(abs(rows), abs(columns)) <= radius / 2**0.5
    return (rows <= radius / 2) & (abs(columns) <= (rows + radius) / 3**0.5)
