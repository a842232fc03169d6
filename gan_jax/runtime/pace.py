"""How fast a run goes: when each stretch was done, and how many steps the next one may have."""

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
    """A stretch that is done.

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
    """The stretches that are under way on the devices; a context manager that forgets them when it is left.

    A thread of its own waits for each, so that it is known when it was done, whenever the loop comes to read it, and so
    that the loop can be interrupted while it waits.

    Args:
        seconds: about how long a stretch may take.
        clock: seconds that only grow.

    Attributes:
        step_seconds: how long a step of the last stretch took; None before the first is done.
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
        """How many of the remaining steps to make next; one while nothing is known, and equal in all processes."""
        self._asked = self._clock()
        slowest = hosts.largest(self._seconds if self.step_seconds is None else self.step_seconds)
        return max(1, min(remaining, int(self._seconds / max(slowest, 1e-9))))

    def add(self, first: int, last: int, metrics: dict[str, jax.Array], *, is_line: bool) -> None:
        """Takes note of the stretch from step `first` to `last` that was given to the devices since `steps`."""
        self._last = last
        self._under_way.append(self._reader.submit(self._read, first, last, metrics, is_line, self._asked))

    def done(self, *, leave: int) -> Iterator[Stretch]:
        """The earliest stretches, each when it is done, until no more than `leave` are under way."""
        while len(self._under_way) > leave:
            yield self._under_way.popleft().result()

    def first_words(self, remaining: int) -> str:
        """Waits for the first step; says how long it took, and the steps that remain until the first metrics will."""
        self._under_way[0].result()
        seconds = remaining * self.step_seconds
        return f'The first step took {self.step_seconds:.2g} s; the first metrics will follow in about {seconds:.0f} s.'

    def when(self) -> str:
        """When the stretches under way will be done, for people."""
        if self.step_seconds is None:
            return 'after compilation and the first training step'
        return f'after step {self._last}, in at most about {self._seconds:.0f} s'

    def _read(self, first: int, last: int, metrics: dict[str, jax.Array], is_line: bool, asked: float) -> Stretch:
        jax.block_until_ready(metrics)
        before, self._done = self._done, self._clock()
        self.step_seconds = (self._done - max(asked, before)) / (last - first)
        values = {name: value[..., : last - first] for name, value in jax.device_get(metrics).items()}
        return Stretch(last, values, self._done, is_line)
