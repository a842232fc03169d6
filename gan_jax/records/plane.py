"""Frames of a game in the plane: points, samples and the discriminator at a step, a small file each."""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from gan_jax.errors import UserError
from gan_jax.records import npz


class Frame(NamedTuple):
    """A game in the plane at a step.

    Attributes:
        real: float32 [m, 2], points of the data.
        samples: float32 [n, 2], of the generator.
        pulls: float32 [n, 2], the step that the generator's loss asks of each sample; see `gan_jax.sampling.plane`.
        logits: float32 [k, k], of the discriminator at the centres of k x k equal squares, row by row from the bottom
            left.
        limit: the squares fill the plane from -limit to limit along both axes.
    """

    real: np.ndarray
    samples: np.ndarray
    pulls: np.ndarray
    logits: np.ndarray
    limit: float


def save(workdir: str | os.PathLike, step: int, frame: Frame) -> None:
    """Writes the frame of a step to `plane/<step>.npz` in a run's directory; raises a UserError on failure."""
    npz.save(pathlib.Path(workdir) / 'plane' / f'{step:08d}.npz', frame._asdict())


def frame_files(workdir: str | os.PathLike) -> list[tuple[int, pathlib.Path]]:
    """(step, file) of every frame of a run, in order; other files are skipped."""
    found = (pathlib.Path(workdir) / 'plane').glob('*.npz')
    return sorted((int(path.stem), path) for path in found if path.stem.isdigit())


def load(path: str | os.PathLike) -> Frame:
    """Reads the file of a frame.

    Raises:
        UserError: it is damaged, or contains something else.
    """
    try:
        arrays = npz.load(path)
        shapes = {name: arrays[name].shape for name in Frame._fields}
        fits = all(len(shapes[name]) == 2 and shapes[name][1] == 2 for name in ('real', 'samples', 'pulls'))
        side = len(arrays['logits'])
        fits = fits and shapes['samples'] == shapes['pulls'] and shapes['logits'] == (side, side)
        if not fits or shapes['limit'] != ():
            raise ValueError(f'its arrays have the shapes {shapes}')
        return Frame(**(arrays | {'limit': float(arrays['limit'])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is not a complete frame of a game in the plane and is skipped: delete it.') from error
