"""Directories of point clouds and of solids."""

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.examples.binvox import from_binvox
from gan_jax.examples.clouds import fitted, to_ply

CLOUDS = np.random.default_rng(0).uniform(-3, 5, (3, 20, 3))
BOX = np.zeros((8, 8, 8), bool)
BOX[1:3, 2:5, 3:7] = True  # up, back, right


def as_binvox(solid):
    order = solid[:, ::-1].transpose(2, 1, 0).ravel()
    runs = [(int(value), 1) for value in order]
    sides = ' '.join(map(str, solid.transpose(2, 1, 0).shape))
    header = f'#binvox 1\ndim {sides}\ntranslate -0.5 -0.5 -0.5\nscale 1\ndata\n'
    return header.encode() + bytes(number for run in runs for number in run)


def load_folder(root, tmp_path, **options):
    return load(f'folder:{root}', cache_dir=tmp_path / 'cache', show_progress=False, **options)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'files').mkdir()
    return tmp_path / 'files'


def test_clouds_of_both_formats_are_fitted_to_the_sphere(root, tmp_path):
    for name, points in zip(('a', 'b'), CLOUDS, strict=False):
        (root / name).mkdir()
        (root / name / '1.ply').write_bytes(to_ply(points))
    np.save(root / 'b/2.npy', CLOUDS[2])
    data = load_folder(root, tmp_path)
    assert data.examples.dtype == np.float32
    assert data.labels.tolist() == [0, 1, 1]
    np.testing.assert_allclose(data.examples, np.stack([fitted(cloud) for cloud in CLOUDS]), atol=1e-6)
    again = load_folder(root, tmp_path)
    assert again.fingerprint == data.fingerprint


def test_a_size_chooses_points_of_larger_clouds(root, tmp_path):
    for number in (20, 17):
        np.save(root / f'{number}.npy', CLOUDS[0, :number])
    with pytest.raises(
        UserError, match=r"20\.npy' is a cloud of 20 points and .*17\.npy' is a cloud of 17 points: give"
    ):
        load_folder(root, tmp_path)
    data = load_folder(root, tmp_path, size=16)
    assert data.shape == (16, 3)
    chosen = {tuple(point) for point in data.examples[1].tolist()}
    assert len(chosen) == 16
    assert chosen <= {tuple(point) for point in fitted(CLOUDS[0]).tolist()}
    with pytest.raises(UserError, match=r'is a cloud of 17 points, and data\.size is 18: set it to 17 or less'):
        load_folder(root, tmp_path, size=18)


@pytest.mark.parametrize(
    ('array', 'inside'),
    [
        (BOX, BOX),
        (BOX[..., None], BOX),
        (BOX.astype(np.uint8), BOX),
        (BOX * np.uint8(200), BOX),
        (BOX * 0.7 + 0.1, BOX),
    ],
)
def test_solids_of_arrays(root, tmp_path, array, inside):
    np.save(root / '1.npy', array)
    data = load_folder(root, tmp_path)
    assert data.examples.dtype == np.uint8
    np.testing.assert_array_equal(data.examples[0, ..., 0], inside * np.uint8(255))


def test_solids_of_binvox(root, tmp_path):
    (root / '1.binvox').write_bytes(as_binvox(BOX))
    np.testing.assert_array_equal(load_folder(root, tmp_path).examples[0, ..., 0], BOX * np.uint8(255))
    # binvox: right, front and up, the last fastest; runs of a value
    voxels = from_binvox(b'#binvox 1\ndim 2 2 2\ndata\n' + bytes([0, 1, 1, 2, 0, 5]))
    assert np.argwhere(voxels).tolist() == [[0, 0, 0], [1, 1, 0]]  # in front low, behind high: up, back, right


@pytest.mark.parametrize(
    ('name', 'contents', 'message'),
    [
        ('1.ply', to_ply(CLOUDS[0][:0]), 'it has no points'),
        ('1.ply', b'', 'no header of a .ply file'),
        ('1.npy', np.full((5, 3), np.nan), 'coordinates that are not finite'),
        ('1.npy', np.ones((5, 3)), 'all of its points coincide'),
        ('1.npy', np.zeros((5, 2)), 'its points have 2 coordinates, not 3'),
        ('1.npy', BOX[:4], r'its voxels are no cube but \[4, 8, 8\]'),
        ('1.binvox', as_binvox(BOX[:4]), r'its voxels are no cube but \[4, 8, 8\]'),
        ('1.binvox', as_binvox(BOX)[:-2], 'it has 511 voxels, not 8 x 8 x 8'),
        ('1.binvox', b'#binvox 1\ndim 0 0 0\ndata\n', r'its voxels are no cube but \[0, 0, 0\]'),
        ('1.binvox', b'#binvox 2', 'no header of a .binvox file'),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(root, tmp_path, name, contents, message):
    if isinstance(contents, bytes):
        (root / name).write_bytes(contents)
    else:
        np.save(root / name, contents)
    with pytest.raises(UserError, match=rf"{name}' cannot be read as a point cloud or solid \(.*{message}"):
        load_folder(root, tmp_path)


def test_an_empty_file_gets_a_sentence(root, tmp_path):
    np.save(root / '1.npy', BOX)
    (root / '2.npy').write_bytes(b'')
    with pytest.raises(UserError, match=r"2\.npy' cannot be read as a point cloud or solid \(No data left in file\)"):
        load_folder(root, tmp_path)
    (root / '1.npy').unlink()
    with pytest.raises(UserError, match=r"2\.npy' cannot be read as an image \(No data left in file\)"):
        load_folder(root, tmp_path)


def test_what_numpy_reads_as_no_numbers_gets_a_sentence(root, tmp_path):
    np.savez(root / 'archive.npz', BOX)
    np.save(root / 'words.npy', [['a', 'b', 'c']])
    named = {'archive': (root / 'archive.npz').read_bytes(), 'words': (root / 'words.npy').read_bytes()}
    for file in root.iterdir():
        file.unlink()
    np.save(root / '2.npy', np.zeros((0, 5), np.uint8))
    for contents in ((root / '2.npy').read_bytes(), *named.values(), b'PK\x03\x04'):
        (root / '2.npy').write_bytes(contents)
        with pytest.raises(UserError, match=r"2\.npy' cannot be read as an image \(.+\): replace or remove it"):
            load_folder(root, tmp_path)
    np.save(root / '1.npy', CLOUDS[0])
    for contents in (*named.values(), b'PK\x03\x04'):
        (root / '2.npy').write_bytes(contents)
        with pytest.raises(UserError, match=r"2\.npy' cannot be read as a point cloud or solid \(.+\): replace or"):
            load_folder(root, tmp_path)


def test_kinds_cannot_be_mixed(root, tmp_path, write_image):
    np.save(root / '1.npy', CLOUDS[0])
    np.save(root / '2.npy', BOX)
    with pytest.raises(UserError, match=r'is a solid of 8\^3 voxels and .* is a cloud of 20 points'):
        load_folder(root, tmp_path)
    (root / '2.npy').unlink()
    write_image(root / '3.png', np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"3\.png' cannot be read as a point cloud or solid \(it is an image\)"):
        load_folder(root, tmp_path)
    with pytest.raises(UserError, match='which have no colours'):
        load_folder(root, tmp_path, channels=1)
