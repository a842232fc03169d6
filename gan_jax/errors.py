"""The ways in which a run ends early."""

import signal


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
