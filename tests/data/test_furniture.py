"""The furniture: classes, splits, and what is refused."""

import numpy as np
import pytest

from gan_jax.data import furniture, load
from gan_jax.errors import UserError


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(furniture, '_SPLITS', {'train': 16, 'test': 8})


@pytest.mark.usefixtures('few')
def test_a_split_is_computed_once_and_kept(tmp_path, monkeypatch):
    dataset = load('furniture', size=16, cache_dir=tmp_path, show_progress=False)
    assert dataset.examples.shape == (16, 16, 16, 16, 1)
    assert set(np.unique(dataset.examples)) == {0, 255}
    assert dataset.labels.tolist() == [0, 1, 2, 3] * 4
    assert dataset.class_names == ('table', 'chair', 'lamp', 'mug')
    monkeypatch.setattr(furniture, 'voxels', None)  # which computes them
    again = load('furniture', size=16, cache_dir=tmp_path, show_progress=False)
    assert again.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(again.examples, dataset.examples)


def test_the_test_split_is_higher_and_wider():
    def extents(large):
        made = [furniture.draw(0, np.random.default_rng(i), large=large) for i in range(200)]
        tops = np.array([shape[0].high[0] for shape in made])
        widths = np.array([shape[0].high[2] - shape[0].low[2] for shape in made])
        return (tops - 0.38) / 0.4, (widths - 0.5) / 0.4  # shares of their ranges

    (tops, widths), (train_tops, train_widths) = extents(large=True), extents(large=False)
    corner = 1 - 0.2**0.5
    assert tops.min() > corner
    assert widths.min() > corner
    assert not ((train_tops > corner) & (train_widths > corner)).any()
    assert train_tops.max() > 0.9


@pytest.mark.parametrize('label', range(4))
def test_every_piece_is_in_the_cube_and_symmetric_where_it_should_be(label):
    for i in range(20):
        solid = furniture.voxels(furniture.draw(label, np.random.default_rng([7, i]), large=i % 2 == 0), 32)
        assert 0.005 < solid.mean() < 0.35
        faces = [solid.take(end, axis=axis) for axis in range(3) for end in (0, -1)]
        assert not any(face.any() for face in faces)
        mirrored = solid[:, ::-1] if label == 3 else solid[:, :, ::-1]  # a mug has its handle on the right
        assert (solid == mirrored).mean() > 0.99


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'split': 'train[:10]'}, "has no split 'train"),
        ({'size': 8}, 'needs 16 or more voxels'),
        ({'channels': 3}, 'its own number of channels'),
    ],
)
def test_what_is_impossible_gets_a_sentence(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load('furniture', cache_dir=tmp_path, **options)


def test_solids_are_no_images(tmp_path, few):
    with pytest.raises(UserError, match='a set of solids, not of images'):
        load('edges:furniture', size=16, cache_dir=tmp_path, show_progress=False)
