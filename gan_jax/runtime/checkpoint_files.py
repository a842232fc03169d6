"""The file format of checkpoints: files of plain bytes, in directories that orbax writes atomically.

The files are written by Python and not by tensorstore, which does not treat `[...]` and backslashes in a path as
names, and then saves nothing or saves elsewhere.
"""

import dataclasses
import json
import logging as python_logging
import os
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint import future

from gan_jax.records.files import write_durably

_META, _STATE = 'meta/metadata', 'state/bytes'


class _FilesHandler(ocp.AsyncCheckpointHandler):
    """Writes a checkpoint's item as files, in the background."""

    async def async_save(self, directory: pathlib.Path, args: '_Files') -> list[future.Future]:
        return [future.CommitFutureAwaitingContractedSignals(self._write(directory, args.contents))]

    async def _write(self, directory: pathlib.Path, contents: Mapping[str, Any]) -> None:
        for name, data in contents.items():
            write_durably(directory / name, data)

    def save(self, directory: pathlib.Path, args: '_Files') -> None:
        raise NotImplementedError('orbax calls async_save')

    def restore(self, directory: pathlib.Path, args: Any = None) -> None:
        raise NotImplementedError('the files are read without orbax')


@ocp.args.register_with_handler(_FilesHandler, for_save=True, for_restore=True)  # orbax wants both
@dataclasses.dataclass
class _Files(ocp.args.CheckpointArgs):
    """The contents of an item's files by their names."""

    contents: Mapping[str, Any]


def items(meta: dict[str, Any], state: np.ndarray) -> ocp.args.Composite:
    """The items that orbax writes for a checkpoint; `meta` gets a checksum of itself."""
    meta = json.dumps(meta | {'meta_crc32': _checksum(meta)}).encode()
    return ocp.args.Composite(state=_Files({'bytes': state}), meta=_Files({'metadata': meta}))


def manager(directory: pathlib.Path, **options: Any) -> ocp.CheckpointManager:
    """Orbax's manager of a directory, configured for a single process."""
    _quieten_orbax()
    options = ocp.CheckpointManagerOptions(create=False, multiprocessing_options=_single_process(), **options)
    return ocp.CheckpointManager(directory, options=options)


def read_meta(directory: pathlib.Path, step: int | str) -> dict[str, Any]:
    """Reads the description of a checkpoint; a damaged one raises exceptions of many types."""
    meta = json.loads((directory / str(step) / 'meta' / 'metadata').read_bytes())
    if meta.pop('meta_crc32') != _checksum(meta):
        raise ValueError('the checksum of its description does not match')
    return meta


def read(directory: pathlib.Path, step: int) -> tuple[dict[str, Any], np.ndarray]:
    """Reads the description and the bytes of a checkpoint, as `read_meta`."""
    meta, path = read_meta(directory, step), directory / str(step) / 'state'
    data = np.fromfile(path / 'bytes', np.uint8) if (path / 'bytes').is_file() else _read_array(path)
    if zlib.crc32(data) != meta['crc32']:
        raise ValueError('the checksum of its arrays does not match')
    return meta, data


def _read_array(path: pathlib.Path) -> np.ndarray:
    """The bytes of a checkpoint from before the release of 0.1.0, which were an array of tensorstore."""
    _quieten_orbax()
    options = _single_process()
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=options)
    with ocp.Checkpointer(handler, multiprocessing_options=options) as checkpointer:
        return checkpointer.restore(path)['bytes']


def _single_process() -> ocp.options.MultiprocessingOptions:
    process = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=f'process_{process}'
    )


def _checksum(value: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _quieten_orbax() -> None:
    """Hides orbax's reports, but not its warnings, unless --verbosity=1 is given.

    Tracebacks are hidden too: their exceptions are also raised by orbax and end in one sentence.
    """
    logging.get_absl_logger().addFilter(_is_wanted)


def _is_wanted(record: python_logging.LogRecord) -> bool:
    from_orbax = f'{os.sep}orbax{os.sep}' in record.pathname
    is_said_elsewhere = record.levelno < python_logging.WARNING or record.exc_info
    return not (from_orbax and is_said_elsewhere) or logging.get_verbosity() >= logging.DEBUG
