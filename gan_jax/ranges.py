"""Ranges of numbers, declared beside their defaults: `momentum: Annotated[float, SHARE] = 0.9`.

A config checks its values against these ranges (`gan_jax.config.check`); a `checked` function checks its arguments.
"""

import functools
import inspect
import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gan_jax.layers.choices import require


class Range(NamedTuple):
    """The numbers from `least` to `most`, without NaN; infinity only if an end is infinite.

    Attributes:
        least: the lower end.
        most: the upper end.
        above: whether `least` itself is excluded.
        below: whether `most` itself is excluded.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raises a UserError that names the value unless it (or each number of a sequence) is in the range.

        Traced values (a population's number), None and non-numbers pass: types are checked elsewhere.
        """
        for number in value if isinstance(value, Sequence) else (value,):
            if isinstance(number, numbers.Real):
                fits = self.least <= number <= self.most
                at_open_end = (self.above and number == self.least) or (self.below and number == self.most)
                require(fits and not at_open_end, name, value, str(self))

    def __str__(self) -> str:
        """'from 1 to 8', 'above 0 and at most 1'."""
        least, most = (f'{end:.10g}' for end in self[:2])
        if not (self.above or self.below):
            return f'from {least} to {most}'
        return f'{"above" if self.above else "at least"} {least} and {"below" if self.below else "at most"} {most}'


SHARE = Range(0, 1)
POSITIVE_SHARE = Range(0, 1, above=True)
DECAY = Range(0, 1, below=True)  # the weight of the past in an average
MOMENTUM = Range(-1, 1, above=True, below=True)
AMOUNT = Range(0, 10**6)
POSITIVE_AMOUNT = Range(0, 10**6, above=True)
COUNT = Range(1, 2**31 - 1)  # of what int32 counts
COUNT_OR_NONE = Range(0, 2**31 - 1)
STANDING = Range(0, 10_000)  # passes of standing statistics
SEED = Range(0, 2**32 - 1)  # of a key of JAX
ORDINARY = Range(-(10**6), 10**6)
FINITE = Range(-3e38, 3e38)  # as float32


def range_of(annotation: Any) -> Range | None:
    """The range in an annotation `Annotated[float, SHARE]`, or None."""
    return next((one for one in getattr(annotation, '__metadata__', ()) if isinstance(one, Range)), None)


def unannotated(annotation: Any) -> Any:
    """The type without the annotation."""
    return annotation.__origin__ if range_of(annotation) else annotation


def checked(function: Callable) -> Callable:
    """Decorator: a call raises a UserError for an argument outside of the range in its annotation."""
    signature = inspect.signature(function)
    ranges = {name: range_of(parameter.annotation) for name, parameter in signature.parameters.items()}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if ranges[name]:
                ranges[name].check(f"{function.__name__}'s {name}", value)
        return function(*args, **kwargs)

    return call
