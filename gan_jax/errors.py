"""The ways in which a run ends early, and what a command makes of them."""

import signal
import sys
import warnings
from collections.abc import Callable


class UserError(ValueError):
    """What was asked for cannot be done; the message is one sentence saying why and what to do.

    The command line prints the message without a traceback and exits with 2; a program that imports `gan_jax` catches
    it as a `ValueError`.
    """


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


def _show_warning(message, category, *where, **more) -> None:
    """One line without the place in our code, which tells a user nothing."""
    print(f'gan_jax: {message}', file=sys.stderr)
