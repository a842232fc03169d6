"""Records as JSON lines that survive a kill."""

import errno
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from gan_jax import files
from gan_jax.errors import UserError


class MetricsFile:
    """A file of records, one JSON object a line: `{"step": 50, "kimg": 3.2, "generator/loss": 0.7, ...}`.

    A record is appended by one write of a whole line, so that a killed process leaves at most its last line torn, which
    `read` and `rewind` pass over. JSON has no NaN and no infinity: they are written as null and read as None.

    Args:
      path: the file; it and the directories above it are created by the first record.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def write(self, step: int, kimg: float, values: Mapping[str, float]) -> None:
        """Appends a record of numbers.

        Raises:
          UserError: the file cannot be written or the disk is full.
        """
        numbers = {name: float(value) for name, value in values.items()}
        numbers = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        self.append({'step': int(step), 'kimg': float(kimg), **numbers})

    def append(self, record: Mapping[str, Any]) -> None:
        """Appends a record of JSON values, its `step` among them.

        Raises:
          UserError: the file cannot be written or the disk is full.
        """
        line = json.dumps(record, allow_nan=False).encode() + b'\n'
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise files.unwritable(self.path, error) from error

    def rewind(self, step: int) -> None:
        """Drops the records of later steps than `step` and a torn last line, at once.

        Raises:
          UserError: the file cannot be written or is damaged.
        """
        if not self.path.exists():
            return
        kept = b''.join(line for line, record in self._lines() if record['step'] <= step)
        if kept != self.path.read_bytes():
            files.replace(self.path, kept)

    def read(self) -> list[dict[str, Any]]:
        """The records, without a torn last line; none where there is no file.

        Raises:
          UserError: another line than the last is damaged.
        """
        return [record for _, record in self._lines()] if self.path.exists() else []

    def _lines(self) -> list[tuple[bytes, dict[str, Any]]]:
        lines = self.path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b'\n'):
            lines.pop()
        records = []
        for number, line in enumerate(lines, 1):
            try:
                records.append((line, json.loads(line)))
            except ValueError as error:
                raise UserError(
                    f'{self.path} is damaged: line {number} is no JSON object; delete that line.'
                ) from error
        return records
