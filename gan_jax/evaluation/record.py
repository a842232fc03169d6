"""Records of results: every value is stored with its measurement protocol."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self


class Estimate(NamedTuple):
    """The result of a metric.

    Attributes:
        value: the metric.
        error: one standard error or deviation of the value, None if the metric has none.
        rule: the computation of value and error, as a string for a protocol: '100 subsets of 1000, deviation over
            subsets'.
    """

    value: float
    error: float | None = None
    rule: str = ''


@dataclasses.dataclass(frozen=True)
class Record:
    """A metric's value with everything needed for comparisons.

    Attributes:
        metric: its name, such as 'fid'.
        value: the number.
        error: as in `Estimate`.
        subject: what was evaluated: 'runs/dcgan-mnist at step 3000'.
        protocol: everything else the value depends on, by name: extractor, resize rule, data and number of real images,
            ...
        interval: the interval of 95 % of bootstrap resamples of the fakes, if requested.
        number: number of fakes, if they were images.
        fingerprint: a hash of the fakes; records with the same hash evaluate the same images.
    """

    metric: str
    value: float
    error: float | None
    subject: str
    protocol: Mapping[str, Any]
    interval: tuple[float, float] | None = None
    number: int | None = None
    fingerprint: str | None = None

    def __str__(self) -> str:
        error = '' if self.error is None else f' ± {self.error:.4g}'
        return f'{self.metric} of {self.subject}: {self.value:.6g}{error} [{self.describe()}]'

    def describe(self) -> str:
        """The protocol as one line: 'extractor=...; reals=60000 of mnist train; ...'."""
        return '; '.join(f'{name}={value}' for name, value in self.protocol.items())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), 'protocol': dict(self.protocol)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The inverse of `to_json`; raises a ValueError for values that are no record's."""
        if not isinstance(values, dict):
            raise ValueError(f'it has a {type(values).__name__} instead of an object')
        types = {field.name: _TYPES.get(field.name, str) for field in dataclasses.fields(cls)}
        required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        for name in sorted(required | values.keys()):
            if name not in types or not isinstance(values.get(name), types[name]):
                raise ValueError(f'{name!r} is {values.get(name)!r}')
        interval = values.get('interval')
        if interval is not None and [type(bound) for bound in interval] != [float, float]:
            raise ValueError(f"'interval' is {interval!r}")
        return cls(**values | {'interval': interval and tuple(interval)})


_TYPES = {
    'value': (int, float),
    'error': (int, float, type(None)),
    'protocol': dict,
    'interval': (list, type(None)),
    'number': (int, type(None)),
    'fingerprint': (str, type(None)),
}


@dataclasses.dataclass(frozen=True)
class Failure:
    """A metric that could not be computed.

    Attributes:
        metric: its name.
        failure: the reason, a sentence.
        subject: what was evaluated, as in `Record`.
    """

    metric: str
    failure: str
    subject: str

    def to_json(self) -> dict[str, str]:
        """Plain JSON values; a failure is known by the key 'failure'."""
        return dataclasses.asdict(self)


class Evaluation(NamedTuple):
    """The results of an evaluation.

    Attributes:
        records: records of the values.
        failures: failures of the metrics that could not be computed.
    """

    records: list[Record]
    failures: list[Failure]

    @property
    def values(self) -> dict[str, float]:
        """The values by the names of their metrics."""
        return {record.metric: record.value for record in self.records}


def differences(first: Record, second: Record) -> list[str]:
    """The differences that make two records incomparable, each as 'name (one -> other)'; empty if comparable."""
    one, other = ({'metric': record.metric, **record.protocol} for record in (first, second))
    names = list(dict.fromkeys([*one, *other]))
    absent = '(absent)'
    return [
        f'{name} ({one.get(name, absent)} -> {other.get(name, absent)})'
        for name in names
        if one.get(name, absent) != other.get(name, absent)
    ]
