"""PyTorch's files without PyTorch: both formats, and files that are cut off, of other kinds, or out for harm."""

import collections
import os
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest
from random_inception import GOLDEN

from gan_jax.errors import UserError
from gan_jax.evaluation.features import torch_file
from gan_jax.evaluation.features.torch_file import read_torch_file
from tests import torch_files

FORMATS = ['inception_zip.pth', 'inception_legacy.pth']


def zipped(path, data_pkl, **others):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', data_pkl)
        for name, data in others.items():
            archive.writestr(f'archive/{name}', data)
    return path


def legacy(path, data_pkl):
    header = [0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}]
    path.write_bytes(b''.join(map(pickle.dumps, header)) + data_pkl + pickle.dumps([]))
    return path


def refusal(path):
    with pytest.raises(UserError) as caught:
        read_torch_file(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize('name', FORMATS)
def test_tensors_of_both_formats(name):
    """golden/inception_torch_files.py says what is in them."""
    arrays = read_torch_file(GOLDEN / name)
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = {
        'base': base,
        'transposed': base.T,
        'part': base[1:, ::2],
        'parameter': base.astype(np.float64) / 8,
        'half': np.array([0.5, -2], np.float16),
        'counter': np.array(2**40),
        'mask': np.array([True, False]),
        'empty': np.zeros((0, 3), np.float32),
    }
    assert list(arrays) == list(expected)
    for key, array in expected.items():
        assert arrays[key].dtype == array.dtype
        assert arrays[key].shape == array.shape
        np.testing.assert_array_equal(arrays[key], array)


@pytest.mark.parametrize('name', FORMATS)
def test_every_cut_is_seen(tmp_path, name):
    data = (GOLDEN / name).read_bytes()
    path = tmp_path / 'cut.pth'
    for length in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        assert refusal(path).endswith('it is damaged, download it again.')


class Harm:
    def __reduce__(self):
        return os.mkdir, ('harm',)


class NumpyHarm:
    def __reduce__(self):
        return np.load, ('harm',)


@pytest.mark.parametrize('make', [zipped, legacy])
@pytest.mark.parametrize(('thing', 'name'), [(Harm(), 'posix.mkdir'), (NumpyHarm(), 'numpy.load')])
def test_a_file_that_calls_functions_is_refused(tmp_path, monkeypatch, make, thing, name):
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / 'harm.pth', pickle.dumps({'weight': thing}))
    assert f'(it uses {name}, which tensors do not need)' in refusal(path)
    assert not (tmp_path / 'harm').exists()


@pytest.mark.parametrize('make', [zipped, legacy])
@pytest.mark.parametrize('value', [[1, 2], {'epoch': 3}, {'model': collections.OrderedDict()}])
def test_other_things_than_state_dicts_are_refused(tmp_path, make, value):
    assert 'it is not a dict from names to tensors' in refusal(make(tmp_path / 'other.pth', pickle.dumps(value)))


def one_tensor(path, offset, shape, strides):
    """A state dict of one tensor over a storage of four numbers."""
    storage = ('persistent', 'storage', torch_files.Named('torch', 'FloatStorage'), '0', 'cpu', 4)
    tensor = torch_files.Named(
        'torch._utils', '_rebuild_tensor_v2', storage, offset, shape, strides, False, collections.OrderedDict()
    )
    return zipped(path, torch_files.pickled({'weight': tensor}), **{'data/0': struct.pack('<4f', 0, 1, 2, 3)})


def test_a_tensor_may_use_all_of_its_storage(tmp_path):
    array = read_torch_file(one_tensor(tmp_path / 'whole.pth', 1, (2, 2), (1, 1)))['weight']
    np.testing.assert_array_equal(array, [[1, 2], [2, 3]])


@pytest.mark.parametrize(
    ('offset', 'shape', 'strides'),
    [(0, (5,), (1,)), (1, (2, 2), (2, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)), (3, (2,), ())],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, offset, shape, strides):
    assert 'a tensor' in refusal(one_tensor(tmp_path / 'beyond.pth', offset, shape, strides))


def test_a_missing_file_is_one_sentence(tmp_path):
    assert refusal(tmp_path / 'none.pth').endswith('none.pth cannot be read (No such file or directory).')


def test_versions_of_layers_beside_the_tensors_are_left_away(tmp_path):
    """What `state_dict()` gives is an OrderedDict with an attribute."""
    state = collections.OrderedDict()
    state._metadata = collections.OrderedDict({'': {'version': 1}})
    assert b'_metadata' in pickle.dumps(state, 2)
    assert read_torch_file(zipped(tmp_path / 'versions.pth', pickle.dumps(state, 2))) == {}


def test_what_a_file_unpacks_to_is_no_larger_than_itself(tmp_path):
    path = zipped(tmp_path / 'bomb.pth', pickle.dumps({}))
    with zipfile.ZipFile(path, 'a', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data/0', bytes(10_000_000))
    assert path.stat().st_size < 20_000
    assert re.search(r'its [\d,]+ bytes unpack to 10,000,00\d, but its contents should not be', refusal(path))


def test_a_tensor_that_repeats_its_storage_takes_no_memory(tmp_path):
    array = read_torch_file(one_tensor(tmp_path / 'repeated.pth', 1, (10**6, 10**6), (0, 0)))['weight']
    assert array.shape == (10**6, 10**6)
    assert array[-1, -1] == 1


@pytest.mark.parametrize('make', [zipped, legacy])
def test_a_table_larger_than_the_file_is_refused(tmp_path, make):
    """Python's own unpickler would allocate 16 bytes for each of its entries."""
    path = make(tmp_path / 'table.pth', b'\x80\x02}r\xff\xff\xff\xff.')
    assert 'it declares a table that is larger than the file' in refusal(path)


@pytest.mark.parametrize('make', [zipped, legacy])
@pytest.mark.parametrize(
    'name', [b'torch._utils\n_rebuild_tensor', b'collections\nOrderedDict', b'torch\nFloatStorage']
)
def test_a_file_sets_no_attributes_that_outlive_it(tmp_path, make, name):
    path = make(tmp_path / 'build.pth', b'\x80\x02c' + name + b'\nN}X\x07\x00\x00\x00plantedK\x01s\x86b.')
    refusal(path)
    kept = [
        torch_file.Tensor,
        torch_file.Storage,
        torch_file._Entries,
        torch_file.TensorUnpickler,
        collections.OrderedDict,
    ]
    assert not any(hasattr(one, 'planted') for one in kept)


def test_names_are_strings(tmp_path):
    assert 'it is not a dict from names to tensors' in refusal(zipped(tmp_path / 'x.pth', pickle.dumps({('a',): 1})))


@pytest.mark.parametrize('legacy', [False, True])
def test_a_state_dict_may_lie_in_a_checkpoint(tmp_path, legacy):
    weight, moment = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3)
    checkpoint = {
        'global_step': 7,
        'optimizer': {'state': {0: {'moment': moment}}, 'param_groups': [{'betas': (0.0, 0.9), 'params': [0]}]},
        'model': {'weight': weight},
    }
    path = torch_files.save(tmp_path / 'checkpoint.pth', checkpoint, legacy=legacy)
    arrays = read_torch_file(path, ('state', 'model'))
    assert list(arrays) == ['weight']
    np.testing.assert_array_equal(arrays['weight'], weight)
    assert 'it is not a dict from names to tensors' in refusal(path)
