"""Metrics of solids, by hand."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation import metrics
from gan_jax.evaluation.solids import connected_share, matches, solid_metrics, symmetry


def solid(*voxels):
    made = np.zeros((4, 4, 4, 1), np.uint8)
    for up, back, right in voxels:
        made[up, back, right] = 255
    return made


ROW = solid((0, 0, 0), (0, 0, 1), (0, 0, 2))
SPLIT = solid((0, 0, 0), (0, 0, 1), (1, 1, 2))  # the last touches by an edge only
MIDDLE = solid((2, 2, 1), (2, 2, 2))
EMPTY = solid()


def test_pieces_touch_by_faces():
    np.testing.assert_allclose(connected_share(np.stack([ROW, SPLIT, EMPTY])), [1, 2 / 3, 0])


def test_symmetry_is_left_against_right():
    np.testing.assert_allclose(symmetry(np.stack([ROW, MIDDLE, EMPTY])), [2 / 4, 1, 1])


def test_matches_are_the_largest_intersections_over_union():
    real, fake = np.stack([ROW, MIDDLE, SPLIT]), np.stack([SPLIT, ROW, ROW])
    best, nearest = matches(real, fake, block=2)
    np.testing.assert_allclose(best, [1, 0, 1])
    assert nearest.tolist() == [2, 0, 0]


def test_matches_equal_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    real, fake = ((rng.uniform(size=(n, 5, 5, 5, 1)) < 0.3).astype(np.uint8) * np.uint8(255) for n in (7, 6))
    ratios = np.array([[(a & b).sum() / (a | b).sum() for b in fake > 0] for a in real > 0])
    best, nearest = matches(real, fake, block=3)
    np.testing.assert_allclose(best, ratios.max(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(nearest, ratios.argmax(axis=0))


def test_a_set_against_itself_is_covered():
    real = np.stack([ROW, MIDDLE, SPLIT])
    found = solid_metrics(real, real)
    assert found['solids_coverage'].value == found['solids_iou'].value == 1
    assert solid_metrics(real, np.stack([ROW] * 3))['solids_coverage'].value == 1 / 3


def test_equal_numbers_are_matched():
    real = np.stack([ROW, MIDDLE, SPLIT])
    for found in solid_metrics(real, real[:2]), solid_metrics(real[:2], real):
        assert found['solids_coverage'].value == found['solids_iou'].value == 1
        assert '2 fakes against 2 real solids' in found['solids_iou'].rule


def test_metrics_of_another_kind_are_refused():
    with pytest.raises(UserError, match='furniture has solids, not images as kid needs: use solids'):
        metrics.check_kind(['solids', 'kid'], 'furniture', (32, 32, 32, 1))
    with pytest.raises(UserError, match='mnist has images, not solids as solids needs: use fid, '):
        metrics.check_kind(['solids'], 'mnist', (28, 28, 1))
    metrics.check_kind(['fid'], 'statistics', None)
