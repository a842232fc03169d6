"""Grey images in colours."""

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.data.coloured import SIX, in_six_colours, six_colours
from gan_jax.errors import UserError


def test_each_image_is_the_product_of_its_grey_values_and_one_bright_colour():
    grey, data = load('digits'), load('coloured:digits')
    assert (data.name, data.shape, data.num_classes) == ('coloured:digits', (8, 8, 3), 10)
    np.testing.assert_array_equal(data.labels, grey.labels)
    brightest = data.examples.reshape(len(data), -1, 3).max(1) / grey.examples.reshape(len(grey), -1).max(1)[:, None]
    np.testing.assert_allclose(brightest.max(1), 1)
    np.testing.assert_allclose(data.examples, grey.examples * brightest[:, None, None], atol=1)
    assert brightest.std(0).min() > 0.2
    again, test = load('coloured:digits'), load('coloured:digits', split='test')
    np.testing.assert_array_equal(data.examples, again.examples)
    assert data.fingerprint == again.fingerprint
    assert test.fingerprint != data.fingerprint
    assert load('coloured:digits', size=16).shape == (16, 16, 3)


def test_six_colours_are_the_labels():
    data = load('six_colours:digits')
    assert data.class_names == SIX
    assert data.num_classes == 6
    np.testing.assert_array_equal(np.unique(data.labels), np.arange(6))
    white = np.full((200, 1, 1, 1), 255, np.uint8)
    images, numbers = in_six_colours(white, 'x')
    np.testing.assert_array_equal(images[:, 0, 0], np.round(255 * six_colours()[numbers]))
    by_hand = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]]
    np.testing.assert_allclose(six_colours(), by_hand, atol=1e-12)


def test_they_are_a_domain_beside_the_grey_ones():
    data = load('unpaired:digits,coloured:digits')
    assert data.shapes == {'real': (8, 8, 3), 'a': (8, 8, 1)}
    assert data.groups['a'].labels is not None


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('coloured:digits', {'channels': 1}, 'colours grey images, which makes 3 channels: set channels to None'),
        ('coloured:ring', {}, "'ring' is a set of points"),
        ('six_colours:coloured:digits', {}, 'colours grey images, which makes 3 channels'),
    ],
)
def test_what_is_not_grey_is_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        load(name, **options)
