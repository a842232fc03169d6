"""Animations as GIF or MP4 files."""

import importlib.util
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

from gan_jax.errors import UserError
from gan_jax.records import files, report

FRAMES_PER_SECOND = 20


def check_format(name: str) -> None:
    """Raises a UserError unless animations of this format can be written here."""
    if name not in ('gif', 'mp4'):
        raise UserError(f'There is no format {name!r} for animations: choose gif or mp4.')
    if name == 'mp4' and importlib.util.find_spec('imageio_ffmpeg') is None:
        raise UserError(
            "MP4 needs the package imageio-ffmpeg: run pip install 'gan_jax[video]', or choose the format gif."
        )


def save_animation(path: str | os.PathLike, frames: Sequence[np.ndarray], *, hold: float | None = None) -> None:
    """Writes frames atomically, at 20 per second, as GIF or MP4 according to the path's suffix, .gif or .mp4.

    Args:
        path: the file.
        frames: uint8 [H, W, 1 or 3], all of one size.
        hold: seconds that the last frame is shown; None: as long as the others.

    Raises:
        UserError: as `check_format`, or the file cannot be written.
    """
    path = pathlib.Path(path)
    check_format(path.suffix[1:])
    seconds = 1 / FRAMES_PER_SECOND
    hold = seconds if hold is None else hold
    if path.suffix == '.gif':
        size = max(frames[0].shape)
        report.save_animation(path, frames, max_frames=len(frames), max_size=size, seconds=seconds, hold=hold)
    else:
        frames = [*frames, *[frames[-1]] * (round(hold / seconds) - 1)]
        files.replace(path, _mp4(frames))


def _mp4(frames: Sequence[np.ndarray]) -> bytes:
    """H.264, whose chroma has half the resolution: an odd side gets one more row or column."""
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    pixels = [np.pad(np.broadcast_to(frame, (height, width, 3)), padding, mode='edge') for frame in frames]
    size = f'{width + width % 2}x{height + height % 2}'
    given = f'-f rawvideo -pix_fmt rgb24 -s {size} -r {FRAMES_PER_SECOND} -i -'
    wanted = '-c:v libx264 -crf 20 -pix_fmt yuv420p -movflags +faststart'
    with tempfile.TemporaryDirectory() as directory:  # such a file cannot be written to a pipe
        file = pathlib.Path(directory, 'frames.mp4')
        # Not by imageio_ffmpeg's own writer, which forks this process, and so many threads in it.
        command = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', *given.split(), *wanted.split(), str(file)]
        done = subprocess.run(
            command, input=b''.join(frame.tobytes() for frame in pixels), capture_output=True, check=False
        )
        if done.returncode:
            raise UserError(f'ffmpeg could not write the animation ({done.stderr.decode().strip()}): choose gif.')
        return file.read_bytes()
