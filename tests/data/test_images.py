"""Decoding of single images."""

import io

import numpy as np
import pytest
from PIL import Image

from gan_jax.data.images import decode


def encoded(image, image_format='png', **kwargs):
    file = io.BytesIO()
    image.save(file, image_format, **kwargs)
    file.seek(0)
    return file


RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def test_an_image_is_decoded_to_its_pixels():
    colour = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(colour)), size=None, channels=3), colour)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(RAMP)), size=None, channels=1), RAMP[..., None])


def test_grey_to_colour_and_back():
    colour = decode(encoded(Image.fromarray(RAMP)), size=None, channels=3)
    np.testing.assert_array_equal(colour, np.stack([RAMP] * 3, axis=-1))
    red = Image.new('RGB', (2, 2), (255, 0, 0))
    np.testing.assert_array_equal(decode(encoded(red), size=None, channels=1), 76)  # 0.299 * 255


def test_what_is_transparent_lies_over_white():
    image = Image.new('RGBA', (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 102))  # black, opacity 0.4
    np.testing.assert_array_equal(decode(encoded(image), size=None, channels=3)[0], [[255] * 3, [153] * 3])


def test_palette_with_and_without_transparency():
    image = Image.new('P', (2, 1), 1)
    image.putpalette([9, 8, 7, 10, 20, 30])
    image.putpixel((0, 0), 0)
    np.testing.assert_array_equal(decode(encoded(image), size=None, channels=3)[0], [[9, 8, 7], [10, 20, 30]])
    transparent = encoded(image, transparency=0)
    np.testing.assert_array_equal(decode(transparent, size=None, channels=3)[0], [[255] * 3, [10, 20, 30]])


def test_sixteen_bit_grey_is_scaled_not_clipped():
    image = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))
    np.testing.assert_array_equal(decode(encoded(image), size=None, channels=1)[0, :, 0], [0, 1, 128, 255])


def test_first_frame_of_an_animation():
    frames = [Image.new('RGB', (2, 2), colour) for colour in ('red', 'lime')]
    file = encoded(frames[0], 'gif', save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(file, size=None, channels=3)[0, 0], (255, 0, 0))


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to view
    array = decode(encoded(Image.fromarray(RAMP), exif=exif), size=None, channels=1)
    np.testing.assert_array_equal(array[..., 0], np.rot90(RAMP, -1))


def test_the_central_square_is_taken_before_resampling():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    wide[:, [1, 6]] = 90  # just outside the square: nothing of it may come in
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(wide)), size=2, channels=3), np.full((2, 2, 3), 200))
    tall = wide.transpose(1, 0, 2)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(tall)), size=3, channels=3), np.full((3, 3, 3), 200))


def test_shrinking_is_antialiased():
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = decode(encoded(Image.fromarray(checkerboard.astype(np.uint8))), size=8, channels=1)
    np.testing.assert_allclose(small, 127.5, atol=4)


def test_an_image_of_the_size_asked_for_is_left_alone():
    square = np.random.default_rng(0).integers(0, 256, (5, 5), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(square)), size=5, channels=1)[..., 0], square)


@pytest.mark.parametrize('cut', [10, 60, 100])
def test_a_cut_file_is_an_error(cut):
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))).getvalue()
    with pytest.raises((OSError, SyntaxError, ValueError)):
        decode(io.BytesIO(whole[:cut]), size=None, channels=3)
