"""Resizing for Inception: hand-computed values, PIL itself, and PyTorch's rule written out."""

import jax
import numpy as np
import PIL.Image
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.features import resize


def noise(height, width, channels=3, count=1):
    return np.random.RandomState(0).randint(0, 256, (count, height, width, channels)).astype(np.uint8)


def linear(images, coordinates_y, coordinates_x):
    """Bilinear interpolation in float64 at the given coordinates, which are clamped to the image; in [0, 255]."""

    def along(array, coordinates, axis):
        coordinates = np.clip(coordinates, 0, array.shape[axis] - 1)
        lower = np.floor(coordinates).astype(int)
        upper = np.minimum(lower + 1, array.shape[axis] - 1)
        share = np.expand_dims(coordinates - lower, [1, 2] if axis == 1 else [1])
        return np.take(array, lower, axis) * (1 - share) + np.take(array, upper, axis) * share

    return along(along(images.astype(np.float64), coordinates_y, 1), coordinates_x, 2)


def pil(image, mode, kernel):
    """PIL's resize of one image [H, W, C] to 299x299, channel by channel."""
    channels = [PIL.Image.fromarray(channel.astype(mode)) for channel in np.moveaxis(image, 2, 0)]
    return np.stack([np.asarray(channel.resize((299, 299), kernel)) for channel in channels], axis=2)


def test_tf1_by_hand_on_two_pixels():
    """Coordinate t of 299 looks at 2 t / 299: from the first pixel to the second at t = 149.5, and there it stays."""
    matrix = resize.tf1_matrix(2)
    np.testing.assert_allclose(matrix[[0, 1, 149]], [[1, 0], [297 / 299, 2 / 299], [1 / 299, 298 / 299]], atol=1e-7)
    np.testing.assert_array_equal(matrix[150:], np.tile([0, 1], (149, 1)))


@pytest.mark.parametrize(('height', 'width'), [(28, 33), (299, 299), (5, 640)])
def test_tf1_is_bilinear_without_half_pixel_centres(height, width):
    images = noise(height, width)
    points = np.arange(299, dtype=np.float32)
    expected = linear(images, points * np.float32(height / 299), points * np.float32(width / 299))
    np.testing.assert_allclose(resize.tf1(images), (expected - 128) / 128, atol=2e-6)


def test_pytorch_fid_is_bilinear_between_centres():
    images = noise(28, 330)
    centres, half = np.arange(299, dtype=np.float32) + np.float32(0.5), np.float32(0.5)
    expected = linear(images, centres * np.float32(28 / 299) - half, centres * np.float32(330 / 299) - half)
    np.testing.assert_allclose(resize.pytorch_fid(images), 2 * expected / 255 - 1, atol=2e-6)


@pytest.mark.parametrize(('height', 'width'), [(28, 40), (299, 301), (610, 350)])
@pytest.mark.parametrize(
    ('matrix', 'kernel'),
    [(resize.bicubic_matrix, PIL.Image.BICUBIC), (resize.bilinear_matrix, PIL.Image.BILINEAR)],
    ids=['bicubic', 'bilinear'],
)
def test_antialiased_matrices_are_those_of_pil(height, width, matrix, kernel):
    image = noise(height, width, 1)[0]
    resized = matrix(height) @ image[:, :, 0].astype(np.float64) @ matrix(width).T
    np.testing.assert_allclose(resized, pil(image, np.float32, kernel)[:, :, 0], atol=1e-4)


def test_clean_clips_what_bicubic_overshoots():
    image = noise(32, 24)
    expected = pil(image[0], np.float32, PIL.Image.BICUBIC)
    assert expected.max() > 255
    assert expected.min() < 0
    np.testing.assert_allclose(resize.clean(image)[0], (expected.clip(0, 255) - 128) / 128, atol=2e-6)


def test_friendly_is_pil_bilinear_in_float():
    image = noise(320, 24)
    expected = pil(image[0], np.float32, PIL.Image.BILINEAR)
    np.testing.assert_allclose(resize.friendly(image)[0], 2 * expected / 255 - 1, atol=2e-6)


# Pillow 13 turns to the height first for the last three.
@pytest.mark.parametrize(
    ('height', 'width'), [(32, 24), (310, 299), (299, 40), (298, 20), (341, 320), (342, 320), (320, 240), (900, 20)]
)
def test_pil_uint8_is_pil_bit_for_bit(height, width):
    """One axis at a time, whose order is then given; at once, in the order of the version that is installed."""
    image = noise(height, width, 1)
    by_rows = PIL.Image.fromarray(image[0, :, :, 0]).resize((299, height), PIL.Image.BICUBIC)
    expected = np.asarray(by_rows.resize((299, 299), PIL.Image.BICUBIC))
    np.testing.assert_array_equal(128 * np.asarray(resize.pil_uint8(image)[0, :, :, 0]) + 128, expected)
    rule = resize.pil13_uint8 if int(PIL.__version__.split('.')[0]) >= 13 else resize.pil_uint8
    expected = pil(image[0], np.uint8, PIL.Image.BICUBIC)[:, :, 0]
    np.testing.assert_array_equal(128 * np.asarray(rule(image)[0, :, :, 0]) + 128, expected)


@pytest.mark.parametrize(('height', 'width', 'differ'), [(341, 320, False), (342, 320, True), (320, 240, True)])
def test_pillow_13_resizes_tall_images_in_another_order(height, width, differ):
    image = noise(height, width, 1)
    old, new = resize.pil_uint8(image), resize.pil13_uint8(image)
    assert (np.abs(old - new).max() > 0) == differ
    if differ:
        turned = resize.pil_uint8(image.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
        np.testing.assert_array_equal(new, turned)


@pytest.mark.parametrize('rule', resize.RESIZES)
def test_every_rule_repeats_greys_and_can_be_traced(rule):
    grey = noise(28, 28, 1)
    function = resize.RESIZES[rule]
    resized = jax.eval_shape(function, jax.ShapeDtypeStruct((4, 28, 20, 1), np.uint8))
    assert (resized.shape, resized.dtype) == ((4, 299, 299, 3), np.float32)
    np.testing.assert_array_equal(function(grey), function(np.repeat(grey, 3, axis=3)))


@pytest.mark.parametrize('rule', resize.RESIZES)
def test_arrays_of_jax_are_resized_as_those_of_numpy(rule):
    images, function = noise(28, 330), resize.RESIZES[rule]
    compiled, hosted = jax.jit(function)(images), function(images)
    assert isinstance(hosted, np.ndarray)
    assert hosted.dtype == compiled.dtype == np.float32
    np.testing.assert_allclose(compiled, hosted, rtol=0, atol=0 if rule.endswith('uint8') else 2e-6)


@pytest.mark.parametrize('rule', resize.RESIZES)
def test_a_plain_image_stays_plain(rule):
    low, high = (float(resize.RESIZES[rule](np.full((1, 7, 400, 1), value, np.uint8)).mean()) for value in (0, 255))
    assert low == pytest.approx(-1, abs=1e-6)
    assert high == pytest.approx(1 if rule in ('friendly', 'pytorch-fid') else 127 / 128, abs=1e-6)


@pytest.mark.parametrize('rule', resize.RESIZES)
def test_only_rules_without_rounding_take_floats(rule):
    images = noise(8, 8)
    if rule.endswith('uint8'):
        with pytest.raises(UserError, match='rounds to bytes and takes uint8 images, not float32'):
            resize.RESIZES[rule](images.astype(np.float32))
    else:
        np.testing.assert_array_equal(resize.RESIZES[rule](images.astype(np.float32)), resize.RESIZES[rule](images))


@pytest.mark.parametrize(
    'images', [np.zeros((2, 8, 8, 3), np.int32), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8, 4), np.uint8)]
)
def test_other_images_are_refused(images):
    with pytest.raises(UserError, match=r'Inception takes uint8 images \[n, H, W, 1 or 3\], not (int32|uint8) \['):
        resize.tf1(images)
