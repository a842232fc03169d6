"""Clips of images that move over black and bounce off the borders."""

import os

import numpy as np
import pytest

from gan_jax.data import absolute_name, load, moving
from gan_jax.errors import UserError


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer clips, which take less time to make."""
    assert moving.NUMBER == 10_000
    monkeypatch.setattr(moving, 'NUMBER', 300)


def box(picture):
    """First row, last row, first column and last column of the pixels that are not black."""
    rows, columns = np.nonzero(picture.reshape(*picture.shape[:2], -1).any(-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_clip_of_one_image_shows_it_whole_in_every_frame():
    images = load('digits', size=14)
    data = load('moving_one:digits', size=32)
    assert data.shape == (16, 32, 32, 1)
    assert (len(data), data.num_classes) == (300, 10)
    np.testing.assert_array_equal(data.contents, data.labels)
    drawn = np.array([image.sum(dtype=int) for image in images.examples])
    for clip, label in zip(data.examples[:20], data.labels[:20], strict=True):
        sums = clip.sum((1, 2, 3), dtype=int)
        assert (sums == sums[0]).all()
        assert label in images.labels[drawn == sums[0]]
    assert len(np.unique(data.examples[:100, 0].sum((1, 2, 3), dtype=int))) > 50


def test_images_keep_their_direction_until_a_border_reflects_them():
    ways = moving.paths((1000,), np.random.default_rng(0))
    assert ways.shape == (1000, 16, 2)
    assert ways.min() >= 0
    assert ways.max() <= 1
    steps = np.diff(ways, axis=1)
    inside = ((ways > 0.1) & (ways < 0.9)).all(-1)[:, :-1]
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1)[inside], 0.1)
    turned = np.sign(steps[:, 1:]) != np.sign(steps[:, :-1])
    middle = ways[:, 1:-1]
    assert turned.any()
    assert (np.minimum(middle, 1 - middle)[turned] <= 0.1).all()


def test_of_two_images_the_brighter_pixel_is_in_front():
    data = load('moving:digits', size=32)
    assert data.labels is None
    assert data.num_classes is None
    one = load('moving_one:digits', size=32)
    assert data.examples.max() == one.examples.max()
    assert data.examples[:100].sum(dtype=int) > 1.5 * one.examples[:100].sum(dtype=int)
    pair = np.array([[[[100]]], [[[200]]]], np.uint8)
    (clip,) = moving._painted(pair, np.array([[0, 1]]), 2, np.random.default_rng(0))
    assert {100, 200} == {*clip.max((1, 2, 3)), *np.unique(clip[clip > 0])}


def test_they_have_the_proportions_of_moving_mnist():
    clip = load('moving_one:digits').examples[0]
    assert clip.shape == (16, 64, 64, 1)
    top, bottom, left, right = box(clip[0])
    assert bottom - top < 28
    assert right - left < 28
    assert bottom - top > 20


def test_splits_differ_and_loads_agree():
    data, again, test = (load('moving:digits', size=20, split=split) for split in ('train', 'train', 'test'))
    np.testing.assert_array_equal(data.examples, again.examples)
    assert data.fingerprint == again.fingerprint
    assert test.fingerprint != data.fingerprint
    assert not np.array_equal(test.examples, data.examples)
    assert absolute_name('moving:folder:x') == f'moving:folder:{os.path.abspath("x")}'
    assert load('moving_one:coloured:digits', size=20).shape == (16, 20, 20, 3)


@pytest.mark.parametrize(
    ('name', 'size', 'message'),
    [
        ('moving:digits', 16, 'needs frames of 17 or more pixels along each side, not 16'),
        ('moving:motions', 64, "'motions' is a set of clips, not of images"),
        ('moving:classes:digits:3:8', 32, 'already has two domains'),
    ],
)
def test_what_cannot_move_is_refused(name, size, message):
    with pytest.raises(UserError, match=message):
        load(name, size=size)
