"""The lock of a run's directory: one training at a time, also across hosts.

On one host the operating system keeps the lock (`flock`) and releases it when the process ends. Not every
shared file system shares `flock` between hosts, so the file also names its holder, and the holder touches it
regularly: a lock of another host that is no longer touched belongs to a dead process.
"""

import contextlib
import errno
import functools
import json
import os
import pathlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from gan_jax.errors import UserError
from gan_jax.records import files
from gan_jax.runtime import hosts, parallel

NAME = 'run.lock'
_BEAT = 10  # seconds between two touches
_PATIENCE = 60  # seconds without one after which the holder is dead
_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)


def alone(train: Callable) -> Callable:
    """Decorator: a function of (config, workdir, **options) holds the lock of the directory while it runs."""

    @functools.wraps(train)
    def locked(config: Any, workdir: str | os.PathLike, **options: Any) -> Any:
        with exclusive(workdir):
            return train(config, workdir, **options)

    return locked


def is_fresh(directory: str | os.PathLike) -> bool:
    """Whether a process trains in a directory, according to the lock file; after a kill this is true for a while."""
    touched = _time_of(pathlib.Path(directory) / NAME)
    return touched is not None and time.time() - touched < _PATIENCE


@contextlib.contextmanager
def exclusive(*directories: str | os.PathLike) -> Iterator[None]:
    """Holds the locks of directories, which are created if missing; every process of a run must enter it.

    Unfinished files of killed processes are removed, because no other process writes there. Reading, and so sampling
    and evaluation, needs no lock.

    Raises:
        UserError: another process holds one of the locks, it cannot be written, or its path is not text.
    """
    with contextlib.ExitStack() as stack:
        for directory in directories:
            stack.enter_context(_exclusive(pathlib.Path(directory)))
        yield


@contextlib.contextmanager
def _exclusive(directory: pathlib.Path) -> Iterator[None]:
    descriptor, refusal = None, None
    is_new = not directory.exists()
    if parallel.is_main_process():
        try:
            files.check_text(directory)
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = _acquire(directory / NAME)
        except OSError as error:
            refusal = UserError(
                f'{directory} cannot be the directory of a run ({error.strerror}): choose another --workdir.'
            )
        except UserError as error:
            refusal = error
    if hosts.any_process(refusal is not None):  # so that no process waits for one that has left
        raise refusal or UserError(f'The first process cannot train in {directory}: see its message for the reason.')
    if descriptor is None:
        yield
        return
    for place in (directory, directory / 'samples'):
        files.sweep(place)
    for place in (directory / 'evaluation', directory / 'generated'):  # written without the lock
        files.sweep(place, idle_seconds=3600)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(descriptor, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        _release(directory / NAME, descriptor)
        if is_new:
            with contextlib.suppress(OSError):  # where the run was refused, there is nothing in it
                directory.rmdir()


def _acquire(path: pathlib.Path) -> int:
    """Opens and locks the file, and writes the holder; raises a UserError if another process holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _is_held(path, descriptor):
                raise UserError(
                    f'{path.parent} is the directory of a run that is being trained by {_holder(descriptor)}: wait '
                    'for its end, stop it, or choose another --workdir.'
                )
            if _is_file(path, descriptor):  # and not removed meanwhile by a holder that ended
                holder = {'host': socket.gethostname(), 'process': os.getpid()}
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, (json.dumps(holder) + '\n').encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_held(path: pathlib.Path, descriptor: int) -> bool:
    import fcntl  # Windows, where nothing is trained, has none

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            return True
    else:
        if _read(descriptor).get('host') in (None, socket.gethostname()):
            return False
    return bool(_read(descriptor)) and _is_touched(path, descriptor)


def _is_touched(path: pathlib.Path, descriptor: int) -> bool:
    """Whether the lock's holder touches it; waits as long as necessary, by the clock of the file system."""
    seen = _time_of(path)
    for second in range(_PATIENCE if seen else 0):
        with tempfile.TemporaryFile(dir=path.parent) as now:
            if os.fstat(now.fileno()).st_mtime - seen >= _PATIENCE:
                return False
        if second == 0:
            print(f'{path} was left by {_holder(descriptor)}: checking for up to {_PATIENCE} s whether it is alive.')
        time.sleep(1)
        if _time_of(path) != seen:
            return True
    return False


def _time_of(path: pathlib.Path) -> float | None:
    """The time of the last touch; opening the file refreshes network file systems."""
    try:
        with open(path, 'rb') as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None


def _beat(descriptor: int, ended: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with contextlib.suppress(OSError):  # the file system is away for a while
            os.utime(descriptor)


def _release(path: pathlib.Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        if _is_file(path, descriptor):
            path.unlink()
    os.close(descriptor)


def _is_file(path: pathlib.Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, Any]:
    """The holder of the lock; empty if not yet written, or if the file is damaged."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _holder(descriptor: int) -> str:
    match _read(descriptor):
        case {'host': host, 'process': process}:
            return f'process {process} on {host}'
    return 'another process'
