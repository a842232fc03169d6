"""The starts of a run, with time, command and code: `starts.jsonl`, one record per start.

A run that returns to a checkpoint automatically (`on_nan=restore`) writes a record too.
"""

import datetime
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

from gan_jax.records import files
from gan_jax.records.metrics import MetricsFile, metrics_of

_TYPES = {
    'time': str,
    'command': str,
    'commit': str | None,
    'host': str,
    'reached': int | None,
    'diverged': str | None,
}


def starts_of(workdir: str | os.PathLike) -> MetricsFile:
    """A run's `starts.jsonl`.

    Each record has the `step` at which the run resumed, `time` (UTC), `command`, `commit` of the working directory or
    None, `host`, the step that was `reached` before (None at the first start), and why the run had `diverged`, or None.
    """
    path = pathlib.Path(workdir) / 'starts.jsonl'
    return MetricsFile(path, _is_start)


def add(workdir: str | os.PathLike, step: int, diverged: str | None = None) -> None:
    """Records that a run starts, or resumes at a step; a start at step 0 is the first.

    Call it before the records of later steps are removed.

    Raises:
        UserError: the file cannot be written.
    """
    file = starts_of(workdir)
    is_first = not step and diverged is None
    if is_first:
        files.remove(file.path)
    file.append(
        {
            'step': step,
            'time': datetime.datetime.now(datetime.UTC).isoformat(),
            'command': shlex.join(['python', *sys.orig_argv[1:]]),
            'commit': _commit(),
            'host': platform.node(),
            'reached': None if is_first else _reached(workdir),
            'diverged': diverged,
        }
    )


def _is_start(record: dict[str, Any]) -> bool:
    if not all(name in record and isinstance(record[name], kind) for name, kind in _TYPES.items()):
        return False
    try:
        datetime.datetime.fromisoformat(record['time'])
    except ValueError:
        return False
    return True


def _reached(workdir: str | os.PathLike) -> int | None:
    records, _ = metrics_of(workdir).scan()
    return records[-1]['step'] if records else None


def _commit() -> str | None:
    """The commit of the repository of the working directory, followed by '-dirty' if files have changed."""
    command = ['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
