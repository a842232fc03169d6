"""Exceptions that end a run early, and how a command reports them."""

import contextlib
import io
import pathlib
import signal
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator


class UserError(ValueError):
    """The request is impossible; the message is one sentence that explains why and what to do.

    The command line prints the message without a traceback and exits with 2; a program that imports `gan_jax` catches
    it as a `ValueError`.
    """


class MissingSplitError(UserError):
    """A data set does not have the split that was asked for."""

    def __init__(self, name: str, split: str, splits: Iterable[str]):
        super().__init__(f'{name!r} has no split {split!r}; it has {", ".join(splits)}.')


class SourceError(UserError):
    """A Python file of the user has an error; the cause is the original exception, for its traceback."""


class DivergedError(RuntimeError):
    """A metric became NaN or infinite; the message names the step and the last good checkpoint. Exit code 3."""


class InterruptedRunError(RuntimeError):
    """A signal stopped the run, and it was saved. The exit code is 128 + the signal's number, as in shells."""

    def __init__(self, message: str, signal_number: signal.Signals):
        super().__init__(message)
        self.signal_number = signal_number


def exit_code(run: Callable[[], None]) -> int:
    """Runs a command: prints one line for each warning and for a user error; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files may have bytes that are no text
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
    """Converts exceptions of the user's code to a SourceError with the file, line and message of its last frame.

    An exception without a frame outside of installed packages is an error of gan_jax, and passes unchanged.

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
    """One line without the location in gan_jax's code, which does not help a user."""
    print(f'gan_jax: {message}', file=sys.stderr)
