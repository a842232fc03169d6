"""gan_jax's cache of files that can be recomputed, and the decoded data sets in it.

A decoded data set is a directory of `examples.npy`, `labels.npy` (if it has labels) and `meta.json`. It is written
under a temporary name and renamed when it is complete, so a reader never sees an incomplete one; if two processes
write the same one, the first to finish wins and the other uses its result.

There is one for each location, such as a directory of images at some size. When its images change, their decoded
copy replaces the former one; a process that has mapped the former one keeps it. Entries that have not been opened for
90 days are removed when something else is written.
"""

import contextlib
import errno
import hashlib
import json
import mmap
import os
import pathlib
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.images import DecodedImages
from gan_jax.errors import UserError
from gan_jax.records.files import user_path

FORMAT = 2
_SAMPLE_BLOCKS = 256
_BLOCK_BYTES = 2**16
_ABANDONED_SECONDS = 3600
_UNUSED_SECONDS = 90 * 24 * 3600
_INVALID = (OSError, ValueError, KeyError, TypeError)  # what an entry that is not right raises when it is opened


class Decoded(NamedTuple):
    """A decoded data set.

    Attributes:
      examples: [n, ...], uint8 but for point clouds, memory-mapped and read-only; they stay valid whatever happens to
        the files.
      labels: int32 [n], or None.
      fingerprint: fingerprint of both, see `fingerprints.of_arrays`.
    """

    examples: np.ndarray
    labels: np.ndarray | None
    fingerprint: str


def cache_directory(cache_dir: str | os.PathLike | None) -> pathlib.Path:
    """The given directory, or `gan_jax` under XDG_CACHE_HOME, which defaults to ~/.cache."""
    if cache_dir is not None:
        return user_path(cache_dir)
    return user_path(os.environ.get('XDG_CACHE_HOME') or '~/.cache') / 'gan_jax'


def entry_name(name: str, split: str, place: Any) -> str:
    """The name of a data set's entry in the cache: readable, and different for each location (a JSON value)."""
    readable = re.sub(r'[^\w.-]+', '_', f'{name.rstrip("/").rpartition("/")[2]}-{split}')
    readable = readable.encode()[:80].decode(errors='ignore')  # file systems count bytes
    return f'{readable}-{fingerprints.of_value(place)[:16]}'


def remove_unused(directory: pathlib.Path) -> None:
    """Removes the files of a directory of the cache that have not been read or written for 90 days."""
    for path in directory.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED_SECONDS:
                path.unlink()


def discard(path: pathlib.Path) -> None:
    """Removes a directory or a file, if it exists, atomically."""
    former = path.with_name(f'{path.name}.incomplete.{uuid.uuid4().hex}')
    with contextlib.suppress(FileNotFoundError):  # another process has moved it away
        path.rename(former)
        if former.is_dir():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.unlink()


def open_or_build(
    cache_dir: pathlib.Path, name: str, place: Any, key: Any, build: Callable[[], DecodedImages]
) -> Decoded:
    """The decoded data set with this location and key, from the cache, or built and stored there.

    Args:
      cache_dir: the cache's root; the data set lies in a directory of its own under `decoded/`.
      name: name of that directory, see `entry_name`.
      place: a JSON value: where the images are, and how they are decoded.
      key: a JSON value that changes with the images.
      build: called if there is no valid entry.

    Raises:
      UserError: if the cache cannot be written; nothing is left behind then.

    An entry of another key is replaced. One that is truncated or fails its checksums is built again, with a warning.
    The checksums are over 16 MiB of evenly spaced blocks, so that opening 32 GB takes no longer than opening 32 MB:
    they detect a truncated or overwritten file, not a single flipped bit.
    """
    directory, key = cache_dir / 'decoded' / name, {'place': place, 'images': key}
    if directory.exists():
        try:
            if (decoded := _open(directory, key)) is not None:
                return decoded
        except _INVALID as error:
            warnings.warn(f'The decoded data set {directory} is damaged ({error}); rebuilding it.', stacklevel=2)
    images = build()
    required = int(np.prod(images.shape)) * np.dtype(images.dtype).itemsize
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_unused_entries(directory)
        temporary = directory.with_name(f'{directory.name}.incomplete.{uuid.uuid4().hex}')
        temporary.mkdir()
        try:
            if (free := shutil.disk_usage(temporary).free) < required:
                raise OSError(f'only {free:,} bytes are free')
            _write(temporary, key, images)
            decoded = _open(temporary, key)
            _install(temporary, directory, key)
            return decoded
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f'the decoded data set needs {required:,} bytes in {str(directory.parent)!r}, which cannot be written '
            f'({error.strerror or error}): free some space, or choose another directory by cache_dir or XDG_CACHE_HOME.'
        ) from error


def _write(directory: pathlib.Path, key: Any, images: DecodedImages) -> None:
    labels = []
    with open(directory / 'examples.npy', 'wb') as file:
        header = {'descr': np.dtype(images.dtype).str, 'fortran_order': False, 'shape': images.shape}
        np.lib.format.write_array_header_1_0(file, header)
        with contextlib.closing(images.chunks) as chunks:
            for examples, chunk_labels in chunks:
                file.write(examples.data)
                labels.append(chunk_labels)
    labels = None if labels[0] is None else np.concatenate(labels)
    if labels is not None:
        np.save(directory / 'labels.npy', labels)
    fingerprint = fingerprints.of_arrays(np.load(directory / 'examples.npy', mmap_mode='r'), labels)
    files = {path.name: _summary(path) for path in directory.glob('*.npy')}
    (directory / 'meta.json').write_text(json.dumps({'key': key, 'fingerprint': fingerprint, 'files': files}, indent=1))


def _open(directory: pathlib.Path, key: Any) -> Decoded | None:
    """An entry, or None if it has another key; raises one of `_INVALID` if it is invalid."""
    meta = json.loads((directory / 'meta.json').read_text())
    if fingerprints.of_value(meta['key']) != fingerprints.of_value(key):
        return None
    for name, summary in meta['files'].items():
        if _summary(directory / name) != summary:
            raise ValueError(f'{name} has changed since it was written')
    examples = np.load(directory / 'examples.npy', mmap_mode='r')
    if examples.nbytes > _host_memory() and hasattr(mmap, 'MADV_RANDOM'):
        # Batches are drawn in random order: of what the kernel reads ahead most would be gone before its turn.
        examples._mmap.madvise(mmap.MADV_RANDOM)
    labels = np.load(directory / 'labels.npy') if 'labels.npy' in meta['files'] else None
    with contextlib.suppress(OSError):  # the cache may be another user's
        os.utime(directory)  # for `_remove_unused_entries`
    return Decoded(examples, labels, meta['fingerprint'])


def _host_memory() -> int:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _install(temporary: pathlib.Path, directory: pathlib.Path, key: Any) -> None:
    try:
        os.rename(temporary, directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        with contextlib.suppress(*_INVALID):
            if _open(directory, key) is not None:
                return  # another process was faster
        discard(directory)
        _install(temporary, directory, key)


def _summary(path: pathlib.Path) -> dict[str, Any]:
    """Size and checksum of a file: the SHA-256 of all of it, or of evenly spaced blocks with the first and the last."""
    size = path.stat().st_size
    if size <= _SAMPLE_BLOCKS * _BLOCK_BYTES:
        offsets = range(0, size, _BLOCK_BYTES)
    else:
        offsets = [i * (size - _BLOCK_BYTES) // (_SAMPLE_BLOCKS - 1) for i in range(_SAMPLE_BLOCKS)]
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for offset in offsets:
            file.seek(offset)
            digest.update(file.read(_BLOCK_BYTES))
    return {'bytes': size, 'sha256_of_sample': digest.hexdigest()}


def _remove_unused_entries(current: pathlib.Path) -> None:
    """Removes files of killed processes (without writes for an hour) and entries not opened for 90 days."""
    for entry in current.parent.iterdir():
        with contextlib.suppress(OSError):
            limit = _ABANDONED_SECONDS if '.incomplete.' in entry.name else _UNUSED_SECONDS
            newest = max(path.stat().st_mtime for path in (entry, *entry.iterdir()))
            if entry != current and time.time() - newest > limit:
                shutil.rmtree(entry, ignore_errors=True)
