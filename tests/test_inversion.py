"""Inversion: the latent of an image that the generator made itself is found again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, Features
from gan_jax.sampling.inversion import feature_error, invert, load_image, squared_error

WEIGHT = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32) / 2


def make(weight, latents, condition=None):
    """4x4 images: tanh of a linear map, which a class turns into its negative."""
    hidden = latents @ weight + 0.1
    if condition is not None:
        hidden = hidden * (1.0 - 2 * condition[:, None])
    return jnp.tanh(hidden).reshape(-1, 4, 4, 1)


GENERATE = jax.tree_util.Partial(make, WEIGHT)
LATENT = np.array([0.4, -1.1, 0.8], np.float32)
STARTS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def test_the_latent_of_a_generated_image_is_found():
    target = GENERATE(LATENT[None])[0]
    found = invert(GENERATE, target, STARTS, iterations=200)
    np.testing.assert_allclose(found.latent, LATENT, atol=1e-3)
    np.testing.assert_allclose(found.image, target, atol=1e-3)
    assert found.losses.shape == (201,)
    assert found.path.shape == (201, 3)
    assert found.losses[-1] < 1e-6 < found.losses[0]
    np.testing.assert_array_equal(found.path[0], STARTS[found.start])
    np.testing.assert_array_equal(found.path[-1], found.latent)
    for i in (0, 7, 200):
        assert found.losses[i] == pytest.approx(
            float(squared_error(GENERATE(found.path[i : i + 1]), target)[0]), abs=1e-7
        )


def test_the_best_start_is_kept_and_each_descends_as_it_would_alone():
    target = GENERATE(LATENT[None])[0]
    together = invert(GENERATE, target, STARTS, iterations=10)
    alone = [invert(GENERATE, target, start[None], iterations=10) for start in STARTS]
    best = int(np.argmin([found.losses[-1] for found in alone]))
    assert together.start == best
    np.testing.assert_allclose(together.losses, alone[best].losses, rtol=1e-5, atol=1e-7)
    assert len({round(float(found.losses[-1]), 6) for found in alone}) == 4


def test_the_class_is_found_too():
    target = GENERATE(LATENT[None], np.array([1]))[0]
    conditions = np.array([0, 0, 1, 1])
    found = invert(GENERATE, target, STARTS, conditions, iterations=200)
    assert conditions[found.start] == 1
    np.testing.assert_allclose(found.latent, LATENT, atol=1e-3)


def test_the_prior_holds_the_latent_on_its_shell():
    target = np.ones((4, 4, 1), np.float32) * np.sign(WEIGHT.sum(0)).reshape(4, 4, 1)
    free, held = (invert(GENERATE, target, STARTS, iterations=200, prior=prior) for prior in (0, 100))
    assert np.mean(free.latent**2) > 4
    assert np.mean(held.latent**2) == pytest.approx(1, abs=0.05)
    third = invert(GENERATE, target, STARTS, iterations=200, prior=100, variance=1 / 3)
    assert np.mean(third.latent**2) == pytest.approx(1 / 3, abs=0.02)


def test_images_are_compared_by_features_where_that_is_asked_for():
    extractor = Extractor('rows', 'rows', lambda images: Features(images.mean((2, 3))))  # of pixels in [0, 255]
    distance = feature_error(extractor)
    images = jnp.stack([jnp.full((4, 4, 1), 1.0), jnp.zeros((4, 4, 1)), jnp.full((4, 4, 1), -1.0)])
    np.testing.assert_allclose(distance(images, images[0]), [0, 0.25, 1])
    target = GENERATE(LATENT[None])[0]
    found = invert(GENERATE, target, STARTS, distance=distance, iterations=800)
    assert found.losses[-1] < 1e-5
    np.testing.assert_allclose(found.image.mean((1, 2)), target.mean((1, 2)), atol=0.01)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'iterations': 0}, r'iterations is 0; it must be from 1 to 1000000\.'),
        ({'learning_rate': 0}, r'learning_rate is 0; it must be above 0 and at most 1000\.'),
        ({'prior': -1}, r'prior is -1; it must be from 0 to 1000000\.'),
        ({'target': np.zeros((4, 4, 3))}, r'has shape \(4, 4, 3\), but the generator makes \(4, 4, 1\)'),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    options = {'target': np.zeros((4, 4, 1)), **options}
    with pytest.raises(UserError, match=sentence):
        invert(GENERATE, options.pop('target'), STARTS, **options)


def test_an_image_file_becomes_what_the_generator_makes(tmp_path):
    path = tmp_path / 'colour.png'
    Image.new('RGB', (6, 4), (0, 255, 0)).save(path)
    np.testing.assert_allclose(load_image(path, (4, 6, 3))[0, 0], [-1, 1, -1], atol=1e-6)
    grey = load_image(path, (4, 6, 1))
    np.testing.assert_allclose(grey, np.full((4, 6, 1), round(0.587 * 255) / 127.5 - 1), atol=1e-6)
    assert load_image(path, (8, 8, 3), resize=True).shape == (8, 8, 3)


def test_an_image_file_of_no_use_is_refused(tmp_path):
    path = tmp_path / 'colour.png'
    Image.new('RGB', (6, 4)).save(path)
    with pytest.raises(
        UserError, match=r'colour.png is 4x6, but the generator makes 8x8: add --resize to resample its'
    ):
        load_image(path, (8, 8, 3))
    with pytest.raises(UserError, match='The generator makes 8x4, which is not square: resize the image to that'):
        load_image(path, (8, 4, 3), resize=True)
    with pytest.raises(UserError, match=r'nowhere.png cannot be read as an image \(.*No such file'):
        load_image(tmp_path / 'nowhere.png', (8, 8, 3))
    with pytest.raises(UserError, match=r'An inversion needs --image, the file of the image to invert\.'):
        load_image(None, (8, 8, 3))
