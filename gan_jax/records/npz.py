"""gan_jax's own files of arrays (weights, features); damaged or foreign files are detected safely."""

import io
import os
import zipfile
from collections.abc import Mapping

import numpy as np

from gan_jax.records import files


def save(path: str | os.PathLike, arrays: Mapping[str, np.ndarray | str]) -> None:
    """Writes arrays and strings by name as an .npz, atomically; raises a UserError if that is impossible."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.replace(path, buffer.getvalue())


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a file of `save`; strings are arrays without axes.

    Raises:
        OSError: it cannot be opened.
        ValueError: the file has another format or is damaged; the message is only the reason.
    """
    with open(path, 'rb') as file:
        if not zipfile.is_zipfile(file):
            raise ValueError('it is not a NumPy archive')
        try:
            check_stored(zipfile.ZipFile(file), os.path.getsize(path))
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:  # whose entries have checksums
                arrays = {name: archive[name] for name in archive.files}
        except Exception as error:  # a damaged archive can raise anything
            raise ValueError(str(error) or type(error).__name__) from error
    if strangers := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f'its member {strangers[0]} is not an array')
    return arrays


def check_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Raises a ValueError if the entries of an archive are larger than its file of `size` bytes.

    Uncompressed entries never are, unless some of them overlap.
    """
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > size:
        raise ValueError(f'its {size:,} bytes unpack to {unpacked:,}, but its contents should not be compressed')
