"""The segmenter's metrics by hand, and what it recognises."""

import numpy as np
import pytest

from gan_jax.data import scenes
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.segmentation import RECIPE, confusion, mean_iou, pixel_accuracy, segmentation


def test_accuracy_and_intersection_over_union_by_hand():
    maps, found = np.array([[0, 0, 1, 1], [2, 2, 1, 0]]), np.array([[0, 1, 1, 1], [2, 1, 1, 0]])
    counts = confusion(maps, found, 4)
    np.testing.assert_array_equal(counts, [[2, 1, 0, 0], [0, 3, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    assert pixel_accuracy(counts) == 6 / 8
    np.testing.assert_allclose(mean_iou(counts), (2 / 3 + 3 / 5 + 1 / 2) / 3)  # class 3 is in neither


def pairs(count, size=16):
    images, maps = scenes.paint(count, size, np.random.default_rng(0))
    return Dataset('few scenes', 'train', images, None, len(scenes.CLASSES), 'abc', inputs=maps)


def test_real_images_are_recognised_and_images_of_other_maps_are_not():
    known = pairs(64)
    recipe = RECIPE._replace(widths=(8, 16), epochs=12, batch_size=16)
    real, maps = known.examples[:32], known.inputs[:32]
    same, other = (segmentation(real, fake, maps, known, recipe) for fake in (real, known.examples[32:]))
    assert same['segmenter_fid'].value == pytest.approx(0, abs=1e-6)
    assert same['miou'].value > other['miou'].value + 0.1
    assert same['pixel_accuracy'].value > other['pixel_accuracy'].value + 0.1
    assert other['segmenter_fid'].value > 0
    assert f'the real images have {same["miou"].value:.4f}' in other['miou'].rule
    assert "gan_jax's own segmenter" in other['miou'].rule


def test_sides_that_cannot_be_halved_are_refused():
    known = pairs(4, size=18)
    with pytest.raises(UserError, match="halves images to a 4th, and those of 'few scenes' are 18x18"):
        segmentation(known.examples, known.examples, known.inputs, known)
