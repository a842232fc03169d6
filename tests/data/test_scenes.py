"""Painted landscapes: the same for the same split, with exact maps."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import scenes
from gan_jax.errors import UserError


def painted(size, seed=0):
    return scenes.paint(8, size, np.random.default_rng(seed))


def test_the_same_seed_paints_the_same_scenes_at_any_size():
    for one, other in zip(painted(16), painted(16), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(painted(16)[1], painted(16, seed=1)[1])
    (small, maps), (large, fine) = painted(16), painted(48)
    np.testing.assert_array_equal(fine[:, 1::3, 1::3], maps)  # the middle of 3x3 pixels is that of the larger one
    light = [images.reshape(8, -1).mean(-1) for images in (small, large)]
    np.testing.assert_allclose(*light, atol=6)


def test_the_sky_has_one_colour_in_each_row_and_nothing_else_has_it():
    images, maps = painted(32)
    for image, classes in zip(images, maps[..., 0], strict=True):
        for row, labels in zip(image, classes, strict=True):
            if len(sky := row[labels == 0]):
                np.testing.assert_array_equal(sky, np.broadcast_to(sky[0], sky.shape))
                assert not (row[labels != 0] == sky[0]).all(-1).any()


def test_the_data_set_has_pairs_of_two_splits(monkeypatch):
    monkeypatch.setattr(scenes, 'NUM_EXAMPLES', {'train': 200, 'test': 100})
    scenes._painted.cache_clear()
    train, test = (data.load('scenes', split=split, size=16) for split in ('train', 'test'))
    scenes._painted.cache_clear()
    assert train.has_maps
    assert (len(train), len(test), train.shapes) == (200, 100, {'real': (16, 16, 3), 'input': (16, 16, 1)})
    assert train.class_names == scenes.CLASSES
    assert set(np.unique(train.inputs)) == set(range(train.num_classes))
    assert not np.array_equal(train.inputs[:100], test.inputs)
    assert train.fingerprint != test.fingerprint
    with pytest.raises(UserError, match="'scenes' has no split 'val'; it has train, test"):
        data.load('scenes', split='val')
    with pytest.raises(UserError, match="'scenes' has its own number of channels"):
        data.load('scenes', channels=1)
