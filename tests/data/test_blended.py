"""Images over patches."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import absolute_name, blended
from gan_jax.errors import UserError


@pytest.fixture
def pictures(tmp_path):
    """A folder of four pictures of one colour each."""
    for i, colour in enumerate(((10, 20, 30), (40, 50, 60), (70, 80, 90), (100, 110, 120))):
        Image.new('RGB', (20, 30), colour).save(tmp_path / f'{i}.png')
    return f'folder:{tmp_path}'


def test_the_blend_is_the_absolute_difference_in_each_channel():
    images = np.array([0, 255, 100, 7], np.uint8).reshape(1, 2, 2, 1)
    patches = np.array([[1, 2, 3], [4, 5, 6], [90, 100, 120], [8, 7, 0]], np.uint8).reshape(1, 2, 2, 3)
    wanted = [[1, 2, 3], [251, 250, 249], [10, 0, 20], [1, 0, 7]]
    np.testing.assert_array_equal(blended.blend(images, patches).reshape(4, 3), wanted)
    np.testing.assert_array_equal(blended.blend(patches, images).reshape(4, 3), wanted)


def test_patches_are_parts_of_pictures_at_all_places():
    pictures = np.arange(2 * 5 * 4 * 1, dtype=np.uint8).reshape(2, 5, 4, 1)
    patches = blended.crops(pictures, 500, 4, 3, np.random.default_rng(0))
    windows = np.lib.stride_tricks.sliding_window_view(pictures[..., 0], (4, 3), (1, 2)).reshape(-1, 4 * 3)
    found = {patch.tobytes() for patch in patches[..., 0]}
    assert found == {np.ascontiguousarray(window).tobytes() for window in windows}
    assert len(found) == 2 * 2 * 2


def test_a_texture_interpolates_between_random_corners():
    textures = blended.textures(2000, 8, 4, 3, np.random.default_rng(0))
    assert (textures.shape, textures.dtype) == ((2000, 8, 4, 3), np.uint8)
    corners = np.random.default_rng(0).integers(128, size=(2000, 5, 5, 3))
    np.testing.assert_array_equal(textures[:, ::2], corners[:, :4, :4])
    np.testing.assert_array_equal(textures[:, 1::2], (corners[:, :4, :4] + corners[:, 1:, :4]) // 2)


def test_digits_over_textures(load_quietly):
    digits, data = load_quietly('digits'), load_quietly('blended:digits')
    assert (data.name, data.shape, data.num_classes) == ('blended:digits', (8, 8, 3), 10)
    np.testing.assert_array_equal(data.labels, digits.labels)
    again, test, grey = (
        load_quietly('blended:digits', **options) for options in ({}, {'split': 'test'}, {'channels': 1})
    )
    np.testing.assert_array_equal(data.examples, again.examples)
    assert data.fingerprint == again.fingerprint
    assert len({data.fingerprint, test.fingerprint, grey.fingerprint, digits.fingerprint}) == 4
    assert grey.shape == (8, 8, 1)
    background = np.where(digits.examples == 0, data.examples.astype(float), np.nan)
    assert abs(np.nanmean(background) - 63) < 2  # there the texture is seen, elsewhere it is not
    assert not data.examples.flags.writeable


def test_splits_use_different_pictures(load_quietly, pictures):
    for split, colours in (('train', {10, 70}), ('train[:40]', {10, 70}), ('test', {40, 100})):
        digits = load_quietly('digits', split=split)
        data = load_quietly(f'blended:digits+{pictures}', split=split)
        seen = data.examples[..., 0][digits.examples[..., 0] == 0]
        assert set(np.unique(seen)) == colours
        whole = data.examples.astype(int)
        green = np.abs(digits.examples[..., 0].astype(int) - (whole[:, :1, :1, 0] + 10))
        assert (whole[..., 1] == green).all()


def test_one_picture_cannot_be_that_of_two_splits(load_quietly, tmp_path, write_image):
    write_image(tmp_path / '1.png', np.zeros((8, 8)))
    with pytest.raises(UserError, match="has one picture, which 'test' cannot share with the training split: add"):
        load_quietly(f'blended:digits+folder:{tmp_path}', split='test')


def test_names_from_every_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_name('blended:mnist') == 'blended:mnist'
    assert absolute_name('blended:folder:x+folder:y') == f'blended:folder:{tmp_path}/x+folder:{tmp_path}/y'


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('blended:', "'blended:' does not name its data sets: write blended:NAME, or blended:NAME\\+PATCHES"),
        ('blended:digits+', "'blended:digits\\+' does not name its data sets"),
        ('blended:+digits', "'blended:\\+digits' does not name its data sets"),
        ('blended:ring', "'ring' is a set of points, not of images"),
        ('blended:classes:digits:3:8', "'classes:digits:3:8' already has two domains"),
    ],
)
def test_sentences(load_quietly, name, sentence):
    with pytest.raises(UserError, match=f'^{sentence}'):
        load_quietly(name)


def test_images_larger_than_the_pictures_are_refused(load_quietly):
    with pytest.raises(UserError, match=r"the images of 'digits' are 200x200, larger than the pictures of 'digits'"):
        load_quietly('blended:digits+digits', split='train[:4]', size=200)
