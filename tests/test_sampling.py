"""Samples of conditional generators: what a class grid and an interpolation between classes are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import losses, sampling
from gan_jax.adversarial import adversarial
from gan_jax.game import Player, pure

CLASSES = 3


def image_of(params, latents, condition):
    """4x4 images: the left half shows the condition, as a number from -1 to 1, the right half the first latent."""
    if jnp.issubdtype(condition.dtype, jnp.integer):
        condition = jax.nn.one_hot(condition, CLASSES)
    left = condition @ jnp.linspace(-1, 1, CLASSES)
    right = jnp.tanh(latents[:, 0])
    rows = jnp.stack([left, left, right, right], axis=1)
    return jnp.broadcast_to(rows[:, None, :, None], (len(rows), 4, 4, 1))


@pytest.fixture
def game():
    generator = pure(lambda key: jnp.zeros(()), image_of)
    discriminator = pure(lambda key: jnp.zeros(()), lambda params, images, condition: images.mean((1, 2, 3)))
    return adversarial(
        generator, discriminator, losses.non_saturating(), 2, condition=jax.ShapeDtypeStruct((), jnp.int32)
    )


PLAYER = Player(jnp.zeros(()), {}, None)


def test_a_class_grid_has_a_row_for_each_class_with_the_same_latents(game):
    samples = sampling.fixed_samples(game, 14, 0, CLASSES)
    assert samples.columns == 4  # 14 is three rows of four
    made = samples.draw(game, PLAYER).reshape(CLASSES, 4, 4, 4, 1)
    for row, value in enumerate((-1, 0, 1)):
        np.testing.assert_array_equal(made[row, :, :, :2], value)
    np.testing.assert_array_equal(made[0, :, :, 2:], made[2, :, :, 2:])
    assert len(np.unique(made[0, :, 0, 3])) == 4


def test_of_more_classes_than_samples_the_first_ones_are_shown(game):
    _, conditions, columns = sampling.class_grid(game, 2, 0, CLASSES)
    assert conditions.tolist() == [0, 1]
    assert columns == 1


def test_conditions_go_from_each_class_to_the_next_and_back():
    path = sampling.class_interpolation(CLASSES, 5).reshape(CLASSES, 5, CLASSES)
    np.testing.assert_allclose(path[:, 0], np.eye(CLASSES))
    np.testing.assert_allclose(path[:, -1], np.eye(CLASSES)[[1, 2, 0]])
    np.testing.assert_allclose(path[1, 2], [0, 0.5, 0.5])
    np.testing.assert_allclose(path.sum(-1), 1)


def test_the_interpolation_is_a_picture_with_one_latent(game, tmp_path):
    sampling.save_interpolation(tmp_path / 'between.png', game, PLAYER, 0, CLASSES, columns=5)
    grid = np.asarray(Image.open(tmp_path / 'between.png'))
    size = (grid.shape[1] - 2) // 5 - 2  # two pixels around each image
    left = [[grid[3 + row * (size + 2), 3 + column * (size + 2)] for column in range(5)] for row in range(3)]
    assert left[0][0] < left[0][2] < left[0][4] == left[1][0] < left[1][2] < left[1][4]
    assert left[2][0] == left[1][4] > left[2][2] > left[2][4] == left[0][0]
    right = {int(grid[3 + row * (size + 2), size + column * (size + 2)]) for column in range(5) for row in range(3)}
    assert len(right) == 1
