"""Commands in processes forked from this one, which has imported all and started nothing: a start costs little."""

import os
import pathlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from gan_jax.main import main


def start(
    arguments: Sequence[str],
    log: pathlib.Path,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] = lambda: None,
) -> int:
    """Starts a command in a process of its own.

    Args:
        arguments: of `python -m gan_jax.main`.
        log: file that all it prints is added to.
        environment: variables that are set in it.
        before: is called in it first.

    Returns:
        The process.
    """
    if process := os.fork():
        return process
    try:
        with open(log, 'ab') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.environ.update(environment or {})
        before()
        code = main(list(arguments))
    except BaseException as error:
        print(repr(error), flush=True)
        code = 99
    os._exit(code)


def ended(process: int) -> int | None:
    """The exit code of a process, minus the signal that ended it, or None."""
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def wait(process: int, until: Callable[[], bool] = lambda: False, seconds: float = 900) -> int | None:
    """Waits until a process has ended, and returns its exit code, or until something else is so, and returns None."""
    deadline = time.monotonic() + seconds
    while (code := ended(process)) is None and not until():
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            raise TimeoutError(f'process {process} did not end in {seconds} s')
        time.sleep(0.001)
    return code
