"""Clouds of furniture: uniform by area on the surfaces, alike in both splits, and what is refused."""

import numpy as np
import pytest

from gan_jax.data import furniture_points, load
from gan_jax.data.furniture import CLASSES, Box, Ring, Tube, draw
from gan_jax.data.surfaces import patches_of, sample_surface
from gan_jax.errors import UserError

NUMBER = 20_000
CUBE = Box((0.2, 0.2, 0.2), (0.8, 0.8, 0.8))
CONE = Tube((0.5, 0.5), 0.0, 0.4, 0.3, 0.1)


def sampled(*shape, number=NUMBER):
    return sample_surface(list(shape), number, np.random.default_rng(0))


@pytest.mark.parametrize(
    ('primitive', 'area'),
    [
        (CUBE, 6 * 0.6**2),
        (Box((0, 0, 0), (0.1, 0.2, 0.3)), 2 * (0.02 + 0.03 + 0.06)),
        (Tube((0.5, 0.5), 0.1, 0.4, 0.3), 2 * np.pi * 0.3 * (0.3 + 0.3)),
        (CONE, np.pi * (0.3**2 + 0.1**2 + 0.4 * np.hypot(0.4, 0.2))),
        (Tube((0.5, 0.5), 0.0, 0.5, 0.3, wall=0.1), 2 * np.pi * (0.5 * (0.3 + 0.2) + 0.3**2 - 0.2**2)),
        (Ring((0.5, 0.5, 0.5), 0.3, 0.1), 4 * np.pi**2 * 0.3 * 0.1),
    ],
)
def test_areas(primitive, area):
    assert sum(patch.area for patch in patches_of(primitive)) == pytest.approx(area)


def shares(points, axis, place):
    return np.mean(np.abs(points[:, axis] - place) < 1e-9)


def test_a_cube_has_a_sixth_of_its_points_on_each_side_also_where_it_is_made_of_parts():
    halves = Box(CUBE.low, (0.5, 0.8, 0.8)), Box((0.5, 0.2, 0.2), CUBE.high)
    inner = Box((0.2, 0.3, 0.3), (0.7, 0.7, 0.7))  # its lower side is a part of the cube's
    for shape in ((CUBE,), halves, (CUBE, inner), (inner, CUBE)):
        points = sampled(*shape)
        for axis in range(3):
            for place in (0.2, 0.8):
                assert shares(points, axis, place) == pytest.approx(1 / 6, abs=0.012)
        assert shares(points, 0, 0.5) == 0
        lower = points[np.abs(points[:, 0] - 0.2) < 1e-9]
        inside = np.all(np.abs(lower[:, 1:] - 0.5) < 0.2, axis=1).mean()
        assert inside == pytest.approx((0.4 / 0.6) ** 2, abs=0.03)


def test_a_frustum_is_uniform_by_area():
    points = sampled(CONE)
    radius = np.hypot(points[:, 1] - 0.5, points[:, 2] - 0.5)
    caps = [np.abs(points[:, 0] - height) < 1e-9 for height in (0.0, 0.4)]
    mantle = ~(caps[0] | caps[1])
    areas = np.pi * np.array([0.3**2, 0.1**2, 0.4 * np.hypot(0.4, 0.2)])
    np.testing.assert_allclose([part.mean() for part in (*caps, mantle)], areas / areas.sum(), atol=0.012)
    np.testing.assert_allclose(radius[mantle], 0.3 - 0.5 * points[mantle, 0], atol=1e-9)
    assert (radius[caps[0]] ** 2).mean() == pytest.approx(0.3**2 / 2, rel=0.02)
    assert points[mantle, 0].mean() == pytest.approx(0.4 * (0.3 + 2 * 0.1) / (3 * 0.4), rel=0.02)


def test_a_torus_is_uniform_by_area():
    up, back, right = sampled(Ring((0.5, 0.5, 0.5), 0.3, 0.1)).T - 0.5
    along = np.hypot(up, right) - 0.3
    np.testing.assert_allclose(np.hypot(along, back), 0.1, atol=1e-9)
    assert (along / 0.1).mean() == pytest.approx(0.1 / (2 * 0.3), abs=0.02)  # E[cos] is r / 2R


def test_points_of_a_hole_are_on_its_inner_wall():
    tube = Tube((0.5, 0.5), 0.0, 0.5, 0.3, wall=0.1)
    points = sampled(tube)
    radius = np.hypot(points[:, 1] - 0.5, points[:, 2] - 0.5)
    mantle = (points[:, 0] > 1e-9) & (points[:, 0] < 0.5 - 1e-9)
    inner = np.abs(radius[mantle] - 0.2) < 1e-9
    assert inner.mean() == pytest.approx(2 / 5, abs=0.02)
    np.testing.assert_allclose(radius[mantle][~inner], 0.3, atol=1e-9)


@pytest.mark.parametrize('label', range(4))
def test_points_of_furniture_have_solid_on_one_side_only(label):
    shape = draw(label, np.random.default_rng(label))
    points = sampled(*shape, number=500)
    directions = np.random.default_rng(1).normal(size=(64, 3))
    around = points[:, None] + 1e-4 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    axes = tuple(np.moveaxis(around, -1, 0))
    inside = np.logical_or.reduce([primitive.contains(axes) for primitive in shape]).mean(axis=1)
    assert ((inside > 0) & (inside < 1)).mean() > 0.99  # all but edges that few directions enter
    assert np.median(inside) == pytest.approx(0.5, abs=0.05)


def test_a_split_is_computed_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(furniture_points, '_SPLITS', {'train': 8, 'test': 4})
    options = {'size': 64, 'cache_dir': tmp_path, 'show_progress': False}
    dataset = load('furniture_points', **options)
    assert dataset.examples.shape == (8, 64, 3)
    assert dataset.examples.dtype == np.float32
    assert np.linalg.norm(dataset.examples, axis=-1).max() <= 0.5 + 1e-6
    assert dataset.labels.tolist() == [0, 1, 2, 3] * 2
    assert dataset.class_names == tuple(CLASSES)
    monkeypatch.setattr(furniture_points, 'sample_surface', None)  # which computes them
    again = load('furniture_points', **options)
    assert again.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(again.examples, dataset.examples)


def test_a_chair_stands_upright_and_is_seen_from_the_front(tmp_path, monkeypatch):
    monkeypatch.setattr(furniture_points, '_SPLITS', {'train': 8, 'test': 4})
    chair = load('furniture_points', size=2048, cache_dir=tmp_path, show_progress=False).examples[1]
    high = chair[chair[:, 1] > np.quantile(chair[:, 1], 0.9)]  # its back
    assert high[:, 2].mean() < chair[:, 2].mean() - 0.05
    assert abs(chair[:, 0].mean()) < 0.02


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'split': 'train[:10]'}, "has no split 'train"),
        ({'size': 8}, 'needs 16 or more points'),
        ({'channels': 3}, 'its own number of channels'),
    ],
)
def test_what_is_impossible_gets_a_sentence(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load('furniture_points', cache_dir=tmp_path, **options)
