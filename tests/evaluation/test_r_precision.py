"""R-precision: how candidates are drawn, which one is the nearest, and what encoders make of true and other images."""

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.evaluation.r_precision import RECIPE, _reduced, draw, is_nearest, r_precision


def test_candidates_are_the_own_caption_and_others_with_another_text():
    captions = np.array([[1, 0], [2, 0], [1, 0], [3, 4], [5, 0]])
    drawn = draw(captions, 4)
    assert drawn.shape == (5, 4)
    assert (drawn[:, 0] == np.arange(5)).all()
    assert set(drawn[0]) == {0, 1, 3, 4}
    assert all(len(set(row)) == 4 for row in drawn)
    with pytest.raises(UserError, match='r_precision needs 5 different captions, and number 1 has 3 others'):
        draw(captions, 5)


def test_the_own_caption_must_have_the_smallest_angle_alone():
    sentences = np.array([[1.0, 0], [0, 1], [1, 1], [2, 0]])
    images = np.array([[3.0, 1], [1, 2], [1, 1.1], [1, 0]])
    drawn = np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1], [3, 0, 1]])
    np.testing.assert_array_equal(is_nearest(images, sentences, drawn), [True, False, True, False])


@pytest.mark.parametrize(
    ('shape', 'seen'),
    [((48, 48), (48, 48)), ((256, 128), (64, 32)), ((200, 200), (100, 100)), ((131, 131), (131, 131))],
)
def test_larger_images_are_reduced_by_a_whole_factor(shape, seen):
    assert _reduced(np.zeros((2, *shape, 3), np.float32)).shape == (2, *seen, 3)


@pytest.mark.slow
def test_true_images_are_recognised_and_shuffled_ones_as_often_as_by_chance():
    known, real = load('captioned_shapes', split='train'), load('captioned_shapes', split='test')
    images, captions = real.examples[:300], real.inputs[:300]
    recipe = RECIPE._replace(steps=600)
    found = r_precision(images, captions, known, images, recipe)['r_precision']
    assert found.value > 0.3
    assert f'the real images have {found.value:.4f}' in found.rule
    assert r_precision(np.roll(images, 1, 0), captions, known, images, recipe)['r_precision'].value < 0.05
