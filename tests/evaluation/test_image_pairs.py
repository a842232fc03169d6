"""PSNR and SSIM by hand and by the definition written out, window by window, in float64."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.l1 import l1, mean_l1
from gan_jax.evaluation.psnr import mean_psnr, psnr
from gan_jax.evaluation.ssim import mean_ssim, ssim


def _images(seed, *shape):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def _ssim_of_one(x, y, weights, unbiased):
    """Equation 13 of Wang et al. for two greys [H, W]; weights [s, s] sum to 1."""
    size, values = len(weights), []
    correction = size**2 / (size**2 - 1) if unbiased else 1
    for top in range(x.shape[0] - size + 1):
        for left in range(x.shape[1] - size + 1):
            a, b = (image[top : top + size, left : left + size].astype(np.float64) for image in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (correction * (weights * (p - m) ** 2).sum() for p, m in ((a, mean_a), (b, mean_b)))
            covariance = correction * (weights * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / (mean_a**2 + mean_b**2 + c1) / (var_a + var_b + c2)
            )
    return np.mean(values)


def _gaussian_window():
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    return weights / weights.sum()


@pytest.mark.parametrize(
    ('window', 'weights', 'unbiased'),
    [('gaussian', _gaussian_window(), False), ('uniform', np.full((7, 7), 1 / 49), True)],
)
def test_ssim_is_the_definition(window, weights, unbiased):
    x = _images(0, 3, 14, 17, 3)
    y = np.clip(x.astype(int) + np.random.RandomState(1).randint(-60, 61, x.shape), 0, 255).astype(np.uint8)
    expected = [
        np.mean([_ssim_of_one(a[..., c], b[..., c], weights, unbiased) for c in range(3)])
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(x, y, window=window), expected, rtol=1e-11)
    assert 0.3 < expected[0] < 0.99


def test_ssim_of_plain_images_is_that_of_their_luminance():
    grey = np.full((1, 12, 12, 1), 100, np.uint8)
    c1 = 2.55**2
    assert ssim(grey, grey + 50)[0] == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), rel=1e-12)


def test_ssim_of_equal_images_is_one_in_batches_of_any_number():
    images = _images(0, 70, 11, 11, 1)
    np.testing.assert_allclose(ssim(images, images), np.ones(70), rtol=1e-12)
    np.testing.assert_array_equal(ssim(images, images[::-1])[:64], ssim(images[:64], images[::-1][:64]))


def test_psnr_by_hand():
    x = np.zeros((2, 2, 2, 1), np.uint8)
    y = x.copy()
    y[0, 0, 0], y[1] = 20, 255  # mean squared errors of 100 and 255^2
    np.testing.assert_allclose(psnr(x, y), [10 * np.log10(255**2 / 100), 0], atol=1e-13)
    assert psnr(x, x).tolist() == [np.inf, np.inf]


def test_floats_of_another_range_and_borders_left_out():
    x, y = _images(0, 2, 20, 16, 3), _images(1, 2, 20, 16, 3)
    for metric in (psnr, ssim):
        np.testing.assert_allclose(metric(x / 255, y / 255, data_range=1), metric(x, y), rtol=1e-12)
        np.testing.assert_array_equal(metric(x, y, border=2), metric(x[:, 2:-2, 2:-2], y[:, 2:-2, 2:-2]))


def test_luminance_is_that_of_bt601():
    """White and black are at 235 and 16, so that their mean squared error is 219^2."""
    black, white = np.zeros((1, 12, 12, 3), np.uint8), np.full((1, 12, 12, 3), 255, np.uint8)
    assert psnr(black, white, luminance=True)[0] == pytest.approx(20 * np.log10(255 / 219), rel=1e-12)
    green = black + np.uint8([0, 255, 0])
    assert psnr(black, green, luminance=True)[0] == pytest.approx(20 * np.log10(255 / 128.553), rel=1e-12)
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * 16 * 235 + c1) / (16**2 + 235**2 + c1) * (c2 / c2)
    assert ssim(black, white, luminance=True)[0] == pytest.approx(expected, rel=1e-12)


def test_means_over_pairs_have_standard_errors():
    x, y = _images(0, 9, 12, 12, 1), _images(1, 9, 12, 12, 1)
    for mean, metric in ((mean_psnr, psnr), (mean_ssim, ssim)):
        value, error, rule = mean(x, y)
        assert value == pytest.approx(metric(x, y).mean())
        assert error == pytest.approx(metric(x, y).std(ddof=1) / 3)
        assert 'mean and standard error over 9 pairs' in rule
        assert mean(x[:1], y[:1]).error is None


@pytest.mark.parametrize(
    ('x', 'y', 'options', 'sentence'),
    [
        (
            _images(0, 2, 12, 12, 1),
            _images(0, 3, 12, 12, 1),
            {},
            'there are 2 and 3: give the same number of both, in the same',
        ),
        (_images(0, 2, 12, 12, 1), _images(0, 2, 12, 13, 1), {}, 'convert both to the same size'),
        (_images(0, 2, 12, 12, 1), _images(0, 2, 12, 12, 1), {'luminance': True}, 'must be 3 to have a luminance'),
        (_images(0, 2, 12, 12, 1), _images(0, 2, 12, 12, 1), {'border': 6}, 'less than half of 12 pixels'),
        (_images(0, 2, 12, 12, 1), _images(0, 2, 12, 12, 1), {'data_range': 1}, 'The data range of uint8 is 1'),
        (np.full((1, 12, 12, 1), 1.5), np.ones((1, 12, 12, 1)), {'data_range': 1}, r'outside of \[0, 1\]: clip them'),
        (np.full((1, 12, 12, 1), np.nan), np.ones((1, 12, 12, 1)), {}, r'outside of \[0, 255\]'),
    ],
)
def test_what_are_no_pairs_of_images_gets_one_sentence(x, y, options, sentence):
    for metric in (psnr, ssim):
        with pytest.raises(UserError, match=sentence):
            metric(x, y, **options)


def test_small_and_equal_images_get_one_sentence():
    images = _images(0, 2, 10, 10, 1)
    with pytest.raises(UserError, match='SSIM takes at least its 11x11 window'):
        ssim(images, images)
    with pytest.raises(UserError, match='2 of 2 pairs have equal images, whose PSNR is infinite'):
        mean_psnr(images, images)


def test_l1_is_the_mean_absolute_difference_as_a_share_of_white():
    x = np.zeros((2, 2, 2, 1), np.uint8)
    y = x.copy()
    y[0, 0, 0, 0], y[1] = 255, 51
    np.testing.assert_allclose(l1(x, y), [0.25, 0.2])
    found = mean_l1(x, y)
    assert found.value == pytest.approx(0.225)
    assert found.error == pytest.approx(0.025)
