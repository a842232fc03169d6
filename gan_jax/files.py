"""Small files that are written whole or not at all."""

import contextlib
import os
import pathlib
import uuid

from gan_jax.errors import UserError


def replace(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file under another name and then renames it, so that nobody sees a part of it.

    Args:
      path: the file; directories above it are created.
      data: its new contents.

    Raises:
      UserError: it cannot be written; a file that was there stays as it was.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise unwritable(path, error) from error


def unwritable(path: pathlib.Path, error: OSError) -> UserError:
    """The sentence for a file of a run that could not be written."""
    return UserError(
        f'{path} cannot be written ({error.strerror}): make room or get the right to write there, then start the same '
        'command again to go on from the last checkpoint.'
    )
