"""Images of several sizes that stay as they are."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load
from gan_jax.errors import UserError


def load_mixed(root, tmp_path, **kwargs):
    return load(f'folder:{root}', cache_dir=tmp_path / 'cache', show_progress=False, mixed=True, **kwargs)


@pytest.fixture
def mixed(folder, write_image):
    """The folder of two classes with a grey image of another size in the second."""
    write_image(folder / 'b/4.png', np.full((5, 7), 40))
    return folder


def test_each_keeps_its_size(mixed, tmp_path):
    data = load_mixed(mixed, tmp_path)
    assert data.shape == (None, None, 3)
    assert len(data) == 4
    first, second = data.examples.batches(3)
    assert [image.shape for image in (*first, *second)] == [(4, 6, 3)] * 3 + [(5, 7, 3)]
    assert [image[0, 0].tolist() for image in (*first, *second)] == [*([i, 0, 255] for i in (10, 20, 30)), [40] * 3]
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1])
    assert data.labels.dtype == np.int32
    assert data.class_names == ('a', 'b')
    assert data.examples.difference == f"'{mixed}/a/1.png' is 4x6, '{mixed}/b/4.png' is 5x7"
    assert not list((tmp_path / 'cache').rglob('examples.npy'))


def test_a_size_or_one_size_make_an_array(mixed, tmp_path):
    assert load_mixed(mixed, tmp_path, size=8).examples.shape == (4, 8, 8, 3)
    (mixed / 'b/4.png').unlink()
    assert load_mixed(mixed, tmp_path).examples.shape == (3, 4, 6, 3)


def test_the_fingerprint_tells_what_decides_the_images(mixed, tmp_path, write_image):
    original = load_mixed(mixed, tmp_path).fingerprint
    assert load_mixed(mixed, tmp_path).fingerprint == original
    assert load_mixed(mixed.rename(tmp_path / 'moved'), tmp_path).fingerprint == original
    others = [
        load_mixed(tmp_path / 'moved', tmp_path, **options).fingerprint
        for options in ({'channels': 1}, {'split': 'train[1:]'})
    ]
    write_image(tmp_path / 'moved/b/4.png', np.full((5, 7), 41))
    others.append(load_mixed(tmp_path / 'moved', tmp_path).fingerprint)
    assert len({original, *others}) == 4


def test_what_is_wrong_with_the_files_is_said_as_of_those_of_one_size(tmp_path, write_image):
    for size in (2, 3):
        write_image(tmp_path / f'dark/{size}.png', Image.fromarray(np.full((size, size), 1023, np.uint16)))
    dark = load_mixed(tmp_path / 'dark', tmp_path)
    with pytest.raises(UserError, match='have 16 bits per value and use 10 of them at most'):
        list(dark.examples.batches(1))
    (tmp_path / 'dark/3.png').write_text('no image')
    with pytest.raises(UserError, match=r"3\.png' cannot be read as an image"):
        list(dark.examples.batches(1))
    write_image(tmp_path / 'dark/3.png', np.full((3, 3), 9))
    with pytest.warns(UserWarning, match='are grey, judging from 2 of them:'):
        load_mixed(tmp_path / 'dark', tmp_path, channels=3)
