"""Own files of arrays: whole ones, and what is none."""

import io
import zipfile

import numpy as np
import pytest

from gan_jax.records import npz


def reason(path):
    with pytest.raises(ValueError, match=r'.') as caught:
        npz.load(path)
    return str(caught.value)


def test_arrays_and_texts_come_back(tmp_path):
    npz.save(tmp_path / 'new' / 'x.npz', {'a': np.arange(3), 'b': np.zeros((0, 2)), 'text': 'published'})
    arrays = npz.load(tmp_path / 'new' / 'x.npz')
    assert list(arrays) == ['a', 'b', 'text']
    np.testing.assert_array_equal(arrays['a'], [0, 1, 2])
    assert arrays['b'].shape == (0, 2)
    assert str(arrays['text']) == 'published'


def test_what_is_no_archive_of_arrays_has_a_reason(tmp_path):
    path = tmp_path / 'x.npz'
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for data in (b'', b'a text', b'\x93NUMPY', array.getvalue()):  # the last is an .npy under the name of an .npz
        path.write_bytes(data)
        assert reason(path) == 'it is not a NumPy archive'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('notes.txt', 'text')
    assert reason(path) == 'its member notes.txt is not an array'
    np.savez(path, a=np.array([{}]))
    assert 'Object arrays cannot be loaded' in reason(path)
    with pytest.raises(FileNotFoundError):
        npz.load(tmp_path / 'none.npz')


def test_damage_is_a_reason_wherever_it_is(tmp_path):
    path = tmp_path / 'damaged.npz'
    for save, begin in ((np.savez, 200), (np.savez_compressed, 60)):  # behind the headers
        save(tmp_path / 'whole.npz', a=np.random.default_rng(0).integers(0, 9, 40))
        whole = (tmp_path / 'whole.npz').read_bytes()
        for place in range(begin, begin + 60, 5):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
            reason(path)


def test_a_file_takes_no_more_memory_than_its_size(tmp_path):
    np.savez_compressed(tmp_path / 'x.npz', a=np.zeros(10**6))
    assert 'bytes unpack to 8,000,128, but its contents should not be compressed' in reason(tmp_path / 'x.npz')
