"""The feature store and extraction in batches over devices."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Features
from gan_jax.evaluation.store import FeatureStore, compile_extractor
from tests.extractors import QUADRANTS, look

IMAGES = np.random.default_rng(0).integers(0, 256, (21, 6, 6, 1), np.uint8)


@pytest.fixture(scope='module')
def extract():
    return compile_extractor(QUADRANTS, batch_size=16)  # over the tests' eight devices


def test_a_last_batch_that_is_not_full_is_neither_dropped_nor_counted_twice(extract):
    seen, wanted = extract(IMAGES), look(IMAGES)
    np.testing.assert_allclose(seen.features, wanted.features, rtol=1e-6)
    np.testing.assert_allclose(seen.logits, wanted.logits, rtol=1e-6)


def test_batches_add_up(extract):
    store = FeatureStore(extract, keep=('features', 'images'))
    for part in (slice(0, 4), slice(4, 20), slice(20, 21)):
        store.update(IMAGES[part], np.arange(21)[part])
    features = extract(IMAGES).features
    assert len(store) == 21
    np.testing.assert_array_equal(store.array('features'), features)
    np.testing.assert_array_equal(store.array('images'), IMAGES)
    np.testing.assert_array_equal(store.array('labels'), np.arange(21))
    np.testing.assert_allclose(store.moments.mean, features.mean(0, dtype=np.float64))
    np.testing.assert_allclose(store.moments.covariance, np.cov(features.T.astype(np.float64)))
    rows = np.array([3, 3, 20])
    taken = store.take(rows)
    np.testing.assert_array_equal(taken.array('labels'), rows)
    np.testing.assert_allclose(taken.moments.mean, features[rows].mean(0, dtype=np.float64))


def test_a_store_without_images_extractor_or_features_says_so():
    with pytest.raises(UserError, match='no features of these images, because there are none: add some with update'):
        FeatureStore().array('features')
    with pytest.raises(UserError, match='A store without an extractor takes features, not images'):
        FeatureStore().update(IMAGES)
    with pytest.raises(UserError, match='The features are a ndarray: give the Features of'):
        FeatureStore(lambda images: images.mean((1, 2))).update(IMAGES)


def test_what_was_not_kept_is_told(extract):
    store = FeatureStore(extract, keep=('logits',))
    store.update(IMAGES)
    with pytest.raises(UserError, match="no features of these images: the store was made without keep='features'"):
        store.array('features')
    with pytest.raises(UserError, match='no labels of these images: the images have no labels'):
        store.array('labels')
    blind = FeatureStore(keep=('logits',))
    blind.add(Features(np.ones((2, 3), np.float32)))
    with pytest.raises(UserError, match='the extractor does not classify'):
        blind.array('logits')


def test_images_that_are_none_are_refused(extract):
    with pytest.raises(UserError, match=r'the images are float64 in .* metrics take uint8'):
        FeatureStore(extract).update(IMAGES / 255)


def test_a_store_survives_being_arrays(extract):
    store = FeatureStore(extract, keep=('features',))
    store.update(IMAGES, np.arange(21))
    back = FeatureStore.from_arrays(store.to_arrays())
    np.testing.assert_array_equal(back.moments.covariance, store.moments.covariance)
    np.testing.assert_array_equal(back.array('features'), store.array('features'))
    np.testing.assert_array_equal(back.array('labels'), store.array('labels'))
    assert len(back) == 21
    assert not back.has('logits')
