"""Video files, written and read by ffmpeg from the package imageio-ffmpeg."""

import importlib.util
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

from gan_jax.errors import UserError

EXTENSIONS = ('.mp4', '.mov', '.webm', '.mkv', '.avi')


def require_ffmpeg(instead: str) -> None:
    """Raises a UserError where imageio-ffmpeg is not installed; `instead` says what works without it."""
    if importlib.util.find_spec('imageio_ffmpeg') is None:
        raise UserError(f"MP4 needs the package imageio-ffmpeg: run pip install 'gan_jax[video]', or {instead}.")


def encoded(frames: Sequence[np.ndarray], frames_per_second: float) -> bytes:
    """An MP4 file of frames.

    H.264, whose chroma has half the resolution: an odd side gets one more row or column.

    Args:
        frames: uint8 [H, W, 1 or 3], all of one size.
        frames_per_second: their rate.

    Raises:
        UserError: ffmpeg is missing, or fails.
    """
    require_ffmpeg('choose the format gif')
    height, width = frames[0].shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    pixels = [np.pad(np.broadcast_to(frame, (height, width, 3)), padding, mode='edge') for frame in frames]
    size = f'{width + width % 2}x{height + height % 2}'
    given = f'-f rawvideo -pix_fmt rgb24 -s {size} -r {frames_per_second:g} -i -'
    wanted = '-c:v libx264 -crf 20 -pix_fmt yuv420p -movflags +faststart'
    with tempfile.TemporaryDirectory() as directory:  # such a file cannot be written to a pipe
        file = pathlib.Path(directory, 'frames.mp4')
        arguments = [*given.split(), *wanted.split(), str(file)]
        done = _ffmpeg(arguments, b''.join(frame.tobytes() for frame in pixels))
        if done.returncode:
            raise UserError(f'ffmpeg could not write the animation ({done.stderr.decode().strip()}): choose gif.')
        return file.read_bytes()


def frames_of(path: str | os.PathLike) -> list[bytes]:
    """The frames of a video file, each as a PPM file in memory, upright.

    Raises:
        UserError: ffmpeg is missing, or cannot read the file.
    """
    return _split(_decoded(path, '-f image2pipe -c:v ppm -pix_fmt rgb24'))


def count_frames(path: str | os.PathLike) -> int:
    """The number of frames of a video file, which are not kept in memory; raises as `frames_of`."""
    return sum(not line.startswith(b'#') for line in _decoded(path, '-f framecrc').splitlines())


def _decoded(path: str | os.PathLike, form: str) -> bytes:
    """What ffmpeg writes of the frames of a video file, in a form of its options."""
    require_ffmpeg('save the clips as GIF or as directories of frames')
    done = _ffmpeg(['-i', f'file:{os.fspath(path)}', *f'-an -fps_mode passthrough {form} -'.split()])
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors='replace').strip().rpartition('\n')[2] or 'it has no frame'
        raise UserError(f'{os.fspath(path)!r} cannot be read as a video ({reason}): replace or remove it.')
    return done.stdout


def _split(stream: bytes) -> list[bytes]:
    """The files of a stream of PPM files, each "P6", width and height, 255, and the pixels."""
    found, start = [], 0
    while start < len(stream):
        _, size, _, _ = stream[start : start + 40].split(b'\n', 3)
        width, height = map(int, size.split())
        stop = stream.index(b'\n255\n', start) + 5 + 3 * width * height
        found.append(stream[start:stop])
        start = stop
    return found


def _ffmpeg(arguments: Sequence[str], given: bytes = b'') -> subprocess.CompletedProcess:
    import imageio_ffmpeg

    # Not by imageio_ffmpeg's own reader and writer, which fork this process, and so many threads in it.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False)
