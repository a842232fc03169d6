"""Canny's edges."""

import numpy as np
import pytest

from gan_jax.data.edges import canny, sigma_of


def step(*heights, column=16, size=32):
    """Images, black left of a column, and of the given brightness from it on."""
    images = np.zeros((len(heights), size, size), np.uint8)
    for image, height in zip(images, heights, strict=True):
        image[:, column:] = height
    return images


@pytest.mark.parametrize('sigma', [0.5, 1, 2])
def test_a_step_is_a_line_of_one_pixel(sigma):
    expected = np.zeros((32, 32), np.uint8)
    expected[1:-1, 16] = 255  # the brighter of the two pixels beside the step
    images = step(255, 100)
    edges = canny(images, sigma)
    assert edges.dtype == np.uint8
    np.testing.assert_array_equal(edges, [expected] * 2)
    np.testing.assert_array_equal(canny(images.swapaxes(1, 2), sigma), [expected.T] * 2)
    np.testing.assert_array_equal(canny(images[:, :, ::-1], sigma), [expected[:, ::-1]] * 2)


def test_a_flat_image_and_a_slow_change_have_no_edges():
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8), (1, 32, 32))
    assert not canny(np.concatenate([np.full((1, 32, 32), 77, np.uint8), ramp]), 2).any()


def test_a_weak_line_is_kept_where_it_goes_on_from_a_strong_one():
    # Of a step of height h the Sobel gradient is 8 h (Phi(1 / 2) - Phi(-1 / 2)) = 1.53 h at sigma 2: 24 grey levels lie
    # between the thresholds, 48 above both, 8 below both.
    weak, mixed = step(24, 48)
    mixed[16:, 16:] = 24
    faint = mixed.copy()
    faint[16:, 16:] = 8
    edges = canny(np.stack([weak, mixed, faint]), 2)
    assert not edges[0].any()
    assert (edges[1, 1:-1] == 255).any(axis=1).all()
    assert not edges[2, 24:].any()
    assert (edges[2, 1:12, 16] == 255).all()


def test_images_do_not_see_one_another():
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 24), np.uint8)
    np.testing.assert_array_equal(canny(images, 1), np.concatenate([canny(images[i : i + 1], 1) for i in range(5)]))


def test_the_smoothing_of_small_and_of_large_images():
    assert [sigma_of(side, 512) for side in (8, 28, 64, 128, 256)] == [0.5, 0.5, 1, 2, 2]


@pytest.mark.parametrize('sigma', [0.5, 1, 2])
def test_agrees_with_scikit_image(sigma):
    feature = pytest.importorskip('skimage.feature')
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:96, :80]
    images = np.zeros((6, 96, 80))
    for image in images:  # discs of any brightness, and noise
        for _ in range(12):
            inside = np.hypot(rows - random.uniform(0, 96), columns - random.uniform(0, 80)) < random.uniform(3, 25)
            image[inside] = random.uniform(0, 255)
    images = (images + random.normal(0, 4, images.shape)).clip(0, 255).astype(np.uint8)
    expected = [feature.canny(image.astype(np.float32) / 255, sigma, mode='nearest') for image in images]
    assert 0.02 < np.mean(expected) < 0.3
    # Which of two equal pixels is kept is the only difference.
    assert np.mean((canny(images, sigma) == 255) != expected) < 1e-4
