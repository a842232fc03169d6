"""Records as JSON lines that survive a kill."""

import errno
import itertools
import json
import math
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

from gan_jax.errors import UserError
from gan_jax.records import files


class _Line(NamedTuple):
    number: int
    text: bytes
    record: dict[str, Any]


class MetricsFile:
    """A file of records, one JSON object a line: `{"step": 50, "kimg": 3.2, "generator/loss": 0.7, ...}`.

    A record is appended by one write of a complete line, so a killed process leaves at most an incomplete last line,
    which `read` and `rewind` skip. JSON has no NaN and no infinity: they are written as null and read as None.

    Records are returned in the order of their steps. A duplicate, written by two processes at once, counts
    once. A line that is not a record, which is only caused by damage, is skipped with a warning.

    Args:
      path: the file; it and the directories above it are created by the first record.
      is_whole: whether an object with a `step` is a record of this file.
    """

    def __init__(self, path: str | os.PathLike, is_whole: Callable[[dict[str, Any]], bool] = lambda record: True):
        self.path = pathlib.Path(path)
        self._is_whole = is_whole

    def write(self, step: int, kimg: float, values: Mapping[str, float]) -> None:
        """Appends a record of numbers.

        Raises:
          UserError: the file cannot be written or the disk is full.
        """
        self.append({'step': int(step), 'kimg': float(kimg)} | {name: float(value) for name, value in values.items()})

    def append(self, record: Mapping[str, Any]) -> None:
        """Appends a record of JSON values, its `step` among them.

        Raises:
          UserError: the file cannot be written or the disk is full.
        """
        finite = {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in record.items()
        }
        line = json.dumps(finite, allow_nan=False).encode() + b'\n'
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

    def rewind(self, step: int, every: int | None = None) -> None:
        """Removes, atomically, the records of later steps than `step` and every line that is not a record.

        Warns if records up to `step` are lost.

        Args:
          step: step of the last record that stays.
          every: maximum number of steps between two records; None: unknown, so gaps are not detected.

        Raises:
          UserError: the file cannot be read or written.
        """
        if not self.path.exists():
            return
        lines, damaged = self._lines()
        kept = [line for line in lines if line.record['step'] <= step]
        last = max((line.number for line in kept), default=0)
        if lost := [number for number in damaged if number < last]:
            warnings.warn(self._damage(lost), stacklevel=2)
        steps = [0, *(line.record['step'] for line in kept), step]
        gaps = [(a, b) for a, b in itertools.pairwise(steps) if every and b - a > every]
        if gaps:
            warnings.warn(f'{self.path} lacks the records between the steps {_join(gaps)}.', stacklevel=2)
        text = b''.join(line.text for line in kept)
        if text != self.path.read_bytes():
            files.replace(self.path, text)

    def read(self) -> list[dict[str, Any]]:
        """The records; none if there is no file.

        Raises:
          UserError: the file cannot be read.
        """
        records, trouble = self.scan()
        if trouble:
            warnings.warn(trouble, stacklevel=2)
        return records

    def scan(self) -> tuple[list[dict[str, Any]], str | None]:
        """As `read`, but returns the warning."""
        if not self.path.exists():
            return [], None
        lines, damaged = self._lines()
        return [line.record for line in lines], self._damage(damaged) if damaged else None

    def _lines(self) -> tuple[list[_Line], list[int]]:
        """The records in the order of their steps, each once, and the numbers of the lines that are not records."""
        try:
            texts = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise UserError(f'{self.path} cannot be read ({error.strerror}): move it away.') from error
        if texts and not texts[-1].endswith(b'\n'):
            texts.pop()
        lines, damaged = {}, []
        for number, text in enumerate(texts, 1):
            record = _parse(text)
            if record is None or not self._is_whole(record):
                damaged.append(number)
            else:
                lines.setdefault(
                    (record['step'], str(record.get('metric', record.get('time'))), *sorted(record)),
                    _Line(number, text, record),
                )
        return sorted(lines.values(), key=lambda line: line.record['step']), damaged

    def _damage(self, numbers: list[int]) -> str:
        if len(numbers) == 1:
            return f'{self.path} is damaged: line {numbers[0]} is not a record and is skipped.'
        return f'{self.path} is damaged: lines {_join(numbers)} are not records and are skipped.'


def metrics_of(workdir: str | os.PathLike) -> MetricsFile:
    """A run's `metrics.jsonl`: `kimg` and numbers by their names, of losses and evaluations."""
    return MetricsFile(pathlib.Path(workdir) / 'metrics.jsonl', _has_numbers)


def timing_of(workdir: str | os.PathLike) -> MetricsFile:
    """A run's `timing.jsonl`: `kimg`, `seconds` since the start, and `images_per_second` but for the first record."""
    return MetricsFile(
        pathlib.Path(workdir) / 'timing.jsonl',
        lambda record: 'seconds' in record and _has_numbers(record) and None not in record.values(),
    )


def evaluations_of(workdir: str | os.PathLike) -> MetricsFile:
    """A run's `evaluations.jsonl`: a `Record` or a `Failure` of `gan_jax.evaluation.record` a line."""
    return MetricsFile(pathlib.Path(workdir) / 'evaluations.jsonl', _is_evaluation)


def _is_evaluation(record: dict[str, Any]) -> bool:
    if not isinstance(record.get('metric'), str):
        return False
    if 'failure' in record:
        return isinstance(record['failure'], str)
    measured = isinstance(record.get('protocol'), dict) and {'value', 'error'} <= record.keys()
    return measured and isinstance(record['value'], Real | None) and isinstance(record['error'], Real | None)


def _has_numbers(record: dict[str, Any]) -> bool:
    return isinstance(record.get('kimg'), Real) and all(isinstance(value, Real | None) for value in record.values())


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and type(record.get('step')) is int else None


def _join(places: list[Any]) -> str:
    """The first of some lines (3) or gaps (10 and 30)."""
    texts = [f'{place[0]} and {place[1]}' if isinstance(place, tuple) else str(place) for place in places[:5]]
    return ', '.join(texts) + (f' and {len(places) - 5} more' if len(places) > 5 else '')
