"""Stacked images in the eyes of an extractor of single ones."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.stacked import stacked_labels
from gan_jax.evaluation.features.classifier import (
    Classifier,
    ClassifierNetwork,
    classifier,
    classifier_path,
    save_classifier,
)
from gan_jax.evaluation.features.extractor import look
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.features.stacked import of_channels
from tests.extractors import QUADRANTS


def test_features_stand_side_by_side_and_logits_are_those_of_the_triples():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    seen = look(of_channels(QUADRANTS), images)
    single = [look(QUADRANTS, images[..., [channel]]) for channel in range(3)]
    np.testing.assert_allclose(seen.features, np.concatenate([one.features for one in single], 1), rtol=1e-6)
    shares = [np.asarray(jax.nn.softmax(one.logits)) for one in single]
    np.testing.assert_allclose(np.exp(seen.logits), np.einsum('na,nb,nc->nabc', *shares).reshape(5, -1), rtol=1e-4)
    labels = np.stack([one.logits.argmax(1) for one in single], 1)
    np.testing.assert_array_equal(seen.logits.argmax(1), stacked_labels(labels, single[0].logits.shape[1]))


def test_the_classifier_of_stacked_data_is_that_of_a_channel(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    network = ClassifierNetwork(num_classes=3, widths=(4,))
    variables = network.init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
    trained = Classifier(network, jax.device_get(variables), (6, 6, 1), 'mnist', 0.99, 'nothing', {})
    save_classifier(trained, classifier_path('mnist'))
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), np.uint8)
    for spec in ('classifier', 'auto'):
        found = find_extractor(spec, 'stacked:mnist', (6, 6, 3))
        np.testing.assert_array_equal(look(found, images).logits, look(of_channels(classifier('mnist')), images).logits)
        assert look(found, images).logits.shape == (4, 27)
        assert found.identity.endswith(', of each channel')
