"""Mean and covariance of a stream of features, in float64."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import features_array

BLOCK = 1024  # rows that are gathered before the covariance is touched


class Moments:
    """Mean and covariance of features that arrive in batches of any size.

    Two sets with n and m rows are joined by the pairwise update of Chan, Golub and LeVeque 1979, "Updating formulae and
    a pairwise algorithm for computing sample variances": with d the difference of their means, the scatter matrices add
    up, plus n m / (n + m) d d^T. Rows are centred on their block's mean before they are squared, so that features far
    from 0 lose no digits. How the stream was cut into batches changes the result by rounding only.

    Memory is one D x D matrix and `BLOCK` rows, in float64.
    """

    def __init__(self, dimension: int):
        """Moments of no rows yet.

        Args:
            dimension: D, the number of features of each row.
        """
        self._count = 0
        self._mean = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))
        self._waiting = np.empty((BLOCK, dimension))
        self._num_waiting = 0

    @classmethod
    def of(cls, features: ArrayLike) -> 'Moments':
        """The moments of all rows of features [n, D]."""
        features = features_array(features, 'The features')
        moments = cls(features.shape[1])
        moments.update(features)
        return moments

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike]) -> 'Moments':
        """The moments that `to_arrays` wrote, to the bit."""
        mean = np.array(arrays['mean'], np.float64)
        moments = cls(len(mean))
        moments._count, moments._mean = int(arrays['count']), mean
        moments._scatter = np.array(arrays['scatter'], np.float64)
        return moments

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything in plain arrays, for a cache: 'count' [], 'mean' [D] and 'scatter' [D, D], the sum of squares."""
        self._flush()
        return {'count': np.array(self._count), 'mean': self._mean.copy(), 'scatter': self._scatter.copy()}

    def update(self, features: ArrayLike) -> None:
        """Adds rows.

        Args:
            features: [n, D] with n of at least 0.

        Raises:
            UserError: they are not of dimension D, or hold NaN or infinity; nothing was added then.
        """
        features = features_array(features, 'The features', least=0)
        self._check_dimension(features.shape[1])
        start = 0
        while start < len(features):
            rows = features[start : start + BLOCK - self._num_waiting]
            self._waiting[self._num_waiting : self._num_waiting + len(rows)] = rows
            self._num_waiting += len(rows)
            start += len(rows)
            if self._num_waiting == BLOCK:
                self._flush()

    def merge(self, other: 'Moments') -> None:
        """Adds all rows of other moments, which stay as they are.

        Raises:
            UserError: they have another dimension.
        """
        self._check_dimension(len(other._mean))
        self._flush()
        other._flush()
        self._scatter += other._scatter
        self._join(other._count, other._mean, np.empty((0, len(self._mean))))

    @property
    def count(self) -> int:
        """The number of rows so far."""
        return self._count + self._num_waiting

    @property
    def mean(self) -> np.ndarray:
        """[D].

        Raises:
            UserError: there are no rows.
        """
        self._require(1, 'A mean')
        return self._mean.copy()

    @property
    def covariance(self) -> np.ndarray:
        """[D, D], with the number of rows less 1 as divisor.

        Raises:
            UserError: there are fewer than two rows.
        """
        self._require(2, 'A covariance')
        return self._scatter / (self._count - 1)

    def _flush(self) -> None:
        if self._num_waiting:
            rows = self._waiting[: self._num_waiting]
            mean = rows.mean(axis=0)
            self._join(len(rows), mean, rows - mean)
            self._num_waiting = 0

    def _join(self, count: int, mean: np.ndarray, centred: np.ndarray) -> None:
        """Adds rows by their number, mean and differences from it; d d^T goes with them into one matrix product."""
        total = self._count + count
        if total:
            shift = mean - self._mean
            rows = np.vstack([centred, np.sqrt(self._count / total * count) * shift])
            self._scatter += rows.T @ rows
            self._mean += count / total * shift
            self._count = total

    def _require(self, least: int, what: str) -> None:
        self._flush()
        if self._count < least:
            raise UserError(f'{what} needs at least {least} rows of features; there are {self._count}: add images.')

    def _check_dimension(self, dimension: int) -> None:
        if dimension != len(self._mean):
            raise UserError(
                f'Features of dimension {dimension} were added to moments of dimension {len(self._mean)}: use the '
                'same extractor for all.'
            )
