"""Exact Euclidean distances between two sets of features: nearest neighbours, and points in balls.

Distances are the float64 roots of the sums of squared differences: copies have distance 0, and ties remain
ties. Computing all pairs in this way would cost far more than matrix products, so products only exclude pairs: |x|^2 +
|y|^2 - 2 x.y in float32 on the device, with a bound of its rounding error, decides which pairs cannot matter. The few
remaining pairs are computed from differences. If many remain, as between clusters that are far apart, the products are
repeated in float64. The results do not depend on this.

A block of queries is compared with all references at a time, so 50,000 against 50,000 does not need 10 GB. All numbers
are scaled by a power of two; only distances below 1e-154 of the largest feature underflow to 0.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import check_same_dimension

Array = jax.Array

BLOCK = 512
_OPEN_SHARE = 1 / 32  # of a block's pairs, above which the products in float64 are cheaper than the differences
_NUMBERS_AT_ONCE = 2**21  # in differences
_CENTRE_ROWS = 1000


class Nearest(NamedTuple):
    """The nearest references of each query, nearest first, ties by the smaller index.

    Attributes:
        distances: float64 [n, k].
        indices: int64 [n, k], of rows of the references.
    """

    distances: np.ndarray
    indices: np.ndarray


class BallCounts(NamedTuple):
    """Counts of points in balls.

    Attributes:
        balls: int64 [n], the number of balls that contain each point.
        points: int64 [m], the number of points in each ball.
    """

    balls: np.ndarray
    points: np.ndarray


def nearest(
    queries: np.ndarray, references: np.ndarray, k: int, exclude_self: bool = False, block: int = BLOCK
) -> Nearest:
    """The k nearest references of each query.

    Args:
        queries: [n, D], float32 or float64.
        references: [m, D].
        k: number of references.
        exclude_self: whether row i of the references is excluded for query i, if both are the same set. Copies of
            it in other rows are included.
        block: number of queries compared at a time. Memory grows with `block` m and with the features, which the
            device holds, not with n m.

    Raises:
        UserError: there are fewer than k references, or the sets differ in D.
    """
    available = len(references) - exclude_self
    if not 1 <= k <= available:
        raise UserError(f'k is {k}, but there are {available} neighbours: choose k from 1 to {available}.')
    pairs = _Pairs(queries, references, block)
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for rows in pairs.blocks():
        _, query, reference = pairs.screened(partial(_candidates, k=k, exclude_self=exclude_self), rows)
        found = pairs.distances(query, reference)
        order = np.lexsort((reference, found, query))
        first = np.searchsorted(query[order], np.arange(rows.start, rows.stop))
        chosen = order[first[:, None] + np.arange(k)]
        distances[rows], indices[rows] = found[chosen], reference[chosen]
    return Nearest(distances, indices)


def ball_counts(
    points: np.ndarray, centres: np.ndarray, radii: np.ndarray, *, closed: bool, block: int = BLOCK
) -> BallCounts:
    """Counts points in balls.

    Args:
        points: [n, D], float32 or float64.
        centres: [m, D] of the balls.
        radii: float64 [m], for example from `nearest`, so that ties remain ties.
        closed: whether a point exactly at the radius is inside.
        block: number of points compared at a time; as in `nearest`.

    Raises:
        UserError: the sets differ in D.
    """
    pairs = _Pairs(points, centres, block)
    scaled = np.where(radii > 0, pairs.scaled(radii).clip(np.finfo(np.float32).tiny), 0)  # 0 to float32 where it is 0
    balls, held = np.zeros(len(points), np.int64), np.zeros(len(centres), np.int64)
    for rows in pairs.blocks():
        counts, point, centre = pairs.screened(partial(_inside, closed=closed), rows, scaled)
        balls[rows] += counts[0][: rows.stop - rows.start]
        held += counts[1][: len(centres)]
        found = pairs.distances(point, centre)
        inside = found <= radii[centre] if closed else found < radii[centre]
        np.add.at(balls, point[inside], 1)
        np.add.at(held, centre[inside], 1)
    return BallCounts(balls, held)


class _Rows(NamedTuple):
    """Rows on the device, of float32 or float64.

    Attributes:
        features: [b, D], centred and scaled.
        norms: [b], squared.
        identities: int32 [b], equal for copies; -1 for padding.
        numbers: int32 [b] in the set.
    """

    features: Array
    norms: Array
    identities: Array
    numbers: Array


class _Pairs:
    """All pairs of two sets, in blocks of the first."""

    def __init__(self, queries: np.ndarray, references: np.ndarray, block: int):
        check_same_dimension(queries, references)
        self._sets, self._block = (queries, references), block
        largest = max(max(-float(rows.min()), float(rows.max())) for rows in self._sets)
        self._scale = 2.0 ** np.clip(np.frexp(largest)[1], -1000, 1000)
        sample = np.concatenate([rows[:: -(-len(rows) // _CENTRE_ROWS)] for rows in self._sets])
        self._centre = np.median(self.scaled(sample), axis=0)  # unlike the mean, it stays where most points are
        self._identities = self._identify()
        self._references: dict[type, _Rows] = {}

    def blocks(self) -> Iterator[slice]:
        number = len(self._sets[0])
        return (slice(start, min(start + self._block, number)) for start in range(0, number, self._block))

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        return np.multiply(rows, 1 / self._scale, dtype=np.float64)

    def screened(self, program: Callable, rows: slice, radii: np.ndarray | None = None) -> tuple:
        """The counts of a program over a block of queries, and the indices [p] and [p] of the undecided pairs."""
        for dtype in (np.float32, np.float64):
            with jax.enable_x64(dtype == np.float64):
                if dtype not in self._references:
                    whole = -(-len(self._sets[1]) // self._block) * self._block
                    self._references[dtype] = self._rows(1, slice(0, len(self._sets[1])), whole, dtype)
                references = self._references[dtype]
                arguments = () if radii is None else (_padded(radii, len(references.norms)),)
                left, number, *counts = program(self._rows(0, rows, self._block, dtype), references, *arguments)
                if int(number) <= _OPEN_SHARE * left.size:
                    break
        query, reference = np.nonzero(np.asarray(left)) if int(number) else (np.empty(0, np.int64),) * 2
        return [np.asarray(count) for count in counts], query + rows.start, reference

    def distances(self, query: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Of pairs [p], from differences in float64."""
        squares = np.empty(len(query))
        step = max(_NUMBERS_AT_ONCE // self._centre.size, 1)
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            first, second = (
                self.scaled(rows[at[some]]) for rows, at in zip(self._sets, (query, reference), strict=True)
            )
            squares[some] = ((first - second) ** 2).sum(axis=1)
        return np.sqrt(squares) * self._scale

    def _rows(self, which: int, rows: slice, length: int, dtype: type) -> _Rows:
        features, norms = np.zeros((length, self._centre.size), dtype), np.zeros(length)
        number = rows.stop - rows.start
        for start in range(0, number, BLOCK):
            some = slice(start, min(start + BLOCK, number))
            centred = self.scaled(self._sets[which][rows][some]) - self._centre
            features[some], norms[some] = centred, (centred**2).sum(axis=1)
        identities = _padded(self._identities[which][rows], length, -1)
        numbers = np.arange(rows.start, rows.start + length, dtype=np.int32)
        return _Rows(*map(jnp.asarray, (features, norms.astype(dtype), identities, numbers)))

    def _identify(self) -> list[np.ndarray]:
        """Identities int32 [n] of each set, same for equal rows; products cannot resolve a collapsed set."""
        known: dict[bytes, int] = {}
        dtype, zero = np.result_type(*self._sets), np.float32(0)

        def identify(row: np.ndarray) -> int:
            row = row.astype(dtype) + zero  # no -0
            return known.setdefault(hashlib.blake2b(row, digest_size=16).digest(), len(known))

        return [np.array([identify(row) for row in rows], np.int32) for rows in self._sets]


def _padded(array: np.ndarray, length: int, value: float = 0) -> np.ndarray:
    return np.pad(array, (0, length - len(array)), constant_values=value)


def _bounds(x: _Rows, y: _Rows) -> tuple[Array, Array, Array]:
    """Below and above which the squared distances [n, m] are, and whether rows are copies.

    Products of D numbers are off by at most D / 2 epsilons of |x| |y| in any order of summation (Higham 2002, "Accuracy
    and Stability of Numerical Algorithms", section 3.1), and underflow by D of the smallest number; rounded features
    and norms and the exact distances' own rounding are off by far less than 64 epsilons.
    """
    info, dimension = jnp.finfo(x.norms.dtype), x.features.shape[1]
    norms = x.norms[:, None] + y.norms
    squared = norms - 2 * jnp.matmul(x.features, y.features.T, precision='highest')
    error = (dimension + 64) * (info.eps * norms + 2 * info.tiny)
    copies = x.identities[:, None] == y.identities
    return jnp.where(copies, 0, squared - error), jnp.where(copies, 0, squared + error), copies


@partial(jax.jit, static_argnames=('k', 'exclude_self'))
def _candidates(queries: _Rows, references: _Rows, *, k: int, exclude_self: bool) -> tuple[Array, Array]:
    """The pairs [n, m] that may be among the k nearest of the query, and their number."""
    low, high, copies = _bounds(queries, references)
    allowed = (references.identities >= 0) & (queries.identities >= 0)[:, None]
    if exclude_self:
        allowed &= queries.numbers[:, None] != references.numbers
    high = jnp.where(allowed, high, jnp.inf)
    places, first = jnp.arange(high.shape[1]), jnp.zeros_like(copies)
    for _ in range(k):  # on a CPU faster than top_k
        place = high.argmin(axis=1, keepdims=True)
        limit = jnp.take_along_axis(high, place, 1)
        first |= places == place
        high = jnp.where(places == place, jnp.inf, high)
    candidates = allowed & (first | (low <= limit) & ~copies)  # of copies, the first k are enough
    return candidates, candidates.sum()


@partial(jax.jit, static_argnames='closed')
def _inside(points: _Rows, centres: _Rows, radii: Array, *, closed: bool) -> tuple[Array, Array, Array, Array]:
    """The pairs [n, m] too close to the radius to decide, and their number; then the counts without them."""
    low, high, copies = _bounds(points, centres)
    info, squared = jnp.finfo(low.dtype), radii.astype(low.dtype) ** 2
    error = 4 * info.eps * squared + 2 * info.tiny
    allowed = (points.identities >= 0)[:, None] & (centres.identities >= 0)
    inside = allowed & jnp.where(copies, closed | (radii > 0), high < squared - error)
    left = allowed & ~copies & (low <= squared + error) & ~inside
    return left, left.sum(), inside.sum(axis=1), inside.sum(axis=0)
