"""Animations as GIF or MP4 files."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from gan_jax.errors import UserError
from gan_jax.records import files, report, video

FRAMES_PER_SECOND = 20


def check_format(name: str) -> None:
    """Raises a UserError unless animations of this format can be written here."""
    if name not in ('gif', 'mp4'):
        raise UserError(f'There is no format {name!r} for animations: choose gif or mp4.')
    if name == 'mp4':
        video.require_ffmpeg('choose the format gif')


def save_animation(
    path: str | os.PathLike,
    frames: Sequence[np.ndarray],
    *,
    hold: float | None = None,
    frames_per_second: float = FRAMES_PER_SECOND,
) -> None:
    """Writes frames atomically, as GIF or MP4 according to the path's suffix, .gif or .mp4.

    Args:
        path: the file.
        frames: uint8 [H, W, 1 or 3], all of one size.
        hold: seconds that the last frame is shown; None: as long as the others.
        frames_per_second: their rate.

    Raises:
        UserError: as `check_format`, or the file cannot be written.
    """
    path = pathlib.Path(path)
    check_format(path.suffix[1:])
    seconds = 1 / frames_per_second
    hold = seconds if hold is None else hold
    if path.suffix == '.gif':
        size = max(frames[0].shape)
        report.save_animation(path, frames, max_frames=len(frames), max_size=size, seconds=seconds, hold=hold)
    else:
        frames = [*frames, *[frames[-1]] * (round(hold / seconds) - 1)]
        files.replace(path, video.encoded(frames, frames_per_second))
