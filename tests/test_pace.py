"""When stretches were done, and how long the next may be."""

import time

import numpy as np
import pytest

from gan_jax.runtime.pace import Pace


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Metric:
    """An array of a device that is done when the clock shows a time, to which waiting for it sets the clock."""

    def __init__(self, clock: Clock, seconds: float, values: list[float]):
        self.clock, self.seconds, self.values = clock, seconds, np.array(values)

    def block_until_ready(self):
        self.clock.seconds = max(self.clock.seconds, self.seconds)
        return self

    def __array__(self, *_, **__):
        return self.values


def test_the_first_stretch_is_a_step_and_the_others_take_about_the_asked_time():
    clock = Clock()
    with Pace(10.0, clock) as pace:
        assert pace.steps(500) == 1
        assert pace.when() == 'after compilation and the first training step'
        pace.add(0, 1, {'loss': Metric(clock, 100.25, [1.0, 0.0])}, is_line=False)
        assert pace.first_words(499) == 'The first step took 0.25 s; the first metrics will follow in about 125 s.'
        assert pace.steps(499) == 40
        assert pace.steps(7) == 7
        (first,) = pace.done(leave=0)
        pace.add(1, 41, {'loss': Metric(clock, 300.25, [0.0] * 50)}, is_line=True)
        assert pace.when() == 'after step 41, in at most about 10 s'
        (second,) = pace.done(leave=0)
        assert pace.steps(459) == 2  # a step took 5 s
        pace.add(41, 43, {'loss': Metric(clock, 340.25, [0.0] * 50)}, is_line=True)
        list(pace.done(leave=0))
        assert pace.steps(457) == 1  # a step takes longer than a stretch may
    assert (first.last, first.seconds, first.is_line) == (1, 100.25, False)
    assert (second.last, second.seconds, second.is_line) == (41, 300.25, True)
    np.testing.assert_array_equal(first.metrics['loss'], [1.0])
    assert second.metrics['loss'].shape == (40,)


def test_stretches_that_are_read_together_were_done_one_after_the_other():
    class Slow(Metric):
        def block_until_ready(self):
            time.sleep(0.1)
            return self

    with Pace(10.0) as pace:
        for first in (0, 1):
            pace.steps(1)
            pace.add(first, first + 1, {'loss': Slow(Clock(), 0, [0.0])}, is_line=True)
        time.sleep(0.25)  # the loop has saved and sampled meanwhile
        one, other = pace.done(leave=0)
    assert other.seconds - one.seconds == pytest.approx(0.1, abs=0.05)
    assert pace.step_seconds == pytest.approx(0.1, abs=0.05)


def test_what_goes_wrong_on_the_devices_is_raised_where_it_is_read():
    class Broken(Metric):
        def block_until_ready(self):
            raise RuntimeError('out of memory')

    with Pace(10.0) as pace:
        pace.steps(1)
        pace.add(0, 1, {'loss': Broken(Clock(), 0, [])}, is_line=True)
        with pytest.raises(RuntimeError, match='out of memory'):
            list(pace.done(leave=0))
