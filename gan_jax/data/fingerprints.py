"""Fingerprints of data: two sets of data are the same if their contents are, whatever their paths and names.

A file is read for its hash once. The hash is stored with the file's path, inode, times of change and size, so that
the next start only queries the file system.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from gan_jax.errors import UserError
from gan_jax.records import files

_BLOCK_BYTES = 2**20
_FILES_PER_TASK = 64
_SETTLED_NANOSECONDS = 2 * 10**9  # of a file that changed later, the times may not tell the next change
_WIDTH = 5  # of an entry: a state and a hash


def of_value(value: Any) -> str:
    """A SHA-256 of a JSON value, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def of_arrays(examples: np.ndarray, labels: np.ndarray | None) -> str:
    """A SHA-256 of examples [n, ...] and their labels [n]: of shape, type and bits."""
    digest = hashlib.sha256()
    for array in [examples] if labels is None else [examples, labels]:
        digest.update(f'{array.dtype.name} {array.shape} '.encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def of_files(paths: Sequence[str | os.PathLike], memory: pathlib.Path, *, title: str, show_progress: bool) -> list[str]:
    """The SHA-256 of the contents of each file, in hexadecimal; files without a stored hash are read in parallel.

    Args:
      paths: the files.
      memory: the file of stored hashes. It is rewritten if a file was read; a failure to write it, or
        damage, costs time and causes a warning.
      title: title of the progress bar.
      show_progress: whether to show it if reading takes more than a second.

    Raises:
      UserError: a file cannot be read.
    """
    paths = [os.fspath(path) for path in paths]
    began = time.time_ns()
    states = {path: _state(path) for path in paths}  # before reading: who changes a file meanwhile changes its state
    hashes = {path: known[-1] for path, known in _recall(memory).items() if known[:-1] == states.get(path)}
    unknown = [path for path in states if path not in hashes]
    if unknown:
        hashes |= _read_all(unknown, title, show_progress)
        settled = [path for path, (_, *times, _) in states.items() if max(times) < began - _SETTLED_NANOSECONDS]
        _remember(memory, {path: [*states[path], hashes[path]] for path in settled})
    return [hashes[path] for path in paths]


def _state(path: str) -> list[int]:
    try:
        return list(files.state(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_all(paths: Sequence[str], title: str, show_progress: bool) -> dict[str, str]:
    parts = [paths[i : i + _FILES_PER_TASK] for i in range(0, len(paths), _FILES_PER_TASK)]
    hashes = []
    with (
        tqdm.tqdm(desc=title, total=len(paths), unit='file', delay=1, disable=not show_progress or None) as bar,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        for part in pool.map(lambda part: [_read(path) for path in part], parts):
            hashes += part
            bar.update(len(part))
    return dict(zip(paths, hashes, strict=True))


def _read(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, 'rb', buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(f'{path!r} cannot be read ({error.strerror}): replace or remove it.')


def _recall(memory: pathlib.Path) -> dict[str, list]:
    """The stored hashes, path -> [*state, hash]."""
    try:
        known = json.loads(memory.read_bytes())
        if not all(isinstance(one, list) and len(one) == _WIDTH for one in known.values()):
            raise ValueError('an entry has another form')
        return known
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        warnings.warn(f'The hashes in {memory} are damaged ({error}); reading the files again.', stacklevel=3)
        return {}


def _remember(memory: pathlib.Path, known: dict[str, list]) -> None:
    try:
        files.replace(memory, json.dumps(known).encode())
    except UserError as error:
        warnings.warn(
            f'The hashes {memory} cannot be written ({error.__cause__}); the next start will read the files again.',
            stacklevel=3,
        )
