"""Sliced Wasserstein distances: closed forms, scipy on each projection, and the published code."""

import json
import pathlib

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from gan_jax.errors import UserError
from gan_jax.evaluation.sliced_wasserstein import (
    laplacian_pyramid,
    projected_distances,
    sliced_wasserstein,
    upsampled,
)

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'swd.json').read_text())


def _images(seed: int, number: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Blocks of colour with noise."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 256, (number, (height + 3) // 4, (width + 3) // 4, channels))
    fine = 0.7 * coarse.repeat(4, 1).repeat(4, 2)[:, :height, :width]
    return np.clip(fine + random.randint(0, 77, fine.shape), 0, 255).astype(np.uint8)


def test_values_of_the_published_code():
    scores = sliced_wasserstein(_images(0, 6, 64, 64), _images(1, 6, 64, 64) // 2, seed=3)
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        {**GOLDEN['values'], 'mean': GOLDEN['mean']}, rel=1e-5
    )
    assert list(scores) == ['64', '32', '16', 'mean']


def test_pyramid_of_the_published_code():
    pyramid = laplacian_pyramid(_images(0, 6, 64, 64), 3)
    for level, mean, first in zip(pyramid, GOLDEN['pyramid_means'], GOLDEN['pyramid_first'], strict=True):
        assert np.abs(level).mean() == pytest.approx(mean, rel=1e-5)
        np.testing.assert_allclose(level[0, 0, 0], first, atol=1e-4)


@pytest.mark.parametrize('shape', [(32, 32), (45, 34)])
def test_pyramid_adds_up_to_the_images(shape):
    images = _images(0, 2, *shape)
    pyramid = laplacian_pyramid(images, 3)
    assert [level.shape[1] for level in pyramid] == [shape[0], -(-shape[0] // 2), -(-shape[0] // 4)]
    result = pyramid[-1]
    for level in pyramid[-2::-1]:
        result = level + upsampled(result, level.shape)
    np.testing.assert_allclose(result, images, atol=1e-4)


def test_pyramid_of_a_constant_has_only_its_last_level():
    fine, coarse = laplacian_pyramid(np.full((1, 16, 16, 1), 90, np.uint8), 2)
    np.testing.assert_allclose(fine, 0, atol=1e-4)
    np.testing.assert_allclose(coarse, 90, atol=1e-4)


@pytest.mark.parametrize(('size', 'levels'), [(8, ['pixels']), (28, ['pixels']), (40, ['40', '20'])])
def test_equal_sets_are_at_distance_zero(size, levels):
    images = _images(0, 5, size, size, 1)
    scores = sliced_wasserstein(images, images)
    assert list(scores) == [*levels, 'mean']
    assert all(score.value == score.error == 0 for score in scores.values())


def test_a_projection_is_the_wasserstein_distance_on_a_line():
    first, second = np.random.RandomState(0).standard_normal((2, 60, 4)) * [[[1.0]], [[2.0]]]
    directions = np.random.default_rng(7).standard_normal((20, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = [wasserstein_distance(first @ direction, second @ direction) for direction in directions]
    np.testing.assert_allclose(projected_distances(first, second, 20, 7), expected, rtol=1e-12)


def test_translation_by_a_vector():
    points = np.random.RandomState(0).standard_normal((50, 2))
    distances = projected_distances(points, points + np.array([3.0, 4.0]), 20_000)
    # The mean of |cos| over the circle is 2 / pi.
    assert distances.mean() == pytest.approx(5 * 2 / np.pi, abs=4 * distances.std() / 20_000**0.5)
    assert distances.max() == pytest.approx(5, rel=1e-4)


def test_pixels_brighter_by_a_constant():
    images = _images(0, 6, 8, 8, 1) // 2
    score = sliced_wasserstein(images, images + np.uint8(51))['pixels']
    # A shift of 0.2 in each of 64 pixels, times the mean of |cos| in 64 dimensions, about sqrt(2 / (pi 64)).
    assert score.value == pytest.approx(1000 * 0.2 * 8 * (2 / (np.pi * 64)) ** 0.5, abs=4 * score.error)
    assert score.rule == 'pixels in [0, 1], x1000, 6 images, 512 directions, seed 0'


def test_patches_are_blind_to_brightness_and_contrast_and_see_texture():
    real = _images(0, 12, 32, 32)
    dull = real // 2 + np.uint8(60)
    smooth = real.reshape(12, 8, 4, 8, 4, 3).mean((2, 4)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    dull_scores, smooth_scores = (sliced_wasserstein(real, fake, num_directions=64) for fake in (dull, smooth))
    for level in ('32', '16'):
        assert 8 * dull_scores[level].value < smooth_scores[level].value
    assert smooth_scores['32'].value > 1.5 * smooth_scores['16'].value, 'noise is of the finest level'


def test_sets_of_different_sizes_are_sampled_by_the_seed():
    real, fake = _images(0, 9, 16, 16, 1), _images(1, 6, 16, 16, 1)
    first = sliced_wasserstein(real, fake, seed=1)['mean']
    assert first == sliced_wasserstein(real, fake, seed=1)['mean']
    assert first.value != sliced_wasserstein(real, fake, seed=2)['mean'].value
    assert '6 images' in first.rule
    assert '4 images' in sliced_wasserstein(real, fake, max_images=4)['mean'].rule
    assert sliced_wasserstein(real, real, max_images=4)['mean'].value == 0


def test_the_rule_names_the_constants():
    images = _images(0, 2, 32, 32)
    scores = sliced_wasserstein(images, images, num_directions=8)
    assert scores['32'].rule == ('128 patches 7x7 of the Laplacian pyramid, x1000, 2 images, 8 directions, seed 0')
    assert scores['mean'].rule.startswith('mean of levels 32, 16; 128 patches')


def test_constant_images_are_zero_everywhere():
    black = np.zeros((3, 32, 32, 1), np.uint8)
    scores = sliced_wasserstein(black, black + np.uint8(201))
    assert [score.value for score in scores.values()] == [0, 0, 0]


def test_unfit_input():
    images = _images(0, 2, 8, 8)
    with pytest.raises(UserError, match='The fake images are float64'):
        sliced_wasserstein(images, images / 255)
    with pytest.raises(UserError, match='convert both to the same size'):
        sliced_wasserstein(images, images[:, :4])
    with pytest.raises(UserError, match='The number of images is 0; it must be at least 1'):
        sliced_wasserstein(images, images, max_images=0)
    with pytest.raises(UserError, match='The number of second points is 3; it must be 4, as of the first'):
        projected_distances(np.zeros((4, 2)), np.zeros((3, 2)))
