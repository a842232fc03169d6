"""Enlarges an image file by a run of super-resolution: `--mode sample --what upscale`."""

import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from gan_jax.data import to_float, to_uint8
from gan_jax.data.images import read_image
from gan_jax.errors import UserError
from gan_jax.layers.choices import require
from gan_jax.ranges import SHARE, Range
from gan_jax.records import report
from gan_jax.runtime import compiler
from gan_jax.runtime.checkpoint import Checkpoints, peek
from gan_jax.sampling.sample_files import generated
from gan_jax.sampling.trained import TrainedRun, load_run, warn_of_divergence

_TILE = Range(8, 8192)


def upscale(
    workdir: str | os.PathLike,
    *,
    image: pathlib.Path | None = None,
    step: int | None = None,
    tile: int = 128,
    overlap: int = 16,
    blend: float | None = None,
) -> pathlib.Path:
    """The image file enlarged, in tiles if it is large, upright and with transparency over white.

    Args:
        workdir: the run's directory.
        image: the file, of any size.
        step: step of the checkpoint; None: the latest.
        tile: height and width of a tile of the image in pixels; memory depends on it.
        overlap: pixels at each side of a tile that are enlarged and thrown away, because they lack their surroundings.
            Tiles make what the whole image would if it is as large as the reach of the generator's layers.
        blend: network interpolation (Wang et al. 2018, ESRGAN, equation 4): this share of the weights, plus the rest of
            those at the end of the phase without an adversary; None: the weights as they are.

    Returns:
        The PNG that is written.

    Raises:
        UserError: the directory is not a run of super-resolution, the image cannot be read, an option is out of its
            range, or no checkpoint of the phase without an adversary is left.
    """
    run = load_run(pathlib.Path(workdir), step)
    given = run.shapes.get(run.game.given)
    if run.config.game.name != 'super_resolution':
        raise UserError(f'{workdir} does not enlarge images: use a run of the config srgan or esrgan.')
    if image is None:
        raise UserError('--what upscale needs --image, the file of the image to enlarge.')
    warn_of_divergence(pathlib.Path(workdir), run.step)
    weights = run.weights if blend is None else blended(pathlib.Path(workdir), run, blend)
    sample = jax.jit(run.game.sample, compiler_options=compiler.often())

    def enlarge(window: np.ndarray) -> np.ndarray:
        return np.asarray(to_uint8(sample(*weights, np.zeros((1, 0), np.float32), to_float(window[None])))[0])

    small = read_image(image, channels=given[2])
    made = in_tiles(enlarge, small, run.shape[0] // given[0], tile, overlap)
    name = generated(workdir, run.step, 'upscale', pathlib.Path(image).stem, blend=blend)
    path = name.with_name(f'{name.name}.png')
    report.save_png(path, made)
    print(f'Step {run.step}: {path}, {made.shape[1]}x{made.shape[0]} of {small.shape[1]}x{small.shape[0]} pixels')
    return path


def blended(workdir: pathlib.Path, run: TrainedRun, share: float) -> tuple:
    """`share` of a run's weights, plus the rest of those of the last checkpoint without an adversary.

    Raises:
        UserError: there is no such checkpoint, or the share is not from 0 to 1.
    """
    SHARE.check('--blend', share)
    directory = workdir / 'checkpoints'
    steps = [
        step for step in Checkpoints(directory).all_steps() if not peek(directory, step)['config']['game']['adversary']
    ]
    if not steps:
        raise UserError(
            f'{workdir} has no checkpoint of a phase without an adversary to blend with: train with a larger '
            'checkpoints.keep_last, or omit --blend.'
        )
    first = load_run(workdir, max(steps)).weights
    return jax.tree.map(lambda old, new: (1 - share) * old + share * new, first, run.weights)


def in_tiles(
    enlarge: Callable[[np.ndarray], np.ndarray], image: np.ndarray, factor: int, tile: int, overlap: int
) -> np.ndarray:
    """An image enlarged tile by tile.

    Args:
        enlarge: a window [h, w, C] -> [factor h, factor w, D].
        image: [H, W, C].
        factor: the enlargement.
        tile: largest height and width of a window.
        overlap: pixels of a window that are thrown away at each side that is not a side of the image.

    Raises:
        UserError: the overlap leaves nothing of a tile.
    """
    _TILE.check('--tile', tile)
    require(0 <= 2 * overlap < tile, '--overlap', overlap, f'from 0 to less than half of --tile {tile}')
    rows = []
    for row in _spans(image.shape[0], tile, overlap):
        parts = []
        for column in _spans(image.shape[1], tile, overlap):
            made = enlarge(image[row.start : row.start + tile, column.start : column.start + tile])
            parts.append(made[row.kept(factor), column.kept(factor)])
        rows.append(np.concatenate(parts, axis=1))
    return np.concatenate(rows, axis=0)


class _Span(NamedTuple):
    """The place of a window along one axis, and the part of it that is kept, in pixels of the image."""

    start: int
    first: int
    last: int

    def kept(self, factor: int) -> slice:
        """That part of the enlarged window."""
        return slice(factor * (self.first - self.start), factor * (self.last - self.start))


def _spans(length: int, tile: int, overlap: int) -> list[_Span]:
    """Windows of one size that cover an axis; what is kept of them lies side by side."""
    if length <= tile:
        return [_Span(0, 0, length)]
    starts = [min(start, length - tile) for start in range(0, length - 2 * overlap, tile - 2 * overlap)]
    borders = [0, *(start + tile - overlap for start in starts[:-1]), length]
    return [_Span(*span) for span in zip(starts, borders[:-1], borders[1:], strict=True)]
