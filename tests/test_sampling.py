"""Samples: their seeds, classes, truncation and arrangement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import config as configs
from gan_jax import losses
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Player
from gan_jax.networks import pure
from gan_jax.runtime import parallel
from gan_jax.sampling import sample_files
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.trained import TrainedRun

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
    samples = sampling.fixed_samples(game, 2, 0, CLASSES)
    assert samples.conditions.tolist() == [0, 1]
    assert samples.columns == 1


def test_each_row_of_latents_is_shown_in_each_class():
    samples = sampling.arrange(np.arange(4)[:, None], 2, (5, 3))
    assert samples.latents[:, 0].tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert samples.conditions.tolist() == [5, 5, 3, 3, 5, 5, 3, 3]


@pytest.mark.parametrize('threshold', [None, 0.7])
def test_a_seed_has_the_same_latent_whatever_the_other_seeds(game, threshold):
    seeds = [7, 0, 2**32 - 1, 7]
    latents = sampling.seed_latents(game, seeds, threshold=threshold)
    for seed, latent in zip(seeds, latents, strict=True):
        expected = sampling.fixed_latents(game, 3, seed, threshold=threshold)[0]
        np.testing.assert_allclose(latent, expected, rtol=0 if threshold is None else 1e-6)  # fused otherwise
    assert len(np.unique(latents[:, 0])) == 3
    with pytest.raises(UserError, match=r'A seed is -1; it must be from 0 to 4294967295\.'):
        sampling.seed_latents(game, [-1])


def a_run(game, num_classes=CLASSES):
    config = configs.load('configs/mlp.py')
    config.generator.conditioning, config.discriminator.conditioning = 'concatenate', 'projection'
    return TrainedRun(config, 0, game, PLAYER, (4, 4, 1), num_classes)


def test_a_grid_goes_through_the_classes_row_by_row(game):
    samples = sampling.choose_samples(a_run(game), grid=(3, 4), classes=(2, '1'))
    latents = sampling.fixed_latents(game, 8, 0)
    np.testing.assert_array_equal(samples.latents, np.concatenate([latents[:4], latents[:4], latents[4:]]))
    assert samples.conditions.tolist() == [2] * 4 + [1] * 4 + [2] * 4
    assert samples.columns == 4
    assert sampling.choose_samples(a_run(game), grid=(2, 1)).conditions.tolist() == [0, 1]


def test_seeds_are_the_columns_of_classes(game):
    samples = sampling.choose_samples(a_run(game), seeds=(5, 9), psi=0.5)
    expected = sampling.seed_latents(game, (5, 9)) / 2
    np.testing.assert_array_equal(samples.latents, np.tile(expected, (3, 1)))
    assert samples.conditions.tolist() == [0, 0, 1, 1, 2, 2]
    assert samples.columns == 2
    with pytest.raises(UserError, match=r'--grid 3x4 shows 4 latents, but there are 2 seeds\.'):
        sampling.choose_samples(a_run(game), seeds=(5, 9), grid=(3, 4))


def test_names_of_pictures_say_what_they_are():
    path = sample_files.generated(
        'run', 70, 'loop', 'linear', seeds=(0, 7), classes=('T-shirt/top', '3'), psi=1.0, grid=None
    )
    assert str(path) == 'run/generated/step0000070-loop-linear-seeds0,7-classesT-shirt_top,3'
    many = [sample_files.generated('run', 70, seeds=(0, *range(k, k + 8), 29), psi=0.5).name for k in (1, 2)]
    assert many[0].startswith('step0000070-seeds0..29-')
    assert many[0].endswith('-psi0.5')
    assert many[0] != many[1]


def test_names_of_pictures_are_not_too_long_for_a_file_and_are_text():
    names = [sample_files.generated('run', 70, 'upscale', '数' * k, prompt='a bird ' * 30).name for k in (80, 81)]
    assert all(len(name.encode()) <= 200 for name in names)
    assert names[0] != names[1]
    assert sample_files.generated('run', 70, 'upscale', 'caf\udce9').name == 'step0000070-upscale-caf_'


def test_conditions_go_from_each_class_to_the_next_and_back():
    path = sampling.class_interpolation(CLASSES, 5).reshape(CLASSES, 5, CLASSES)
    np.testing.assert_allclose(path[:, 0], np.eye(CLASSES))
    np.testing.assert_allclose(path[:, -1], np.eye(CLASSES)[[1, 2, 0]])
    np.testing.assert_allclose(path[1, 2], [0, 0.5, 0.5])
    np.testing.assert_allclose(path.sum(-1), 1)
    some = sampling.class_interpolation(CLASSES, 3, (2, 0))
    np.testing.assert_allclose(some, [[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0], [1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]])


def test_the_interpolation_is_a_picture_with_one_latent(game, tmp_path):
    latent = sampling.fixed_latents(game, 1, 0)
    sampling.save_interpolation(tmp_path / 'between.png', game, PLAYER, latent, CLASSES, columns=5)
    grid = np.asarray(Image.open(tmp_path / 'between.png'))
    size = (grid.shape[1] - 2) // 5 - 2  # two pixels around each image
    left = [[grid[3 + row * (size + 2), 3 + column * (size + 2)] for column in range(5)] for row in range(3)]
    assert left[0][0] < left[0][2] < left[0][4] == left[1][0] < left[1][2] < left[1][4]
    assert left[2][0] == left[1][4] > left[2][2] > left[2][4] == left[0][0]
    right = {int(grid[3 + row * (size + 2), size + column * (size + 2)]) for column in range(5) for row in range(3)}
    assert len(right) == 1


def test_the_interpolation_keeps_to_classes_and_truncation(game, tmp_path):
    latent = sampling.fixed_latents(game, 1, 0)
    pictures = {}
    for name, options in {'all': {}, 'two': {'classes': (2, 0)}}.items():
        sampling.save_interpolation(tmp_path / name, game, PLAYER, latent, CLASSES, columns=5, **options)
        pictures[name] = np.asarray(Image.open(tmp_path / name))
    size = (pictures['all'].shape[1] - 2) // 5
    whole = pictures['all'][2 + 2 * size :][:8, 2:]  # the row from class 2 to class 0
    np.testing.assert_array_equal(pictures['two'][2:10, 2 : 2 + size], whole[:, :size])
    sampling.save_interpolation(tmp_path / 'mean', game, PLAYER, 0 * latent, CLASSES, columns=5)
    assert (tmp_path / 'mean').read_bytes() != (tmp_path / 'all').read_bytes()


def test_a_grid_has_a_row_for_each_class_that_is_named(game):
    with pytest.raises(UserError, match=r'--grid has 2 rows, too few for 3 classes: use at least one row per class\.'):
        sampling.choose_samples(a_run(game), grid=(2, 4), classes=(0, 1, 2))


def test_samples_that_fit_in_no_memory_are_refused_before_they_are_made(game, monkeypatch):
    monkeypatch.setattr(parallel, 'available_memory', lambda: 2**29)
    run = a_run(game)
    with pytest.raises(
        UserError, match=r'^999,999 samples of 4x4x1 take 443 MiB, but 256 MiB are available: use fewer'
    ):
        sampling.choose_samples(run, num=10**6)
