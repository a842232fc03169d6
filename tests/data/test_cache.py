"""The cache of decoded data sets: what is damaged, raced for, unwritable or full."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from gan_jax.data import cache, fingerprints, load
from gan_jax.data.cache import cache_directory, open_or_build
from gan_jax.data.images import DecodedImages
from gan_jax.errors import UserError

EXAMPLES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(10, dtype=np.int32)
PLACE = {'place': '/pictures', 'size': None}
KEY = 'hash'


def decoded(examples=EXAMPLES, labels=LABELS):
    chunks = ((examples[i : i + 4], None if labels is None else labels[i : i + 4]) for i in range(0, 10, 4))
    return DecodedImages(examples.shape, chunks)


def never():
    raise AssertionError('the entry was not taken from the cache')


@pytest.fixture
def entry(tmp_path):
    """The directory of a valid entry of KEY under tmp_path."""
    open_or_build(tmp_path, 'test', PLACE, KEY, decoded)
    [directory] = (tmp_path / 'decoded').iterdir()
    return directory


def assert_valid(arrays):
    np.testing.assert_array_equal(arrays[0], EXAMPLES)
    np.testing.assert_array_equal(arrays[1], LABELS)


def test_second_start_maps_the_files_and_builds_nothing(tmp_path, entry):
    decoded = open_or_build(tmp_path, 'test', PLACE, KEY, never)
    examples = decoded.examples
    assert_valid(decoded)
    assert decoded.fingerprint == fingerprints.of_arrays(EXAMPLES, LABELS)
    assert isinstance(examples, np.memmap)
    assert not examples.flags.writeable
    assert sorted(path.name for path in entry.iterdir()) == ['examples.npy', 'labels.npy', 'meta.json']


def test_without_labels(tmp_path):
    assert open_or_build(tmp_path, 'test', PLACE, KEY, lambda: decoded(labels=None))[1] is None
    assert open_or_build(tmp_path, 'test', PLACE, KEY, never)[1] is None


def test_other_images_take_the_place_of_the_former_ones(tmp_path, entry, recwarn):
    before = open_or_build(tmp_path, 'test', PLACE, KEY, never)
    other = open_or_build(tmp_path, 'test', PLACE, 'other hash', lambda: decoded(255 - EXAMPLES))
    np.testing.assert_array_equal(other.examples, 255 - EXAMPLES)
    assert_valid(before)  # who had them still has them
    assert list(entry.parent.iterdir()) == [entry]
    assert_valid(open_or_build(tmp_path, 'test', PLACE, KEY, decoded))
    assert not recwarn


def test_an_entry_that_is_in_another_places_way_is_replaced(tmp_path, entry):
    other = open_or_build(tmp_path, 'test', {**PLACE, 'size': 4}, KEY, lambda: decoded(255 - EXAMPLES))
    np.testing.assert_array_equal(other.examples, 255 - EXAMPLES)


def test_names_of_places():
    names = [
        cache.entry_name(name, 'train', place)
        for name, place in (
            ('folder:a/samples', 1),
            ('folder:b/samples/', 2),
            ('mnist', 1),
            ('folder:/' + 'x' * 250, 1),
        )
    ]
    assert [name[:-16] for name in names] == ['samples-train-', 'samples-train-', 'mnist-train-', 'x' * 80 + '-']
    assert len({name[-16:] for name in names}) == 2
    assert len(cache.entry_name('folder:/' + '数' * 85, 'train', 1).encode()) <= 97  # and not too long for a file


def age(path, days):
    for one in (*path.rglob('*'), path):
        os.utime(one, (time.time() - days * 86400,) * 2)


def test_what_was_not_opened_for_90_days_goes_with_the_next_that_is_written(tmp_path):
    for name, days in (('old', 91), ('young', 89), ('used', 91)):
        open_or_build(tmp_path, name, PLACE, KEY, decoded)
        age(tmp_path / 'decoded' / name, days)
    assert_valid(open_or_build(tmp_path, 'used', PLACE, KEY, never))
    open_or_build(tmp_path, 'new', PLACE, KEY, decoded)
    assert sorted(path.name for path in (tmp_path / 'decoded').iterdir()) == ['new', 'used', 'young']


def truncate(entry):
    os.truncate(entry / 'examples.npy', 300)


def cut_labels(entry):
    np.save(entry / 'labels.npy', LABELS[:5])


def overwrite(entry):
    with open(entry / 'examples.npy', 'r+b') as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([EXAMPLES[-1, -1, -1, -1] ^ 1]))


def lose_examples(entry):
    (entry / 'examples.npy').unlink()


def lose_meta(entry):
    (entry / 'meta.json').unlink()


def break_meta(entry):
    (entry / 'meta.json').write_text('{"key": ')


def replace_meta(entry):
    (entry / 'meta.json').write_text('[]')


DAMAGES = [truncate, cut_labels, overwrite, lose_examples, lose_meta, break_meta, replace_meta]


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_entry_is_built_again_with_a_warning(tmp_path, entry, damage):
    damage(entry)
    with pytest.warns(
        UserWarning, match=rf'^The decoded data set {re.escape(str(entry))} is damaged \(.*\); rebuilding'
    ):
        assert_valid(open_or_build(tmp_path, 'test', PLACE, KEY, decoded))
    assert_valid(open_or_build(tmp_path, 'test', PLACE, KEY, never))
    assert list(entry.parent.iterdir()) == [entry]


def test_damage_in_the_middle_of_a_file_too_long_to_read_whole(tmp_path):
    examples = np.zeros((10, 2000, 1000, 1), np.uint8)
    open_or_build(tmp_path, 'test', PLACE, KEY, lambda: decoded(examples))
    [entry] = (tmp_path / 'decoded').iterdir()
    with open(entry / 'examples.npy', 'r+b') as file:
        file.seek(10_000_000)
        file.write(b'\1' * 100_000)
    with pytest.warns(UserWarning, match='examples.npy has changed since it was written'):
        open_or_build(tmp_path, 'test', PLACE, KEY, lambda: decoded(examples))


@pytest.mark.parametrize('damaged', [False, True])
def test_a_process_that_comes_second_takes_what_the_first_has_written(tmp_path, damaged):
    arrays = []

    def overtaken():
        """While this builds, another process builds the same entry from beginning to end."""
        arrays.append(open_or_build(tmp_path, 'test', PLACE, KEY, decoded))
        if damaged:
            [entry] = (tmp_path / 'decoded').glob('test')
            truncate(entry)
        return decoded()

    arrays.append(open_or_build(tmp_path, 'test', PLACE, KEY, overtaken))
    assert_valid(arrays[1])
    if not damaged:  # a map of a file that is then cut has lost its pages
        assert_valid(arrays[0])
    assert_valid(open_or_build(tmp_path, 'test', PLACE, KEY, never))
    assert len(list((tmp_path / 'decoded').iterdir())) == 1


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path):
    for name, age in (('old', 4000), ('young', 0)):
        directory = tmp_path / 'decoded' / f'{name}'
        directory.mkdir(parents=True)
        (directory / 'examples.npy').write_bytes(b'half of it')
        for path in (directory / 'examples.npy', directory):
            os.utime(path, (time.time() - age,) * 2)
    [entry] = make_and_list(tmp_path / 'other')
    for name in ('old', 'young'):
        (tmp_path / 'decoded' / name).rename(tmp_path / 'decoded' / f'{entry.name}.incomplete.{name}')
    open_or_build(tmp_path, 'test', PLACE, KEY, decoded)
    names = sorted(path.name for path in (tmp_path / 'decoded').iterdir())
    assert names == [entry.name, f'{entry.name}.incomplete.young']


def make_and_list(root):
    open_or_build(root, 'test', PLACE, KEY, decoded)
    return list((root / 'decoded').iterdir())


def test_a_failing_decoder_leaves_nothing_behind(tmp_path):
    def chunks():
        yield EXAMPLES[:4], LABELS[:4]
        raise UserError('an image cannot be read.')

    with pytest.raises(UserError, match=r'^an image cannot be read\.$'):
        open_or_build(tmp_path, 'test', PLACE, KEY, lambda: DecodedImages(EXAMPLES.shape, chunks()))
    assert not list((tmp_path / 'decoded').iterdir())


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError) as caught:
        open_or_build(tmp_path / 'file', 'test', PLACE, KEY, decoded)
    assert str(caught.value) == (
        f"the decoded data set needs 480 bytes in '{tmp_path / 'file' / 'decoded'}', which cannot be written (Not a "
        'directory): free some space, or choose another directory by cache_dir or XDG_CACHE_HOME.'
    )


def test_a_disk_with_too_little_room_is_found_out_before_decoding(tmp_path, monkeypatch):
    usage = type('Usage', (), {'free': 479})
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    started = []

    def chunks():
        started.append(True)
        yield EXAMPLES, LABELS

    with pytest.raises(UserError, match=r'needs 480 bytes in .*, which cannot be written \(only 479 bytes are free\)'):
        open_or_build(tmp_path, 'test', PLACE, KEY, lambda: DecodedImages(EXAMPLES.shape, chunks()))
    assert not started
    assert not list((tmp_path / 'decoded').iterdir())


def run(code, *arguments):
    return subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parents[2],
    )


def test_a_disk_that_fills_up_while_writing(tmp_path, write_image):
    """The system refuses to let a file grow, as it does on a full disk."""
    rng = np.random.default_rng(0)
    for i in range(20):
        write_image(tmp_path / f'pictures/{i}.png', rng.integers(0, 256, (64, 64)))
    process = run(
        """
        import resource, sys
        from gan_jax.data import cache, load
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            load(f'folder:{sys.argv[1]}/pictures', cache_dir=sys.argv[1] + '/cache', show_progress=False)
        except ValueError as error:
            print(type(error).__name__, error)
        """,
        tmp_path,
    )
    out, err = process.communicate(timeout=120)
    assert out.strip() == (
        f"UserError the decoded data set needs 81,920 bytes in '{tmp_path}/cache/decoded', which cannot be written "
        '(File too large): free some space, or choose another directory by cache_dir or XDG_CACHE_HOME.'
    ), err
    assert not list((tmp_path / 'cache' / 'decoded').iterdir())


RACE = """
    import pathlib, sys, time
    from gan_jax.data import cache, load
    root, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    import gan_jax.data.digits
    print('ready', flush=True)
    while not (root / 'go').exists():
        time.sleep(0.001)
    data = load(name, cache_dir=root / 'cache', show_progress=False)
    print(data.fingerprint, int(data.examples.sum(dtype='int64')), int(data.labels.sum()))
"""


@pytest.mark.parametrize('name', ['folder', 'digits'])
def test_two_processes_racing_for_one_entry(name, tmp_path, write_image):
    if name == 'folder':
        rng = np.random.default_rng(0)
        for i in range(200):
            write_image(tmp_path / f'pictures/{i % 2}/{i}.png', rng.integers(0, 256, (64, 64)))
        name = f'folder:{tmp_path}/pictures'
    processes = [run(RACE, tmp_path, name) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == 'ready\n'
    (tmp_path / 'go').touch()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    data = load(name, cache_dir=tmp_path / 'cache', show_progress=False)
    expected = f'{data.fingerprint} {data.examples.sum(dtype=np.int64)} {data.labels.sum()}'
    assert [out.strip() for out, _ in outputs] == [expected] * 2
    assert len(list((tmp_path / 'cache' / 'decoded').iterdir())) == 1
    assert not list((tmp_path / 'cache').rglob('*incomplete*'))


def test_default_directory(monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert cache_directory(None) == pathlib.Path('/somewhere/gan_jax')
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', '/home/me')
    assert cache_directory(None) == pathlib.Path('/home/me/.cache/gan_jax')
    assert cache_directory('~/mine') == pathlib.Path('/home/me/mine')


@pytest.mark.skipif(not pathlib.Path('/proc/self/smaps').exists(), reason='asks Linux')
@pytest.mark.parametrize(('memory', 'at_random'), [(10 * 4 * 4 * 3, False), (10 * 4 * 4 * 3 - 1, True)])
def test_only_data_larger_than_memory_are_read_without_reading_ahead(tmp_path, monkeypatch, memory, at_random):
    monkeypatch.setattr(cache, '_host_memory', lambda: memory)
    kept = open_or_build(tmp_path, 'test', PLACE, KEY, decoded)
    maps = pathlib.Path('/proc/self/smaps').read_text().split(str(tmp_path))[1]
    assert (' rr ' in re.search('VmFlags:.*', maps)[0]) == at_random
    np.testing.assert_array_equal(kept[0], EXAMPLES)
