"""Results that cannot be misquoted: every value carries the protocol by which it was measured."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """What a metric computes.

    Attributes:
        value: the metric.
        error: one standard error or deviation of the value, None where the metric has none.
        rule: how value and error were computed, as text for a protocol: '100 subsets of 1000, deviation over subsets'.
    """

    value: float
    error: float | None = None
    rule: str = ''


@dataclasses.dataclass(frozen=True)
class Record:
    """A metric's value with all that somebody needs who compares it with another.

    Attributes:
        metric: its name, such as 'fid'.
        value: the number.
        error: as in `Estimate`.
        subject: what was judged: 'runs/dcgan-mnist at step 3000'.
        protocol: everything else the value depends on, by name: extractor, resize rule, data and number of reals, ...
        interval: where 95 % of bootstrap resamples of the fakes lie, where that was asked for.
    """

    metric: str
    value: float
    error: float | None
    subject: str
    protocol: Mapping[str, Any]
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        error = '' if self.error is None else f' ± {self.error:.4g}'
        return f'{self.metric} of {self.subject}: {self.value:.6g}{error} [{self.describe()}]'

    def describe(self) -> str:
        """The protocol as one line: 'extractor=...; reals=60000 of mnist train; ...'."""
        return '; '.join(f'{name}={value}' for name, value in self.protocol.items())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), 'protocol': dict(self.protocol)}


def differences(first: Record, second: Record) -> list[str]:
    """Why two records must not be compared, each as 'name (one -> other)'; empty where they may."""
    one, other = ({'metric': record.metric, **record.protocol} for record in (first, second))
    names = list(dict.fromkeys([*one, *other]))
    absent = '(absent)'
    return [
        f'{name} ({one.get(name, absent)} -> {other.get(name, absent)})'
        for name in names
        if one.get(name, absent) != other.get(name, absent)
    ]
