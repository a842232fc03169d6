"""MS-SSIM: closed forms, and the published code; diversity of sets that are known."""

import json
import pathlib

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.ms_ssim import WEIGHTS, ms_ssim, ms_ssim_diversity

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'ms_ssim.json').read_text())['values']


def _images(seed: int, number: int, side: int, channels: int) -> np.ndarray:
    """Blocks of colour with noise."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 256, (number, (side + 3) // 4, (side + 3) // 4, channels))
    fine = 0.7 * coarse.repeat(4, 1).repeat(4, 2)[:, :side, :side]
    return np.clip(fine + random.randint(0, 77, fine.shape), 0, 255).astype(np.uint8)


def _pair(side: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    first, other = (_images(seed, 3, side, channels) for seed in (0, 1))
    return first, np.clip(0.6 * first + 0.4 * other, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(('side', 'channels'), [(192, 1), (64, 3), (32, 1), (45, 1)])
def test_values_of_the_published_code(side, channels):
    values = ms_ssim(*_pair(side, channels))
    np.testing.assert_allclose(values, GOLDEN[f'{side}x{side}x{channels}'], rtol=3e-6)
    if side == 192:
        np.testing.assert_allclose(values, GOLDEN['pytorch_msssim 192x192x1'], rtol=3e-6)


def test_constant_images_differ_in_luminance_alone():
    dark, light = (np.full((1, 28, 28, 1), level, np.uint8) for level in (60, 180))
    c1 = 2.55**2
    luminance = (2 * 60 * 180 + c1) / (60**2 + 180**2 + c1)
    assert ms_ssim(dark, light) == pytest.approx(luminance ** WEIGHTS[-1], rel=1e-5)


def test_equal_images_have_one_and_pairs_may_be_swapped():
    first, second = _pair(32, 1)
    np.testing.assert_allclose(ms_ssim(first, first), 1, rtol=1e-6)
    np.testing.assert_allclose(ms_ssim(first, second), ms_ssim(second, first), rtol=1e-6)


def test_negatives_have_no_similarity_but_a_defined_one():
    first = _images(0, 3, 32, 1)
    np.testing.assert_array_equal(ms_ssim(first, 255 - first), 0)


def test_more_pairs_than_a_batch():
    first, second = _images(0, 70, 32, 1), _images(1, 70, 32, 1)
    values = ms_ssim(first, second)
    assert values.shape == (70,)
    np.testing.assert_allclose(values[64:], ms_ssim(first[64:], second[64:]), rtol=1e-6)


def test_floats_in_the_same_range_are_taken_as_they_are():
    first, second = _pair(32, 1)
    np.testing.assert_array_equal(ms_ssim(first.astype(np.float32), second), ms_ssim(first, second))


def test_diversity_is_the_mean_over_pairs():
    images = _images(0, 2, 32, 1)
    value, error, rule = ms_ssim_diversity(images, pairs=20)
    assert value == pytest.approx(ms_ssim(images[:1], images[1:])[0], rel=1e-6)
    assert error is None, 'two images are one pair'
    assert rule == (
        'five scales, window of 11 pixels or the smaller side, 20 pairs of any two of 2 images, seed 0, '
        'bound of the standard error over pairs that share images'
    )


def test_collapse_has_one_and_diverse_images_less():
    images = _images(0, 30, 32, 1)
    assert ms_ssim_diversity(np.repeat(images[:1], 30, axis=0), pairs=40).value == pytest.approx(1, rel=1e-6)
    diverse = ms_ssim_diversity(images, pairs=100)
    assert diverse.value < 0.5
    assert 0 < diverse.error < 0.1
    assert diverse == ms_ssim_diversity(images, pairs=100)
    assert diverse.value != ms_ssim_diversity(images, pairs=100, seed=1).value


def test_labels_pair_images_of_a_class():
    two = _images(0, 2, 32, 1)
    labels = np.arange(24) % 3 % 2  # 16 of class 0, 8 of class 1
    images = two[labels]
    assert ms_ssim_diversity(images, pairs=60, labels=labels).value == pytest.approx(1, rel=1e-6)
    assert ms_ssim_diversity(images, pairs=60).value < 0.9
    lonely = np.concatenate([images, 255 - two[:1]])
    assert ms_ssim_diversity(lonely, pairs=60, labels=[*labels, 7]).value == pytest.approx(1, rel=1e-6)


def test_a_small_class_makes_the_mean_uncertain_and_a_lonely_image_does_not_help():
    images = _images(0, 25, 32, 1)
    even, uneven = np.arange(24) % 2, np.arange(24) // 22
    errors = [ms_ssim_diversity(images[:24], pairs=60, labels=labels).error for labels in (even, uneven)]
    assert errors[1] > errors[0]
    assert ms_ssim_diversity(images, pairs=60, labels=[*uneven, 7]).error == errors[1]


def test_unfit_input():
    images = _images(0, 3, 32, 1)
    with pytest.raises(UserError, match=r'The first images are float64 in \[-1, 1\]; MS-SSIM takes .* in \[0, 255\]'):
        ms_ssim(np.array([-1.0, 1]).reshape(1, 2, 1, 1), images[:1])
    with pytest.raises(UserError, match="The second images' shape is"):
        ms_ssim(images, images[:2])
    with pytest.raises(UserError, match=r'The second images are float32 in \[nan, nan\]'):
        ms_ssim(images, np.full(images.shape, np.nan, np.float32))
    with pytest.raises(UserError, match='No two of 1 images can be paired'):
        ms_ssim_diversity(images[:1])
    with pytest.raises(UserError, match='No two of 3 images can be paired'):
        ms_ssim_diversity(images, labels=[0, 1, 2])
    with pytest.raises(UserError, match=r"The labels' shape is \(2,\); it must be \(3,\), one per image"):
        ms_ssim_diversity(images, labels=[0, 1])
