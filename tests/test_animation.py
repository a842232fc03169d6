"""Animations, read back."""

import importlib.util
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gan_jax.errors import UserError
from gan_jax.sampling import animation

FRAMES = [np.full((11, 21, 1), value, np.uint8) for value in (0, 100, 200)]
HAS_FFMPEG = importlib.util.find_spec('imageio_ffmpeg') is not None


def test_a_gif_has_all_frames_at_their_times(tmp_path):
    animation.save_animation(tmp_path / 'walk.gif', FRAMES, hold=1.0)
    with Image.open(tmp_path / 'walk.gif') as gif:
        frames = [
            (frame.convert('L').getpixel((3, 3)), frame.info['duration']) for frame in ImageSequence.Iterator(gif)
        ]
        assert frames == [(0, 50), (100, 50), (200, 1000)]
        assert gif.size == (21, 11)


@pytest.mark.skipif(not HAS_FFMPEG, reason='needs imageio-ffmpeg')
def test_an_mp4_has_all_frames_and_even_sides(tmp_path):
    import imageio_ffmpeg

    animation.save_animation(tmp_path / 'walk.mp4', FRAMES, hold=0.1)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-i', tmp_path / 'walk.mp4', '-f', 'rawvideo', '-pix_fmt', 'gray', '-']
    done = subprocess.run(command, capture_output=True, check=True)
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 12, 22)
    np.testing.assert_allclose(frames[:, 5, 10], [0, 100, 200, 200], atol=3)
    assert b'20 fps' in done.stderr


def test_what_cannot_be_written_is_said(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"There is no format 'avi' for animations: choose gif or mp4\."):
        animation.save_animation(tmp_path / 'walk.avi', FRAMES)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match=r"MP4 needs the package imageio-ffmpeg: run pip install 'gan_jax\[video\]'"):
        animation.save_animation(tmp_path / 'walk.mp4', FRAMES)
