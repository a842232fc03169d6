"""Metrics of translations."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.evaluation import metrics
from gan_jax.evaluation.evidence import Evidence
from gan_jax.evaluation.gather import GeneratorSamples, of_inputs
from gan_jax.evaluation.of_runs import target_accuracy_of
from gan_jax.evaluation.translated import class_accuracy, diversity, pixel_distance
from gan_jax.game import Game, Player, normal_latents
from gan_jax.translators import no_latents

NOISE = normal_latents(1)


def adding(latents=NOISE, given='input'):
    """A game that adds its parameter times a latent to images."""

    def sample(params, variables, latents, images):
        return images + params * latents[:, :, None, None]

    return Game(None, (), sample, latents, given=given)


def test_the_distance_of_pixels_is_their_mean_difference_in_their_range():
    one, other = np.zeros((2, 2, 2, 1), np.uint8), np.full((2, 2, 2, 1), 51, np.uint8)
    other[1, 0] = 0
    np.testing.assert_allclose(pixel_distance(one, other), [0.2, 0.1])


def test_diversity_is_the_distance_of_translations_of_the_same_image():
    images = np.random.default_rng(0).integers(100, 156, (60, 4, 4, 1)).astype(np.uint8)
    found = diversity(adding(), Player(jnp.float32(0.1), {}, None), images)
    # Of independent normal numbers the mean difference is 2 / sqrt(pi); pixels count from 0 to 1, half as much.
    assert found.value == pytest.approx(0.1 / np.sqrt(np.pi), rel=0.05)
    assert 0 < found.error < 0.01
    assert found.rule == '19 pairs of translations of each of 60 images'
    assert diversity(adding(), Player(jnp.float32(0), {}, None), images[:1]) == (
        0.0,
        None,
        found.rule.replace('60', '1'),
    )
    averaged = Player(jnp.float32(0.1), {}, None, (jnp.float32(0), {}))
    assert diversity(adding(), averaged, images[:2]).value == 0
    again = diversity(adding(), Player(jnp.float32(0.1), {}, None), images, lambda x, y: np.full(len(x), 7.0))
    assert again.value == 7


def test_class_accuracy_is_the_share_of_right_classes():
    logits = np.eye(3)[[0, 1, 2, 2]]
    found = class_accuracy(logits, np.array([0, 1, 2, 0]), 'input')
    assert found.value == 0.75
    assert found.error == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    for classes in ([0, 1, 2, 3], [0, -1, 2, 2], []):
        with pytest.raises(
            UserError, match='The extractor knows 3 classes, and the target of a translation has none or another'
        ):
            class_accuracy(logits, np.array(classes), 'target')


def test_translations_without_a_target_of_the_real_classes_are_not_counted():
    targets, logits = jnp.array([0, -1, 1, 2]), np.eye(3)[[0, 1, 2, 2]]
    game = adding()._replace(latents=lambda key, positions: targets[positions], targets=lambda latents: latents)
    samples = GeneratorSamples(game, None, 4, 0, None, 'a run')
    fake = types.SimpleNamespace(array={'logits': logits}.get)
    found = target_accuracy_of(Evidence(None, fake, None, samples))['target_accuracy']
    assert found.value == pytest.approx(2 / 3)
    assert found.rule.endswith('of 3 translations')


def test_translations_know_the_classes_of_their_inputs():
    digits, domains = load('digits', split='train[:20]'), load('unpaired:digits,coloured:digits', split='train[:20]')
    of_a = of_inputs(adding(given='a'), None, 5, 0, domains, 'a run')
    np.testing.assert_array_equal(of_a.classes, digits.labels[:5])
    assert of_inputs(adding(given='a'), None, 5, 0, load('classes:digits:3:8'), 'a run').classes is None


def test_games_with_one_translation_have_no_diversity():
    for game in (adding(no_latents), adding(given='')):
        with pytest.raises(UserError, match='diversity compares translations of one image, and this game makes one'):
            metrics.check_of_generator(['diversity'], game)
    metrics.check_of_generator(['diversity', 'content_accuracy'], adding())
