"""The pace of a run: when each stretch was done, and the number of steps of the next one."""

import collections
import concurrent.futures
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

import jax
import numpy as np

from gan_jax.runtime import hosts

Metrics = dict[str, np.ndarray]


class Stretch(NamedTuple):
    """A finished stretch.

    Attributes:
        last: its last step.
        metrics: each of shape [..., steps], on the host.
        seconds: of the clock, when the devices had done it.
        is_line: whether a line of the records ends with it.
    """

    last: int
    metrics: Metrics
    seconds: float
    is_line: bool


class Pace:
    """The stretches in progress on the devices; a context manager that forgets them at exit.

    A separate thread waits for each, so that its end time is known whenever the loop reads it, and so
    that the loop can be interrupted while it waits.

    Args:
        seconds: approximate duration of a stretch.
        clock: a monotonic clock in seconds.

    Attributes:
        step_seconds: duration of a step in the last stretch; None before the first is done.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.step_seconds: float | None = None
        self._seconds, self._clock = seconds, clock
        self._asked = self._done = clock()
        self._last: int | None = None
        self._under_way: collections.deque[concurrent.futures.Future] = collections.deque()

    def __enter__(self) -> Self:
        self._reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix='metrics')
        return self

    def __exit__(self, *_: object) -> None:
        self._under_way.clear()
        self._reader.shutdown(wait=False, cancel_futures=True)

    def steps(self, remaining: int) -> int:
        """The number of steps to make next; one at first, and equal in all processes."""
        self._asked = self._clock()
        slowest = hosts.largest(self._seconds if self.step_seconds is None else self.step_seconds)
        return max(1, min(remaining, int(self._seconds / max(slowest, 1e-9))))

    def add(self, first: int, last: int, metrics: dict[str, jax.Array], *, is_line: bool) -> None:
        """Adds the stretch from step `first` to `last` that was dispatched since `steps`."""
        self._last = last
        self._under_way.append(self._reader.submit(self._read, first, last, metrics, is_line, self._asked))

    def done(self, *, leave: int) -> Iterator[Stretch]:
        """The earliest stretches, each when it is done, until at most `leave` are in progress."""
        while len(self._under_way) > leave:
            yield self._under_way.popleft().result()

    def first_words(self, remaining: int) -> str:
        """Waits for the first step; describes its duration, and the time until the first metrics."""
        self._under_way[0].result()
        seconds = remaining * self.step_seconds
        return f'The first step took {self.step_seconds:.2g} s; the first metrics will follow in about {seconds:.0f} s.'

    def when(self) -> str:
        """Describes when the stretches in progress will be done."""
        if self.step_seconds is None:
            return 'after compilation and the first training step'
        return f'after step {self._last}, in at most about {self._seconds:.0f} s'

    def _read(self, first: int, last: int, metrics: dict[str, jax.Array], is_line: bool, asked: float) -> Stretch:
        jax.block_until_ready(metrics)
        before, self._done = self._done, self._clock()
        self.step_seconds = (self._done - max(asked, before)) / (last - first)
        values = {name: value[..., : last - first] for name, value in jax.device_get(metrics).items()}
        return Stretch(last, values, self._done, is_line)
