"""Decoding of single images."""

import io
import pathlib
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gan_jax.data.images import decode, open_image, unreadable
from gan_jax.errors import UserError


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


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'CMYK', 'I;16'])
def test_a_turned_tiff_without_compression_is_turned_upright(mode, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RAMP.astype(np.uint16) * 257) if mode == 'I;16' else Image.fromarray(RAMP).convert('RGB')
    image.convert(mode).save(tmp_path / 'turned.tif', exif=exif)
    array = decode(str(tmp_path / 'turned.tif'), size=None, channels=1)
    np.testing.assert_array_equal(array[..., 0], np.rot90(RAMP, -1))


def exif_entry(tag, kind, count, value):
    """A little-endian entry of an EXIF directory; kinds: 2 text, 3 uint16, 5 rational, 12 double."""
    return struct.pack('<HHI4s', tag, kind, count, value)


UPRIGHT = exif_entry(0x0112, 3, 1, struct.pack('<I', 6))
FAR_AWAY = struct.pack('<I', 2**31)


@pytest.mark.parametrize(
    ('entries', 'turned'),
    [
        ([UPRIGHT, exif_entry(0x010E, 12, 3, FAR_AWAY)], True),
        ([UPRIGHT, exif_entry(0x011A, 5, 1, FAR_AWAY)], True),
        ([UPRIGHT, exif_entry(0x8769, 3, 1, FAR_AWAY)], True),
        ([exif_entry(0x0112, 2, 2, b'6\0\0\0')], False),
        ([exif_entry(0x0112, 3, 2, struct.pack('<HH', 6, 6))], True),
        ([exif_entry(0x0112, 12, 1, FAR_AWAY)], False),
    ],
)
@pytest.mark.parametrize('image_format', ['png', 'webp', 'jpeg'])
@pytest.mark.filterwarnings('ignore::UserWarning')  # Pillow's, of the damage
def test_damaged_metadata_never_refuse_an_image(entries, turned, image_format):
    exif = b'Exif\0\0II*\0' + struct.pack('<IH', 8, len(entries)) + b''.join(entries) + bytes(4)
    options = {'lossless': True} if image_format == 'webp' else {}
    array = decode(encoded(Image.fromarray(RAMP), image_format, exif=exif, **options), size=None, channels=1)[..., 0]
    np.testing.assert_allclose(array, np.rot90(RAMP, -1) if turned else RAMP, atol=8 if image_format == 'jpeg' else 0)


def test_metadata_that_are_no_exif_turn_nothing():
    file = encoded(Image.fromarray(RAMP), exif=b'Exif\0\0nonsense')
    np.testing.assert_array_equal(decode(file, size=None, channels=1)[..., 0], RAMP)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_photograph_whose_exif_pillow_cannot_write_again_is_read_and_turned():
    array = decode(str(pathlib.Path(__file__).with_name('exif_struct_error.jpg')), size=None, channels=3)
    assert array.shape == (24, 16, 3)  # stored as 16 high and 24 wide


def test_large_metadata_never_refuse_an_image():
    text = PngImagePlugin.PngInfo()
    text.add_text('workflow', 'x' * 3_000_000, zip=True)
    for options in ({'pnginfo': text}, {'icc_profile': bytes(3_000_000)}):
        np.testing.assert_array_equal(
            decode(encoded(Image.fromarray(RAMP), **options), size=None, channels=1)[..., 0], RAMP
        )


def test_tiff_is_read_with_its_orientation_compression_and_16_bits():
    exif = Image.Exif()
    exif[0x0112] = 6
    for options in ({}, {'compression': 'tiff_lzw'}):
        file = encoded(Image.fromarray(RAMP), 'tiff', exif=exif, **options)
        np.testing.assert_array_equal(decode(file, size=None, channels=1)[..., 0], np.rot90(RAMP, -1))
    deep = encoded(Image.fromarray(np.array([[0, 256, 65535]], np.uint16)), 'tiff')
    np.testing.assert_array_equal(decode(deep, size=None, channels=1)[0, :, 0], [0, 1, 255])


def test_portable_maps_are_scaled_to_their_white():
    def values(header, numbers, channels):
        return decode(io.BytesIO(header + np.array(numbers, '>u2').tobytes()), size=None, channels=channels).tolist()

    assert values(b'P5 3 1 65535\n', [0, 256, 65535], 1) == [[[0], [1], [255]]]
    assert values(b'P5 2 1 4095\n', [0, 4095], 1) == [[[0], [255]]]
    assert values(b'P6 1 1 65535\n', [0, 32768, 65535], 3) == [[[0, 128, 255]]]
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(RAMP), 'ppm'), size=None, channels=1)[..., 0], RAMP)


@pytest.mark.parametrize('dtype', [np.int32, np.float32])
def test_32_bits_a_value_have_no_white_and_are_refused(dtype):
    file = encoded(Image.fromarray(np.array([[0, 1]], dtype)), 'tiff')
    with pytest.raises(ValueError, match='32 bits per value'):
        decode(file, size=None, channels=1)


def test_an_npy_is_an_image(tmp_path):
    colour = np.stack([RAMP] * 3, axis=-1)
    for array, channels in ((RAMP, 1), (RAMP[..., None], 1), (colour, 3)):
        np.save(tmp_path / 'a.npy', array)
        np.testing.assert_array_equal(
            decode(str(tmp_path / 'a.npy'), size=None, channels=channels), array.reshape(4, 6, channels)
        )
    np.save(tmp_path / 'a.npy', RAMP / 255)
    with pytest.raises(ValueError, match=r'an \.npy image must be uint8 .*, not float64\[4, 6\]'):
        decode(str(tmp_path / 'a.npy'), size=None, channels=1)


def test_the_size_that_an_image_may_have_is_set_in_the_environment(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 4)
    with pytest.raises(Image.DecompressionBombError) as caught:
        decode(encoded(Image.fromarray(RAMP)), size=None, channels=1)
    sentence = str(unreadable("'a.png'", caught.value))
    assert sentence.startswith("'a.png' is very large (Image size (24 pixels) exceeds limit of 8 pixels")
    assert sentence.endswith('or raise the limit by the environment variable GAN_JAX_MAX_PIXELS.')
    monkeypatch.setenv('GAN_JAX_MAX_PIXELS', '24')
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(RAMP)), size=None, channels=1)[..., 0], RAMP)
    monkeypatch.setenv('GAN_JAX_MAX_PIXELS', 'many')
    with pytest.raises(UserError, match="GAN_JAX_MAX_PIXELS is 'many': set it to the largest number of pixels"):
        open_image(encoded(Image.fromarray(RAMP)))


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
