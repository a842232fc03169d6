"""Paths, truncation and moves of latents, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from gan_jax.errors import UserError
from gan_jax.game import normal_latents, uniform_latents
from gan_jax.sampling import latents

RNG = np.random.default_rng(0)


def test_slerp_by_hand():
    points = latents.slerp([[1.0, 0]], [[0, 3.0]], [0, 1 / 3, 1 / 2, 1])
    expected = [[1, 0], 5 / 3 * np.array([np.sqrt(3) / 2, 1 / 2]), 2 * np.sqrt([1 / 2, 1 / 2]), [0, 3]]
    np.testing.assert_allclose(points, expected, atol=1e-15)


def test_slerp_turns_at_a_constant_speed_on_the_sphere():
    start, end = RNG.normal(size=(2, 5, 3, 4))  # latents of any shape
    start, end = (x / np.linalg.norm(x.reshape(5, -1), axis=1)[:, None, None] for x in (start, end))
    angle = np.arccos((start * end).sum((1, 2)))
    for share in (0.0, 0.3, 1.0):
        points = latents.slerp(start, end, share)
        np.testing.assert_allclose((points**2).sum((1, 2)), 1, rtol=1e-12)
        np.testing.assert_allclose(np.arccos(np.clip((points * start).sum((1, 2)), -1, 1)), share * angle, atol=1e-7)
        np.testing.assert_allclose((points * end).sum((1, 2)), np.cos((1 - share) * angle), atol=1e-12)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_slerp_between_opposite_latents_keeps_length_and_angle_and_arrives(dtype):
    start = RNG.normal(size=(50, 7)).astype(dtype)
    points = [latents.slerp(start, -start, share) for share in (0, 0.25, 1)]
    lengths = np.linalg.norm(start, axis=1)
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(points[0], start, atol=tolerance)
    np.testing.assert_allclose(points[2], -start, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(points[1], axis=1), lengths, rtol=tolerance)
    np.testing.assert_allclose((points[1] * start).sum(1) / lengths**2, np.sqrt(1 / 2), rtol=tolerance)
    assert points[1].dtype == dtype


def test_slerp_between_parallel_latents_is_a_line():
    start = RNG.normal(size=(5, 7))
    np.testing.assert_allclose(latents.slerp(start, start, 0.3), start, rtol=1e-12)
    np.testing.assert_allclose(latents.slerp(start, 3 * start, 0.5), 2 * start, rtol=1e-12)
    np.testing.assert_allclose(latents.slerp(0 * start, start, 0.5), start / 2, rtol=1e-12)
    np.testing.assert_allclose(latents.slerp(start, 0 * start, 0.5), start / 2, rtol=1e-12)


def test_lerp():
    np.testing.assert_array_equal(latents.lerp([[1.0, 2]], [[3.0, -2]], [0, 0.25, 1]), [[1, 2], [1.5, 1], [3, -2]])


def test_normal_scores_are_quantiles():
    uniform = 2 * norm.cdf([-1.0, 0, 2]) - 1
    np.testing.assert_allclose(latents.normal_scores(uniform), [-1, 0, 2], atol=1e-12)
    assert np.isfinite(latents.normal_scores([-1.0, 1.0])).all()


def test_the_circle_of_uniform_latents_stays_in_their_range_and_keeps_their_distribution():
    start, end = RNG.uniform(-1, 1, size=(2, 200, 300)).astype(np.float32)
    for share, expected in ((0, start), (1, end)):
        np.testing.assert_allclose(latents.uniform_slerp(start, end, share), expected, atol=1e-6)
    between = latents.uniform_slerp(start, end, 0.5)
    assert np.abs(between).max() <= 1
    assert np.abs(latents.slerp(start, end, 0.5)).max() > 1.2
    assert between.var() == pytest.approx(1 / 3, abs=5 * np.sqrt(4 / 45 / between.size) + 0.002)


def test_a_walk_passes_through_all_points_in_even_steps():
    points = RNG.normal(size=(3, 4)).astype(np.float32)
    path = latents.walk(points, 5)
    assert path.shape == (11, 4)
    np.testing.assert_allclose(path[::5], points, rtol=1e-6)
    line = latents.walk(points, 5, latents.lerp)
    np.testing.assert_allclose(np.diff(line[:6], axis=0), np.tile((points[1] - points[0]) / 5, (5, 1)), atol=1e-6)


@pytest.mark.parametrize('distribution', ['normal', 'uniform', None])
def test_a_loop_passes_through_all_points_without_a_kink(distribution):
    draw = RNG.uniform(-1, 1, size=(4, 30)) if distribution == 'uniform' else RNG.normal(size=(4, 30))
    frames = 200
    path = latents.loop(draw, frames, distribution)
    assert path.shape == (4 * frames, 30)
    np.testing.assert_allclose(path[::frames], draw, atol=1e-9)
    velocity = np.roll(path, -1, axis=0) - path  # the seam's among them
    change = np.linalg.norm(np.roll(velocity, -1, axis=0) - velocity, axis=1)
    speed = np.linalg.norm(velocity, axis=1)
    assert (change / speed).max() < 0.05
    if distribution == 'uniform':
        assert np.abs(path).max() <= 1


def test_a_loop_on_the_circle_by_symmetry():
    square = np.array([[2.0, 0], [0, 2], [-2, 0], [0, -2]])
    path = latents.loop(square, 10)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 2, rtol=1e-12)
    np.testing.assert_allclose(path[5], [np.sqrt(2), np.sqrt(2)], rtol=1e-12)
    np.testing.assert_allclose(latents.loop(square[[0, 2]], 2, None), [[2, 0], [0, 0], [-2, 0], [0, 0]], atol=1e-12)


def test_truncation_by_drawing_again_gives_the_truncated_normal():
    threshold = 0.8
    drawn = np.asarray(latents.truncated(normal_latents(50), jax.random.key(0), jnp.arange(1000), threshold), float)
    assert np.abs(drawn).max() <= threshold
    variance = 1 - 2 * threshold * norm.pdf(threshold) / (2 * norm.cdf(threshold) - 1)
    error = np.sqrt(np.var(drawn**2) / drawn.size)
    assert drawn.var() == pytest.approx(variance, abs=4 * error)
    assert drawn.mean() == pytest.approx(0, abs=4 * np.sqrt(variance / drawn.size))


def test_truncation_belongs_to_the_place_and_keeps_what_lies_within():
    key, draw = jax.random.key(3), uniform_latents(10)
    many = latents.truncated(draw, key, jnp.arange(40), 0.5)
    np.testing.assert_array_equal(latents.truncated(draw, key, jnp.array([0, 1, 7]), 0.5), many[jnp.array([0, 1, 7])])
    plain = draw(key, jnp.arange(40))
    within = jnp.abs(plain) <= 0.5
    assert 0.2 < within.mean() < 0.6
    np.testing.assert_array_equal(many[within], plain[within])
    redrawn = many[~within]
    assert len(np.unique(redrawn)) == len(redrawn)


def test_a_threshold_that_hardly_anything_passes_is_refused():
    with pytest.raises(UserError, match=r'The threshold of the latents is 0; it must be at least 0\.01, otherwise'):
        latents.truncated(normal_latents(2), jax.random.key(0), jnp.arange(1), 0)


def test_truncation_towards_a_mean():
    points = np.array([[1.0, -2], [3, 4]], np.float32)
    np.testing.assert_array_equal(latents.towards_mean(points, 0.5), points / 2)
    np.testing.assert_array_equal(latents.towards_mean(points, 0.5, [3, 0]), [[2, -1], [3, 2]])
    np.testing.assert_array_equal(latents.towards_mean(points, 1, [3, 0]), points)
    np.testing.assert_array_equal(latents.towards_mean(points, -1), -points)
    assert latents.towards_mean(points, 0.5, [3, 0]).dtype == np.float32
    with pytest.raises(UserError, match=r'psi is 1\.5; it must be from -1 to 1'):
        latents.towards_mean(points, 1.5)


def test_a_traversal_sets_one_dimension():
    latent = np.array([5.0, 6, 7], np.float32)
    np.testing.assert_array_equal(latents.traverse(latent, 1, [-1, 0, 2]), [[5, -1, 7], [5, 0, 7], [5, 2, 7]])
    with pytest.raises(
        UserError, match=r'The dimension is 3; it must be from 0 to 2, because the latents have 3 dimensions\.'
    ):
        latents.traverse(latent, 3, [0])


def test_a_move_adds_a_direction():
    moved = latents.move(np.array([1.0, 2], np.float32), [0.6, 0.8], [-5, 0, 10])
    np.testing.assert_allclose(moved, [[-2, -2], [1, 2], [7, 10]], rtol=1e-6)
    assert moved.dtype == np.float32
