"""Where gan_jax keeps what it can make again, and the decoded data sets that it keeps there.

A decoded data set is a directory of `examples.npy`, `labels.npy` (if it has labels) and `meta.json`. It is written
under a temporary name and renamed when it is complete, so that a reader never sees half of one; of two processes that
write the same one, the first to finish wins and the other takes it.
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
from typing import Any

import numpy as np

from gan_jax.data.images import DecodedImages
from gan_jax.errors import UserError

FORMAT = 1
_SAMPLE_BLOCKS = 256
_BLOCK_BYTES = 2**16
_ABANDONED_SECONDS = 3600
_INVALID = (OSError, ValueError, KeyError, TypeError)  # what an entry that is not right raises when it is opened

Arrays = tuple[np.ndarray, np.ndarray | None]


def cache_directory(cache_dir: str | os.PathLike | None) -> pathlib.Path:
    """The given directory, or `gan_jax` under XDG_CACHE_HOME, which is ~/.cache where it is not set."""
    if cache_dir is not None:
        return pathlib.Path(cache_dir).expanduser()
    return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'gan_jax'


def fingerprint(key: Any) -> str:
    """A SHA-256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def open_or_build(cache_dir: pathlib.Path, name: str, key: Any, build: Callable[[], DecodedImages]) -> Arrays:
    """The decoded data set of this key, from the cache, or built and put there.

    Args:
      cache_dir: the cache's root; the data set lies in a directory of its own under `decoded/`.
      name: how that directory's name begins.
      key: a JSON value of all that decides the arrays' bits.
      build: called if there is no valid entry.

    Returns:
      The examples, memory-mapped and read-only, and the labels or None. They stay valid whatever happens to the
      directory.

    Raises:
      UserError: if the cache cannot be written; nothing is left behind then.

    An entry that is truncated, belongs to another key or fails its checksums is built again, with a warning. The
    checksums are over 16 MiB of evenly spaced blocks, so that opening 32 GB takes no longer than opening 32 MB: they
    find a cut or overwritten file, not a single flipped bit.
    """
    directory = cache_dir / 'decoded' / f'{re.sub("[^A-Za-z0-9_.-]+", "_", name)}-{fingerprint(key)[:16]}'
    if directory.exists():
        try:
            return _open(directory, key)
        except _INVALID as error:
            warnings.warn(f'The decoded data set {directory} is damaged ({error}); building it again.', stacklevel=2)
    images = build()
    required = int(np.prod(images.shape))
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(directory)
        temporary = directory.with_name(f'{directory.name}.incomplete.{uuid.uuid4().hex}')
        temporary.mkdir()
        try:
            if (free := shutil.disk_usage(temporary).free) < required:
                raise OSError(f'only {free:,} bytes are free')
            _write(temporary, key, images)
            arrays = _open(temporary, key)
            _install(temporary, directory, key)
            return arrays
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f'the decoded data set needs {required:,} bytes in {str(directory.parent)!r}, which cannot be written '
            f'({error.strerror or error}): make room there, or choose another place by cache_dir or XDG_CACHE_HOME.'
        ) from error


def _write(directory: pathlib.Path, key: Any, images: DecodedImages) -> None:
    labels = []
    with open(directory / 'examples.npy', 'wb') as file:
        header = {'descr': '|u1', 'fortran_order': False, 'shape': images.shape}
        np.lib.format.write_array_header_1_0(file, header)
        with contextlib.closing(images.chunks) as chunks:
            for examples, chunk_labels in chunks:
                file.write(examples.data)
                labels.append(chunk_labels)
    if labels[0] is not None:
        np.save(directory / 'labels.npy', np.concatenate(labels))
    files = {path.name: _summary(path) for path in directory.glob('*.npy')}
    (directory / 'meta.json').write_text(json.dumps({'key': key, 'files': files}, indent=1))


def _open(directory: pathlib.Path, key: Any) -> Arrays:
    """The arrays of an entry; raises one of `_INVALID` if anything about it is not right."""
    meta = json.loads((directory / 'meta.json').read_text())
    if fingerprint(meta['key']) != fingerprint(key):
        raise ValueError('it is of another data set')
    for name, summary in meta['files'].items():
        if _summary(directory / name) != summary:
            raise ValueError(f'{name} is not as it was written')
    examples = np.load(directory / 'examples.npy', mmap_mode='r')
    if examples.nbytes > _host_memory() and hasattr(mmap, 'MADV_RANDOM'):
        # Batches are drawn in random order: of what the kernel reads ahead most would be gone before its turn.
        examples._mmap.madvise(mmap.MADV_RANDOM)
    return examples, np.load(directory / 'labels.npy') if 'labels.npy' in meta['files'] else None


def _host_memory() -> int:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _install(temporary: pathlib.Path, directory: pathlib.Path, key: Any) -> None:
    try:
        os.rename(temporary, directory)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        with contextlib.suppress(*_INVALID):
            _open(directory, key)
            return  # another process was faster
        discarded = temporary.with_name(f'{temporary.name}.damaged')
        with contextlib.suppress(FileNotFoundError):  # another process has moved it away
            os.rename(directory, discarded)
        shutil.rmtree(discarded, ignore_errors=True)
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


def _remove_abandoned(directory: pathlib.Path) -> None:
    """Removes what killed processes have left of this entry: nothing has been written there for an hour."""
    for path in directory.parent.glob(f'{directory.name}.incomplete.*'):
        with contextlib.suppress(OSError):
            if time.time() - max(p.stat().st_mtime for p in (path, *path.iterdir())) > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
