"""Distances of point clouds and metrics of sets of them: closed forms, and references in float64 by brute force."""

import itertools

import jax
import numpy as np
import pytest

from gan_jax.chamfer import chamfer
from gan_jax.evaluation import clouds
from gan_jax.evaluation.clouds import (
    chamfer_distances,
    cloud_metrics,
    coverage,
    earth_movers_distances,
    matched_metrics,
    minimum_matching_distance,
    nearest_neighbour_accuracy,
    occupancy_divergence,
)
from gan_jax.evaluation.metrics import METRICS
from gan_jax.layers.platforms import traced_for

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.uniform(-0.4, 0.4, (3, 20, 3)), RNG.uniform(-0.4, 0.4, (4, 20, 3))


def chamfer_by_hand(one, other):
    squares = ((one[:, None] - other[None]) ** 2).sum(-1)
    return squares.min(axis=1).mean() + squares.min(axis=0).mean()


def test_chamfer_distance():
    reference = [[chamfer_by_hand(one, other) for other in OTHER] for one in ONE]
    np.testing.assert_allclose(chamfer_distances(ONE, OTHER), reference, rtol=1e-5)
    for platform in ('cpu', 'cuda'):
        with traced_for(platform):
            np.testing.assert_allclose(chamfer(ONE, OTHER[:3]), np.diag(reference), rtol=1e-5)
    moved = np.broadcast_to([0.3, 0, 0.4], (1, 5, 3))
    assert chamfer_distances(np.zeros((1, 5, 3)), moved)[0, 0] == pytest.approx(2 * 0.25)  # of squares, both ways


def test_the_gradient_of_the_chamfer_distance_is_that_of_its_difference_quotient():
    clouds, step = ONE[:1, :5].astype(np.float64), 1e-6
    gradient = jax.grad(lambda one: chamfer(one, OTHER[:1]).sum())(clouds.astype(np.float32))[0]
    for point, axis in itertools.product(range(5), range(3)):
        change = np.zeros_like(clouds[0])
        change[point, axis] = step
        ends = [chamfer_by_hand(clouds[0] + sign * change, OTHER[0]) for sign in (1, -1)]
        assert gradient[point, axis] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-4)


def test_earth_movers_distance():
    few = ONE[:, :6], OTHER[:, :6]  # all assignments can be tried
    reference = [
        [
            min(
                np.mean([np.linalg.norm(one[i] - other[j]) for i, j in enumerate(order)])
                for order in itertools.permutations(range(6))
            )
            for other in few[1][:2]
        ]
        for one in few[0][:2]
    ]
    np.testing.assert_allclose(earth_movers_distances(few[0][:2], few[1][:2]), reference, rtol=1e-12)
    np.testing.assert_allclose(earth_movers_distances(ONE, ONE), earth_movers_distances(ONE, ONE.copy()), atol=1e-12)
    line = np.zeros((1, 3, 3))
    line[0, :, 0] = [0, 1, 2]
    assert earth_movers_distances(line, line + np.array([0.5, 0, 0]))[0, 0] == pytest.approx(0.5)


def test_matches_are_those_of_real_clouds_and_coverage_counts_them():
    distances = np.array([[1.0, 2.0, 5.0], [3.0, 1.5, 6.0], [9.0, 9.0, 9.0]])  # [real, fake]
    assert minimum_matching_distance(distances).tolist() == [1.0, 1.5, 9.0]
    assert coverage(distances) == 2 / 3  # the third fake is nearest to the first real cloud


def by_hand(real, between, fake):
    whole = np.block([[real, between], [between.T, fake]])
    np.fill_diagonal(whole, np.inf)
    own = np.arange(len(whole)) < len(real)
    return np.mean(own[whole.argmin(axis=1)] == own)


def test_nearest_neighbour_accuracy():
    real, fake = RNG.normal(size=(30, 2)), RNG.normal(size=(30, 2)) + 0.3
    matrices = [
        np.linalg.norm(one[:, None] - other[None], axis=-1) for one, other in ((real, real), (real, fake), (fake, fake))
    ]
    assert nearest_neighbour_accuracy(*matrices) == pytest.approx(by_hand(*matrices))
    far = [matrices[0], matrices[1] + 100, matrices[2]]
    assert nearest_neighbour_accuracy(*far) == 1.0
    copies = [matrices[0]] * 3  # each has its copy at distance 0
    assert nearest_neighbour_accuracy(*copies) == 0.0


def test_divergence_of_occupied_space():
    corner, centre = np.full((2, 8, 3), 0.25), np.zeros((3, 8, 3))
    assert occupancy_divergence(corner, corner) == 0
    assert occupancy_divergence(corner, centre) == pytest.approx(1)  # bit
    half = np.concatenate([corner[:1], centre[:1]])
    mixed = 0.5 * (np.log2(1 / 0.75) + 0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25))
    assert occupancy_divergence(corner, half) == pytest.approx(mixed)
    outside = np.full((1, 8, 3), 0.5)  # a corner of the cube counts at the nearest node of the sphere
    assert occupancy_divergence(outside, np.full((1, 8, 3), 0.6)) == 0


def test_training_clouds_in_the_place_of_generated_ones_are_the_floor(monkeypatch):
    monkeypatch.setattr(clouds, '_MATCHED_CLOUDS', 6)
    real, known = RNG.uniform(-0.3, 0.3, (2, 8, 16, 3))
    found = cloud_metrics(real, known + 0.2, known)
    assert found.keys() == METRICS['clouds'].best.keys()
    assert found['clouds_mmd'].value > 2 * found['clouds_mmd_train'].value
    assert found['clouds_1nna'].value == 1 > found['clouds_1nna_train'].value
    assert found['clouds_jsd'].value > found['clouds_jsd_train'].value
    assert found['clouds_mmd'].rule == 'Chamfer distance of squares, 8 clouds of each set, 16 points'
    alone = cloud_metrics(real, known)
    assert {f'{name}_train': estimate for name, estimate in alone.items()}.items() <= found.items()
    matched = matched_metrics(real, known + 0.2, known)
    assert matched.keys() == METRICS['clouds_emd'].best.keys()
    assert matched['clouds_emd_mmd'].value == pytest.approx(0.2 * 3**0.5, rel=0.25)
    assert matched['clouds_emd_mmd'].rule == "earth mover's distance, 6 clouds of each set, 16 points"
