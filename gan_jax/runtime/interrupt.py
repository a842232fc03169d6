"""SIGTERM and Ctrl-C as a flag that the training loop checks before each stretch."""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self


class StopSignals:
    """A context in which the first SIGTERM or SIGINT is recorded and reported; a second one has its usual effect.

    Python runs a signal's handler only when the main thread returns from a wait, which may be for a device or the
    compiler. The report therefore comes from a separate thread, to which the operating system's handler passes the
    number.

    Args:
        when: returns when the run will stop, for the report: 'after step 20'.

    Attributes:
        received: the received signal, or None.
    """

    def __init__(self, when: Callable[[], str]):
        self.received: signal.Signals | None = None
        self._when = when
        self._previous: dict[signal.Signals, object] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python forbids it
            self._ear, self._mouth = socket.socketpair()
            self._mouth.setblocking(False)
            self._previous_mouth = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._answer, daemon=True)
            self._thread.start()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()
        if self._thread is not None:
            signal.set_wakeup_fd(self._previous_mouth)
            self._mouth.close()
            self._thread.join()
            self._ear.close()
            self._thread = None

    def _put_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = signal.Signals(number)
        self._put_back()

    def _answer(self) -> None:
        while heard := self._ear.recv(1):
            if heard[0] in (signal.SIGTERM, signal.SIGINT):
                self.received = signal.Signals(heard[0])
                print(
                    f'gan_jax: received {self.received.name}: the run stops {self._when()} and is saved; a second '
                    'signal ends it without saving.',
                    file=sys.stderr,
                    flush=True,
                )
                return
