"""Atomic and durable writes of small files."""

import contextlib
import json
import os
import pathlib
import re
import time
import uuid
from typing import Any

from gan_jax.errors import UserError

_TEMPORARY = re.compile(r'\..+\.[0-9a-f]{32}\.tmp')


def user_path(path: str | os.PathLike) -> pathlib.Path:
    """Expands ~ and ~NAME at the beginning of a path, which shells do not expand everywhere."""
    return pathlib.Path(os.path.expanduser(path))


def replace(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file atomically, under another name that is then renamed.

    Args:
      path: the file; directories above it are created.
      data: its new contents.

    Raises:
      UserError: it cannot be written; an existing file does not change.
    """
    path = pathlib.Path(path)
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(temporary, data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise unwritable(path, error) from error


def check_writable(path: str | os.PathLike) -> None:
    """Checks whether `replace` can write a file, before a long computation.

    Args:
      path: the file; directories above it are created.

    Raises:
      UserError: it cannot be written, or is not a regular file.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():
        raise UserError(f'{path} cannot be written, because it is not a regular file: choose another path.')
    probe = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def check_text(path: str | os.PathLike) -> None:
    """Checks whether a path is text, as orbax needs for a directory of checkpoints.

    Raises:
      UserError: it contains bytes that are not UTF-8, possibly those of the current directory.
    """
    path = pathlib.Path(path).absolute()
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f'{path} cannot be the directory of a run, because this path is not text in UTF-8: choose another '
            'directory.'
        ) from error


def write_durably(path: str | os.PathLike, data: Any) -> None:
    """Writes a file and waits until its bytes are on the disk, so that a rename after a power failure is not empty.

    Args:
      path: the file.
      data: its contents, bytes or an array.

    Raises:
      OSError: it cannot be written.
    """
    with open(path, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sweep(directory: str | os.PathLike, *, idle_seconds: float = 0) -> None:
    """Removes temporary files of `replace` that killed processes have left.

    Args:
      directory: the directory, without sub-directories; it need not exist.
      idle_seconds: newer files are kept; 0 if no other process writes.
    """
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and time.time() - entry.stat().st_mtime >= idle_seconds:
                os.unlink(entry.path)


def remove(path: str | os.PathLike) -> None:
    """Removes a file if it exists.

    Raises:
      UserError: it cannot be removed.
    """
    try:
        pathlib.Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(pathlib.Path(path), error) from error


def read_object(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a JSON file that contains an object.

    Raises:
      FileNotFoundError, NotADirectoryError: there is none.
      UserError: it cannot be read, or holds something else.
    """
    try:
        found = json.loads(pathlib.Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}).') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged: it is not JSON.') from error
    if not isinstance(found, dict):
        raise UserError(f'{path} is damaged: it is not a JSON object.')
    return found


def lines_of(path: str | os.PathLike) -> list[str]:
    """The lines of a text file in UTF-8, with or without a byte order mark.

    Raises:
        UserError: it cannot be read, or has another encoding.
    """
    try:
        return pathlib.Path(path).read_text(encoding='utf-8-sig').split('\n')
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}).') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not a text in UTF-8: save it in this encoding.') from error


def state(path: str | os.PathLike) -> tuple[int, int, int, int]:
    """The state that changes with a file's contents: inode, change and modification times (ns), size."""
    status = os.stat(path)
    return status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size


def unwritable(path: pathlib.Path, error: OSError) -> UserError:
    """The message about a file that could not be written."""
    remedy = 'move it away' if isinstance(error, IsADirectoryError) else 'free some space or change the permissions'
    return UserError(f'{path} cannot be written ({error.strerror}): {remedy}, then run the same command again.')


def _beside(path: pathlib.Path) -> pathlib.Path:
    """An unused name in the same directory."""
    return path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
