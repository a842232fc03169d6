"""What files and arrays are known by, and what is remembered of files."""

import os
import pathlib
import re
import shutil

import numpy as np
import pytest

from gan_jax.data import fingerprints
from gan_jax.errors import UserError

CONTENTS = [b'', b'a', bytes(3_000_000)]
HASHES = [  # by sha256sum
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb',
    '35bce4eae54ec8e6cc2868baa8d157914d6ae2858811b4cc0c078c94460fa26f',
]


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Three files, which need not rest before they are remembered."""
    monkeypatch.setattr(fingerprints, '_SETTLED_NANOSECONDS', 0)
    for i, content in enumerate(CONTENTS):
        (tmp_path / f'{i}').write_bytes(content)
    return [tmp_path / f'{i}' for i in range(3)]


def hash_files(paths):
    return fingerprints.of_files(
        paths, pathlib.Path(paths[0]).parent / 'hashes/one.json', title='', show_progress=False
    )


def refuse_to_read(monkeypatch):
    def read(path):
        raise AssertionError(f'{path} was read')

    monkeypatch.setattr(fingerprints, '_read', read)


def test_files_are_read_once(paths, monkeypatch):
    assert hash_files(paths) == HASHES
    refuse_to_read(monkeypatch)
    assert hash_files(paths) == HASHES
    assert hash_files(paths[::-1]) == HASHES[::-1]


def rewrite(path):
    """Contents of the same length, and the same time of modification."""
    time = path.stat().st_mtime_ns
    path.write_bytes(b'b')
    os.utime(path, ns=(time, time))


def replace(path):
    """Another file, of the same length and time, under the same name."""
    copy = path.with_name('copy')
    shutil.copy2(path, copy)
    rewrite(copy)
    copy.replace(path)


@pytest.mark.parametrize('change', [rewrite, replace])
def test_a_changed_file_is_read_again_alone(paths, monkeypatch, change):
    hash_files(paths)
    change(paths[1])
    monkeypatch.setattr(fingerprints, '_read', {str(paths[1]): 'new'}.__getitem__)
    assert hash_files(paths) == [HASHES[0], 'new', HASHES[2]]


def test_a_file_that_has_just_changed_is_not_remembered(paths, monkeypatch):
    monkeypatch.setattr(fingerprints, '_SETTLED_NANOSECONDS', 10**12)
    assert hash_files(paths) == HASHES
    refuse_to_read(monkeypatch)
    with pytest.raises(AssertionError, match='was read'):
        hash_files(paths)


@pytest.mark.parametrize('damage', ['{"a": ', 'null', '[]', '{"a": 3}', '{"a": []}'])
def test_a_damaged_memory_costs_nothing_but_time(paths, damage):
    hash_files(paths)
    memory = paths[0].parent / 'hashes/one.json'
    memory.write_text(damage)
    with pytest.warns(UserWarning, match=rf'^The hashes in {re.escape(str(memory))} are damaged'):
        assert hash_files(paths) == HASHES
    assert hash_files(paths) == HASHES


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(paths):
    (paths[0].parent / 'hashes/one.json').mkdir(parents=True)
    with pytest.warns(UserWarning, match='^The hashes') as caught:
        assert hash_files(paths) == HASHES
    assert [str(warning.message).partition(' (')[0] for warning in caught] == [
        f'The hashes in {paths[0].parent}/hashes/one.json are damaged',
        f'The hashes {paths[0].parent}/hashes/one.json cannot be written',
    ]


def test_a_file_that_cannot_be_read(paths):
    paths[1].unlink()
    with pytest.raises(UserError) as caught:
        hash_files(paths)
    assert str(caught.value) == f"'{paths[1]}' cannot be read (No such file or directory): replace or remove it."


def test_arrays_are_known_by_shape_type_and_bits():
    examples = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    labels = np.arange(2, dtype=np.int32)
    same = fingerprints.of_arrays(examples, labels)
    assert fingerprints.of_arrays(np.asfortranarray(examples), labels.copy()) == same
    others = [
        (examples, None),
        (examples, labels + 1),
        (examples, labels.astype(np.int64)),
        (examples.reshape(2, 4, 3), labels),
        (examples.view(np.int8), labels),
        (examples ^ 1, labels),
    ]
    assert same not in [fingerprints.of_arrays(*arrays) for arrays in others]
