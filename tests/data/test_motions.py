"""The clips of moving shapes: motions, still backgrounds, and what is refused."""

import numpy as np
import pytest

from gan_jax.data import load, motions
from gan_jax.errors import UserError


def centres(cover):
    """The centre (row, column) of the shape in each frame, in shares of the side."""
    weights = cover[..., 0] / cover[..., 0].sum(axis=(1, 2), keepdims=True)
    ticks = (np.arange(cover.shape[1]) + 0.5) / cover.shape[1]
    return np.stack([(weights * ticks[:, None]).sum((1, 2)), (weights * ticks).sum((1, 2))], axis=1)


@pytest.mark.parametrize(('motion', 'axis'), [(0, 1), (1, 0)])
def test_a_shape_moves_along_one_axis(motion, axis):
    for seed in range(5):
        _, cover = motions.clip(motion, 32, np.random.default_rng(seed))
        spread = np.ptp(centres(cover), axis=0)
        assert spread[axis] > 0.3
        assert spread[1 - axis] < 0.02


def test_a_circular_motion_keeps_its_distance_from_the_middle():
    for seed in range(5):
        _, cover = motions.clip(2, 64, np.random.default_rng(seed))
        distances = np.linalg.norm(centres(cover) - 0.5, axis=1)
        assert np.ptp(distances) < 0.1 * distances.mean() + 0.05
        assert np.ptp(centres(cover), axis=0).min() > 0.3


def test_the_background_is_still_and_the_shape_has_one_colour():
    frames, cover = motions.clip(0, 32, np.random.default_rng(3))
    outside = (cover == 0).all(axis=0)[..., 0]
    assert (frames[:, outside] == frames[0, outside]).all()
    inside = np.unique(frames[cover[..., 0] == 1], axis=0)
    assert inside.shape == (1, 3)
    assert inside[0].tolist() in motions.COLORS.tolist()


@pytest.mark.parametrize(('shape', 'area'), [('disc', np.pi), ('square', 2.0), ('triangle', 0.75 * 3**0.5)])
def test_shapes_have_the_area_of_their_circumscribed_circle(shape, area):
    ticks = np.linspace(-1, 1, 801)
    share = motions._inside(shape, ticks[:, None], ticks[None, :], 0.8).mean()
    assert 4 * share / 0.64 == pytest.approx(area, rel=0.01)


def test_a_split_alternates_its_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 6, 'test': 3})
    dataset = load('motions', size=16, cache_dir=tmp_path, show_progress=False)
    assert dataset.examples.shape == (6, 16, 16, 16, 3)
    assert dataset.labels.tolist() == [0, 1, 2, 0, 1, 2]
    test = load('motions', split='test', size=16, cache_dir=tmp_path, show_progress=False)
    assert not np.array_equal(test.examples, dataset.examples[:3])
    plain = load('plain_motions', size=16, cache_dir=tmp_path, show_progress=False)
    assert plain.labels.tolist() == dataset.labels.tolist()
    assert (plain.examples == 0).mean() > 0.5


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('motions', {'size': 8}, 'needs frames of 16 or more pixels'),
        ('motions', {'channels': 1}, 'its own number of channels'),
        ('motions:fast', {}, 'motions has no variants'),
    ],
)
def test_what_is_impossible_gets_a_sentence(name, options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(name, cache_dir=tmp_path, **options)


def test_contents_are_the_shapes_and_colours_that_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(motions, '_SPLITS', {'train': 12, 'test': 3})
    dataset = load('motions', size=32, cache_dir=tmp_path, show_progress=False)
    for example, content in zip(dataset.examples, dataset.contents, strict=True):
        pixels = example.reshape(-1, 3)
        counts = [(pixels == color).all(axis=1).sum() for color in motions.COLORS]
        assert np.argmax(counts) == content % len(motions.COLORS)
        assert max(counts) > 0
    shapes = {motions.SHAPES[content // len(motions.COLORS)] for content in dataset.contents}
    assert len(shapes) > 1
    np.testing.assert_array_equal(dataset.select(np.array([4, 1]), 'two').contents, dataset.contents[[4, 1]])


def test_plain_motions_are_over_black():
    frames, cover = motions.clip(1, 32, np.random.default_rng(3), plain=True)
    assert (frames[cover[..., 0] == 0] == 0).all()
    assert (frames[cover[..., 0] == 1].max(-1) > 200).all()
    other, elsewhere = motions.clip(1, 32, np.random.default_rng(4), plain=True)
    assert not np.array_equal(other, frames)
    assert np.ptp(centres(elsewhere), axis=0)[0] > 0.3
