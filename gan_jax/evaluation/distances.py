"""Euclidean distances between two sets of features, a block at a time on the device.

Only blocks of `block` x `block` distances are ever held, so that 50,000 against 50,000 needs no 20 GB. Sets are padded
to whole blocks: one program is compiled for each dimension, type and block size.

Squared distances come from |x|^2 + |y|^2 - 2 x.y, which loses digits where the points are far from the origin: give
both sets to `centred` first. What is within rounding of 0 is 0, so that copies are at distance 0. float64 features are
computed in float64, float32 ones in float32 at the highest precision of products.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import check_same_dimension

Array = jax.Array

BLOCK = 1024
_ROUNDING = 32  # relative to |x|^2 + |y|^2, in units of the type's epsilon; copies of 2048 numbers are off by 6


class Nearest(NamedTuple):
    """The nearest references of each query, nearest first, ties by the smaller index.

    Attributes:
        squared_distances: [n, k], float32 or float64.
        indices: int64 [n, k], of rows of the references.
    """

    squared_distances: np.ndarray
    indices: np.ndarray


class BallCounts(NamedTuple):
    """How points and balls meet.

    Attributes:
        balls: int64 [n], in how many balls each point lies.
        points: int64 [m], how many points each ball holds.
    """

    balls: np.ndarray
    points: np.ndarray


def centred(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtracts the mean of all rows from two sets [n, D] and [m, D]; both become float32 only if both are.

    The mean is rounded to float32, so that features of few digits keep exact ties.

    Raises:
        UserError: the sets differ in D.
    """
    check_same_dimension(first, second)
    dtype = np.promote_types(first.dtype, second.dtype)
    total = first.sum(axis=0, dtype=np.float64) + second.sum(axis=0, dtype=np.float64)
    centre = (total / (len(first) + len(second))).astype(np.float32).astype(np.float64)
    return (first - centre).astype(dtype), (second - centre).astype(dtype)


def nearest(
    queries: np.ndarray, references: np.ndarray, k: int, exclude_self: bool = False, block: int = BLOCK
) -> Nearest:
    """The k nearest references of each query.

    Args:
        queries: [n, D], float32 or float64, centred.
        references: [m, D] of the same type, centred likewise.
        k: how many.
        exclude_self: whether row i of the references does not count for query i, as where both are one set. Copies of
            it in other rows count.
        block: how many rows are compared at a time. Memory grows with its square and with the features, which the
            device holds, not with n m.

    Raises:
        UserError: there are fewer than k references to be found.
    """
    available = len(references) - exclude_self
    if not 1 <= k <= available:
        raise UserError(f'{k} nearest neighbours were asked for among {available}: k must be from 1 to {available}.')
    squared, indices = [], []
    with jax.enable_x64(queries.dtype == np.float64):
        blocks = [jnp.asarray(rows) for _, rows in _blocks(references, block)]
        for start, rows in _blocks(queries, block):
            some = jnp.asarray(rows)
            best = jnp.full((block, k), jnp.inf, some.dtype), jnp.zeros((block, k), jnp.int32)
            for number, others in enumerate(blocks):
                best = _merge(*best, some, others, start, number * block, len(references), exclude_self)
            squared.append(np.asarray(best[0]))
            indices.append(np.asarray(best[1]))
    found = np.concatenate(squared)[: len(queries)], np.concatenate(indices)[: len(queries)].astype(np.int64)
    return Nearest(*found)


def ball_counts(
    points: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray, *, closed: bool, block: int = BLOCK
) -> BallCounts:
    """Counts points in balls.

    Args:
        points: [n, D], float32 or float64, centred.
        centres: [m, D] of the balls, of the same type and centred likewise.
        squared_radii: [m], as `nearest` gives them, so that ties stay ties.
        closed: whether a point at the very radius is inside.
        block: as in `nearest`.
    """
    balls = np.zeros(len(points), np.int64)
    held = np.zeros(len(centres), np.int64)
    with jax.enable_x64(points.dtype == np.float64):
        blocks = [jnp.asarray(rows) for _, rows in _blocks(centres, block)]
        radii = [jnp.asarray(rows[:, 0]) for _, rows in _blocks(squared_radii[:, None], block)]
        for start, rows in _blocks(points, block):
            some, here = jnp.asarray(rows), slice(start, start + block)
            for number, (others, their_radii) in enumerate(zip(blocks, radii, strict=True)):
                there = slice(number * block, number * block + block)
                sizes = len(balls[here]), len(held[there])
                per_point, per_ball = _count(some, others, their_radii, *sizes, closed)
                balls[here] += np.asarray(per_point)[: sizes[0]]
                held[there] += np.asarray(per_ball)[: sizes[1]]
    return BallCounts(balls, held)


def _blocks(rows: np.ndarray, block: int) -> Iterator[tuple[int, np.ndarray]]:
    """Whole blocks of rows, the last padded with zeros, each with the number of its first row."""
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        yield start, np.pad(some, ((0, block - len(some)), (0, 0)))


def _squared_distances(x: Array, y: Array) -> Array:
    norms = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)
    squared = norms - 2 * jnp.matmul(x, y.T, precision='highest')
    return jnp.where(squared <= _ROUNDING * jnp.finfo(x.dtype).eps * norms, 0, squared)


@partial(jax.jit, static_argnames='exclude_self')
def _merge(squared, indices, queries, references, query_start, reference_start, num_references, exclude_self):
    """Puts one block's nearest references among those found before."""
    k, block = squared.shape[1], len(references)
    numbers = reference_start + jnp.arange(block, dtype=jnp.int32)
    forbidden = numbers >= num_references
    if exclude_self:
        forbidden = forbidden | (numbers == (query_start + jnp.arange(block, dtype=jnp.int32))[:, None])
    found = jnp.where(forbidden, jnp.inf, _squared_distances(queries, references))
    squared = jnp.concatenate([squared, found], axis=1)
    indices = jnp.concatenate([indices, jnp.broadcast_to(numbers, found.shape)], axis=1)
    chosen = []
    for _ in range(k):  # on a CPU far faster than top_k, which sorts
        place = squared.argmin(axis=1, keepdims=True)
        chosen.append((jnp.take_along_axis(squared, place, 1), jnp.take_along_axis(indices, place, 1)))
        squared = jnp.where(jnp.arange(squared.shape[1]) == place, jnp.inf, squared)
    return tuple(jnp.concatenate(columns, axis=1) for columns in zip(*chosen, strict=True))


@jax.jit
def _count(points, centres, squared_radii, num_points, num_centres, closed):
    squared = _squared_distances(points, centres)
    inside = jnp.where(closed, squared <= squared_radii, squared < squared_radii)
    inside &= (jnp.arange(len(points)) < num_points)[:, None] & (jnp.arange(len(centres)) < num_centres)
    return inside.sum(axis=1), inside.sum(axis=0)
