"""Arrays that are not a set of images raise an error with a remedy."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.images import images_array


def test_fit_images_come_back_as_they_are():
    images = np.zeros((2, 4, 5, 3), np.uint8)
    assert images_array(images) is images
    assert images_array(images[..., :1]).shape == (2, 4, 5, 1)


@pytest.mark.parametrize(
    ('images', 'sentence'),
    [
        (
            np.array([-1.0, 1.0]),
            r'are float64 in \[-1, 1\]; metrics take uint8 in \[0, 255\]: convert by gan_jax.data.to',
        ),
        (np.array([0.0, 200.0], np.float32), r'are float32 in \[0, 200\]; .* by images.round\(\).astype\(uint8\)'),
        (np.array([3, 700]), r'are int64 in \[3, 700\]; .*: scale and clip to that range'),
        (np.array([0.5, np.nan]), 'are float64 with NaN or infinite values; .*: check the source of these images'),
        (np.array(['a.png']), r'are <U5; metrics take uint8 in \[0, 255\]\.'),
    ],
)
def test_wrong_types_and_ranges(images, sentence):
    with pytest.raises(UserError, match='The fakes ' + sentence):
        images_array(images, 'The fakes')


@pytest.mark.parametrize(
    ('shape', 'sentence'),
    [
        ((2, 3, 8, 8), r'\[2, 3, 8, 8\]; .*: move the channels to the end with images.transpose\(0, 2, 3, 1\)'),
        ((2, 8, 8), r'\[2, 8, 8\]; .*: add a last axis to grey'),
        ((0, 8, 8, 3), r'\[0, 8, 8, 3\]; metrics take \[n, H, W, 1 or 3\], at least one image'),
        ((2, 8, 8, 4), r'\[2, 8, 8, 4\]'),
    ],
)
def test_wrong_shapes(shape, sentence):
    with pytest.raises(UserError, match='The fakes have shape ' + sentence):
        images_array(np.zeros(shape, np.uint8), 'The fakes')


def test_images_of_different_shapes():
    with pytest.raises(UserError, match=r'^The fakes are not an array, because they differ in shape: give one array'):
        images_array([np.zeros((2, 3)), np.zeros((3, 3))], 'The fakes')
