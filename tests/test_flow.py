"""Flow: warping against loops and finite differences, the flow of shapes in maps, and what was visible."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.flow import flow_of_maps, warp, was_visible

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, 5, 3))


def warped_by_loops(images, flow):
    made = np.zeros(images.shape)
    count, height, width, _ = images.shape
    for n, y, x in np.ndindex(count, height, width):
        row = np.clip(y + flow[n, y, x, 0], 0, height - 1)
        column = np.clip(x + flow[n, y, x, 1], 0, width - 1)
        for r, c in np.ndindex(height, width):
            made[n, y, x] += max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c)) * images[n, r, c]
    return made


def test_warping_is_bilinear_and_has_the_border_outside():
    flow = RNG.uniform(-6, 6, (2, 4, 5, 2))
    assert (abs(flow) > 4).any()
    np.testing.assert_allclose(
        jax.jit(warp)(jnp.asarray(IMAGES), jnp.asarray(flow)), warped_by_loops(IMAGES, flow), atol=1e-5
    )


def test_whole_pixels_are_copied_bit_for_bit_with_any_leading_axes():
    images = jnp.asarray(IMAGES, jnp.float32).reshape(2, 1, 4, 5, 3)
    moved = jax.jit(warp)(images, jnp.broadcast_to(jnp.array([1.0, -2.0]), (2, 1, 4, 5, 2)))
    np.testing.assert_array_equal(moved[:, :, :3, 2:], images[:, :, 1:, :3])
    np.testing.assert_array_equal(jax.jit(warp)(images, jnp.zeros((2, 1, 4, 5, 2))), images)


def test_gradients_of_warping_are_finite_differences():
    flow = RNG.integers(-1, 2, (2, 4, 5, 2)) + RNG.uniform(0.3, 0.7, (2, 4, 5, 2))  # linear between whole pixels
    weights = RNG.normal(size=IMAGES.shape)

    def value(images, flow):
        return (warp(images, flow) * weights).sum()

    given = jnp.asarray(IMAGES, jnp.float32), jnp.asarray(flow, jnp.float32)
    gradients = jax.jit(jax.grad(value, (0, 1)))(*given)
    for _ in range(5):
        directions = [RNG.normal(size=one.shape) for one in (IMAGES, flow)]
        slopes = [
            ((warped_by_loops(IMAGES + a, flow + b) - warped_by_loops(IMAGES - a, flow - b)) * weights).sum() / 2e-3
            for a, b in ((1e-3 * directions[0], 0), (0, 1e-3 * directions[1]))
        ]
        found = [
            (np.asarray(gradient) * direction).sum() for gradient, direction in zip(gradients, directions, strict=True)
        ]
        np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-3)


def maps_of(*rows):
    """One-hot maps [T, 1, W, 3] of frames of one row each."""
    return jnp.eye(3)[jnp.array([[[int(name) for name in row]] for row in rows])]


def test_shapes_move_as_their_centres_over_a_still_background():
    maps = maps_of('110020', '011020', '001120', '001100')
    flow = jax.jit(flow_of_maps)(maps)
    assert not flow[..., 0].any()  # nothing moves down
    expected = [[0, -1, -1, 0, 0, 0], [0, 0, -1, -1, 0, 0], [0, 0, 0, 0, 0, 0]]  # class 2 leaves in the end
    np.testing.assert_allclose(flow[:, 0, :, 1], expected, atol=1e-6)
    np.testing.assert_allclose(
        jax.jit(flow_of_maps, static_argnums=1)(maps, 2)[0, 0, :, 1], [0, 0, -2, -2, 0, 0], atol=1e-6
    )
    np.testing.assert_array_equal(jax.jit(flow_of_maps)(maps[None])[0], flow)


def test_what_a_shape_uncovers_was_not_visible():
    maps = maps_of('110020', '011020', '001120', '001100')
    visible = jax.jit(lambda maps: was_visible(maps, flow_of_maps(maps)))(maps)[:, 0, :, 0].astype(int)
    np.testing.assert_array_equal(visible, [[0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 1]])
