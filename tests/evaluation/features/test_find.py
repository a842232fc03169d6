"""Which classifier an evaluation takes."""

import jax
import jax.numpy as jnp
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier import Classifier, ClassifierNetwork, classifier_path, save_classifier
from gan_jax.evaluation.features.find import find_extractor


@pytest.fixture
def save(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))

    def save_one(name, trained_size, *, trained_channels=3, **options):
        network = ClassifierNetwork(num_classes=2, widths=(4,))
        shape = (trained_size, trained_size, trained_channels)
        variables = network.init(jax.random.key(0), jnp.zeros((1, *shape)))
        trained = Classifier(network, jax.device_get(variables), shape, name, 0.9, 'nothing', {})
        save_classifier(trained, classifier_path(name, **options))

    return save_one


@pytest.mark.parametrize('spec', ['classifier', 'auto'])
def test_data_without_a_size_of_their_own_have_the_classifier_of_the_size_of_the_images(save, spec):
    save('flowers', 8, size=8)
    assert 'resize=' not in find_extractor(spec, 'flowers', (8, 8, 3)).identity
    with pytest.raises(UserError, match='flowers'):
        find_extractor(spec, 'flowers', (16, 16, 3))
    save('flowers', 6)
    assert 'resize=bilinear-antialias 8x8 to 6x6' in find_extractor(spec, 'flowers', (8, 8, 3)).identity


@pytest.mark.parametrize('spec', ['classifier', 'auto'])
def test_stacked_data_have_the_classifier_of_the_size_of_the_images(save, spec):
    save('grey', 8, trained_channels=1, size=8)
    assert find_extractor(spec, 'stacked:grey', (8, 8, 3)).identity.endswith(', of each channel')


def test_a_function_is_no_extractor():
    with pytest.raises(UserError, match=r'The extractor is a function: give an Extractor\(name, identity, apply\)'):
        find_extractor(lambda images: images, 'flowers', (8, 8, 3))
