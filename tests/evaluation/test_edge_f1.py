"""F1 of edge pixels: closed forms, pairs of `edges:NAME`, and the metric of two sets of images."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data.computed import luma
from gan_jax.data.edges import canny, sigma_of
from gan_jax.errors import UserError
from gan_jax.evaluation.edge_f1 import agreement, detected, edge_f1, mean_edge_f1


def lines(*rows, size=8):
    """A picture [1, size, size] with edges in these rows."""
    picture = np.zeros((1, size, size), bool)
    picture[:, list(rows)] = True
    return picture


def steps(*rows, size=16, channels=1):
    """Images [n, size, size, channels], black above a row and white from it on: one for each row."""
    image = np.arange(size)[:, None, None] >= np.asarray(rows)[:, None, None, None]
    return np.broadcast_to(image * np.uint8(255), (len(rows), size, size, channels))


@pytest.mark.parametrize(
    ('found', 'wanted', 'expected'),
    [
        (lines(2), lines(2), 1),
        (lines(3), lines(2), 1),  # within a pixel
        (lines(4), lines(2), 0),  # two pixels away
        (lines(2, 6), lines(2), 2 / 3),  # precision 1/2, recall 1
        (lines(2), lines(2, 4, 7), 1 / 2),  # precision 1, recall 1/3
        (lines(0), lines(7), 0),  # opposite borders are not neighbours
        (lines(), lines(2), 0),
        (lines(2), lines(), 0),
        (lines(), lines(), 1),
    ],
)
def test_agreement_in_closed_form(found, wanted, expected):
    np.testing.assert_allclose(agreement(found, wanted), [expected])


def test_agreement_is_of_each_picture_and_has_a_tolerance():
    found, wanted = np.concatenate([lines(4), lines(2)]), np.concatenate([lines(2), lines(2)])
    np.testing.assert_allclose(agreement(found, wanted), [0, 1])
    np.testing.assert_allclose(agreement(found, wanted, tolerance=2), [1, 1])


@pytest.mark.parametrize('channels', [1, 3])
def test_steps_agree_up_to_one_row(channels):
    x, y = (steps(*rows, channels=channels) for rows in ([5, 5, 5], [5, 6, 7]))
    np.testing.assert_array_equal(edge_f1(x, y), [1, 1, 0])
    np.testing.assert_array_equal(edge_f1(x, y, tolerance=2), 1)


def test_the_edges_of_targets_are_their_inputs():
    pairs = data.load('edges:digits', split='test', size=32)
    images = np.asarray(pairs.examples)
    np.testing.assert_array_equal(detected(images), np.asarray(pairs.inputs)[..., 0] > 0)
    np.testing.assert_array_equal(edge_f1(images, images, tolerance=0), 1)


def test_all_batches_of_colours_have_the_edges_of_their_luma():
    images = np.random.RandomState(0).randint(0, 256, (70, 12, 12, 3)).astype(np.uint8)
    edges = canny(luma(images), sigma_of(12, 12)) > 0
    np.testing.assert_allclose(edge_f1(images, images[::-1]), agreement(edges, edges[::-1]))


def test_means_have_standard_errors_and_the_level_of_chance():
    x, y = steps(5, 8, 11), steps(5, 12, 12)
    found = mean_edge_f1(x, y)
    assert found['edge_f1'].value == pytest.approx(2 / 3)
    assert found['edge_f1'].error == pytest.approx(np.std([1, 0, 1], ddof=1) / np.sqrt(3))
    assert found['edge_f1_chance'].value == pytest.approx(1 / 3)  # rows 12, 5 and 12 beside 5, 8 and 11
    assert 'Canny' in found['edge_f1'].rule
    assert list(mean_edge_f1(x[:1], y[:1])) == ['edge_f1']


def test_images_that_are_not_pairs_get_one_sentence():
    with pytest.raises(UserError, match='there are 2 and 3: give the same number of both'):
        edge_f1(steps(5, 5), steps(5, 5, 5))
