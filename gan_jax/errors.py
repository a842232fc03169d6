"""The ways in which a run ends early, and what a command makes of them."""

import contextlib
import pathlib
import signal
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator


class UserError(ValueError):
    """What was asked for cannot be done; the message is one sentence saying why and what to do.

    The command line prints the message without a traceback and exits with 2; a program that imports `gan_jax` catches
    it as a `ValueError`.
    """


class SourceError(UserError):
    """A Python file of the user's has a mistake of its own; the cause is what it raised, for its traceback."""


class DivergedError(RuntimeError):
    """A metric became NaN or infinite; the message names the step and the last good checkpoint. Exit code 3."""


class InterruptedRunError(RuntimeError):
    """A signal asked the run to stop, and it was saved. Exit code 128 + the signal's number, as shells have it."""

    def __init__(self, message: str, signal_number: signal.Signals):
        super().__init__(message)
        self.signal_number = signal_number


def exit_code(run: Callable[[], None]) -> int:
    """Runs a command: prints one line for each warning and for an error of the user's; returns the exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            run()
    except UserError as error:
        print(f'gan_jax: {error}', file=sys.stderr)
        if isinstance(error, SourceError):
            traceback.print_exception(error.__cause__)
        return 2
    except DivergedError as error:
        print(f'gan_jax: {error}', file=sys.stderr)
        return 3
    except InterruptedRunError as error:
        print(f'gan_jax: {error}', file=sys.stderr)
        return 128 + error.signal_number
    except KeyboardInterrupt:
        print('gan_jax: interrupted.', file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Raises a SourceError for what code of the user's raises: the file, line and message of its last frame.

    An exception without a frame outside of installed packages is nobody's but ours, and passes.

    Args:
        what: the code, in words: 'The config file x.py'.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if place := _place(error):
            message = ' '.join(f'{type(error).__name__}: {getattr(error, "msg", None) or error}'.split())
            raise SourceError(f'{what} has a mistake in {place}: {message}') from error
        raise


def _place(error: Exception) -> str | None:
    """'x.py, line 3': where a file does not compile, or the last frame in code that is not installed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f'{error.filename}, line {error.lineno}'
    installed = [sysconfig.get_path(name) for name in ('stdlib', 'purelib', 'platlib')]
    installed += [str(pathlib.Path(__file__).parent), '<']
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if not frame.filename.startswith(tuple(installed))]
    return f'{frames[-1].filename}, line {frames[-1].lineno}' if frames else None


def _show_warning(message, category, *where, **more) -> None:
    """One line without the place in our code, which tells a user nothing."""
    print(f'gan_jax: {message}', file=sys.stderr)
