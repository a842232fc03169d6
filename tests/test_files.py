"""Files written whole and durably, and what is left of those that were not finished."""

import os
import time

import pytest

from gan_jax.errors import UserError
from gan_jax.records import files


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    path, synced = tmp_path / 'config.json', []

    def sync(descriptor):
        os.lseek(descriptor, 0, os.SEEK_SET)
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, 'fsync', sync)
    files.replace(path, b'{}\n')
    assert synced == [(3, False)]
    assert path.read_bytes() == b'{}\n'


def test_unfinished_files_are_swept_and_no_others(tmp_path):
    unfinished = [tmp_path / f'.{name}.{"0123456789abcdef" * 2}.tmp' for name in ('a.png', 'b.json')]
    others = [tmp_path / name for name in ('a.png', '.a.png.tmp', f'a.png.{"0" * 32}.tmp', f'.a.{"0" * 31}.tmp')]
    for path in [*unfinished, *others]:
        path.write_bytes(b'')
    os.utime(unfinished[0], (time.time() - 7200,) * 2)
    files.sweep(tmp_path, idle_seconds=3600)
    assert [path.exists() for path in unfinished] == [False, True]
    files.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
    files.sweep(tmp_path / 'nowhere')


@pytest.mark.parametrize('content', [b'[]', b'null', b'torn {', b'\xff', b'[' * 100_000])
def test_what_is_no_object_is_one_sentence(tmp_path, content):
    path = tmp_path / 'run.json'
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf'^{path} is damaged: it is not '):
        files.read_object(path)


def test_a_directory_in_the_place_of_a_file_is_one_sentence(tmp_path):
    path = tmp_path / 'report.html'
    path.mkdir()
    with pytest.raises(UserError, match=rf'^{path} cannot be written \(Is a directory\): move it away, then run'):
        files.replace(path, b'')
    with pytest.raises(UserError, match=rf'^{path} cannot be written \(Is a directory\): move it away, then run'):
        files.remove(path)
    with pytest.raises(UserError, match=rf'^{path} cannot be read \(Is a directory\)\.$'):
        files.read_object(path)
    assert list(tmp_path.iterdir()) == [path]
