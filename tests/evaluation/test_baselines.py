"""Baselines of translation by hand."""

import numpy as np
import pytest

from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.baselines import baseline_errors, mean_colors, most_equal
from gan_jax.evaluation.l1 import l1

SIDE = 12


def pairs(inputs, targets):
    return Dataset('pairs', 'train', targets, None, None, 'p', inputs=inputs)


def plain(*values, channels=1):
    """One image of each grey value, uint8 [n, SIDE, SIDE, channels]."""
    return np.broadcast_to(np.uint8(values)[:, None, None, None], (len(values), SIDE, SIDE, channels))


def test_nearest_mean_and_copied_images_by_hand():
    known = pairs(plain(0, 100, 200), plain(10, 110, 240, channels=3))
    found = baseline_errors(plain(20, 250, channels=3), plain(40, 190), known)
    expected = {'l1_nearest': (10 + 10) / 2, 'l1_mean': (100 + 130) / 2, 'l1_copied': (20 + 60) / 2}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value / 255, rel=1e-9)
    assert found['psnr_nearest'].value == pytest.approx(20 * np.log10(255 / 10), rel=1e-9)
    assert found['ssim_nearest'].value > found['ssim_copied'].value
    assert found['l1_nearest'].rule.startswith('3 training pairs of pairs train, share of white')
    assert found['l1_copied'].rule.startswith('share of white')


def test_inputs_of_another_size_are_not_copied():
    known = pairs(plain(0, 100)[:, ::2, ::2], plain(10, 110))
    found = baseline_errors(plain(20), plain(40)[:, ::2, ::2], known)
    assert {name.split('_')[1] for name in found} == {'nearest', 'mean'}


def test_label_maps_are_compared_by_class_and_painted_in_the_mean_colour_of_each():
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 200, (3, 3))
    maps = rng.integers(0, 3, (5, SIDE, SIDE, 1)).astype(np.uint8)
    images = (colors[maps[..., 0]] + rng.integers(0, 2, maps.shape)).astype(np.uint8)
    queries = maps[[3, 1]].copy()
    queries[:, 0] = 0  # which of the classes differ does not matter: 2 is not farther from 0 than 1 is
    found = baseline_errors(images[[3, 1]], queries, pairs(maps, images), are_maps=True)
    assert found['l1_nearest'].value == 0
    assert 'psnr_nearest' not in found  # infinite
    assert 'psnr_mean' in found
    means = np.stack([images[maps[..., 0] == label].mean(0) for label in range(3)])
    painted = np.round(means).astype(np.uint8)[queries[..., 0]]
    assert found['l1_mean'].value == pytest.approx(l1(images[[3, 1]], painted).mean(), rel=1e-9)
    assert 'l1_copied' not in found


def test_the_most_equal_map_and_the_colour_of_a_class_without_pixels():
    known = np.uint8([[0, 1, 2, 2], [2, 1, 0, 0], [0, 0, 2, 2]]).reshape(3, 2, 2, 1)
    query = np.uint8([[0, 1, 1, 2], [0, 0, 1, 2]]).reshape(2, 2, 2, 1)
    np.testing.assert_array_equal(most_equal(query, known), [0, 2])
    colors = mean_colors(np.uint8([[[[10, 0], [20, 4]]]]), np.uint8([[[[0], [2]]]]))
    np.testing.assert_array_equal(colors[[0, 1, 2, 255]], [[10, 0], [15, 2], [20, 4], [15, 2]])


def test_data_without_pairs_are_refused():
    known = Dataset('portraits', 'train', plain(0, 1), None, None, 'p')
    with pytest.raises(UserError, match="baselines needs training pairs, and 'portraits' has none"):
        baseline_errors(plain(0), plain(0), known)
