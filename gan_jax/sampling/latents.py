"""Arithmetic of latents: paths between them, truncation, and moves along one dimension, code or direction.

The functions on paths compute in float64 on the host and return the dtype of their inputs, so that steps can be
tiny. The directions of normal latents are uniform on the sphere and their lengths nearly equal, so that a path between
two of them stays at likely latents on a great circle and leaves them on a line (White 2016, "Sampling Generative
Networks", arXiv:1609.04468). Uniform latents have no such sphere: their great circles are those of their normal scores.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy  # imports its submodules lazily
from jax.typing import ArrayLike

from gan_jax.codes import Codes
from gan_jax.game import Array, Key
from gan_jax.layers.choices import require

_PARALLEL = 1e-9  # the sine below which two directions have no great circle of their own
_SMALLEST_THRESHOLD = 0.01

Interpolation = Callable[[ArrayLike, ArrayLike, ArrayLike], np.ndarray]


def lerp(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> np.ndarray:
    """The points on the lines from start to end.

    Args:
        start: [n, ...], or [1, ...] for all paths.
        end: likewise.
        share: [n], or a number for all paths: 0 is the start, 1 the end.

    Returns:
        [n, ...] in the dtype of start.
    """
    start, end, share, dtype = _columns(start, end, share)
    return ((1 - share) * start + share * end).astype(dtype)


def slerp(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> np.ndarray:
    """The points on the great circles from start to end.

    Shoemake 1985, "Animating Rotation with Quaternion Curves". The direction turns from that of start to that of end at
    a constant speed; the length changes linearly. Between opposite directions the circle
    passes through the coordinate axis that is farthest from them; a latent of length 0 gets the direction of the other.

    Args:
        start: [n, ...], or [1, ...] for all paths.
        end: likewise.
        share: [n], or a number for all paths: 0 is the start, 1 the end.

    Returns:
        [n, ...] in the dtype of start.
    """
    start, end, share, dtype = _columns(start, end, share)
    shape = np.broadcast_shapes(start.shape, end.shape, share.shape)
    start, end, share = (values.reshape(len(values), -1) for values in (start, end, share))
    (one, length), (other, other_length) = _polar(start), _polar(end)
    one, other = np.where(length > 0, one, other), np.where(other_length > 0, other, one)
    cosine = np.sum(one * other, axis=1, keepdims=True)
    across, sine = _polar(other - cosine * one)
    farthest = np.eye(one.shape[1])[np.argmin(np.abs(one), axis=1)]
    perpendicular, _ = _polar(farthest - np.sum(farthest * one, axis=1, keepdims=True) * one)
    angle = share * np.arctan2(sine, cosine)
    direction = np.cos(angle) * one + np.sin(angle) * np.where(sine > _PARALLEL, across, perpendicular)
    return (direction * (length + share * (other_length - length))).reshape(shape).astype(dtype)


def uniform_slerp(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> np.ndarray:
    """`slerp` between the normal scores of latents uniform in [-1, 1), which keeps every component in that range."""
    dtype = np.asarray(start).dtype
    return from_normal_scores(slerp(normal_scores(start), normal_scores(end), share)).astype(dtype)


def normal_scores(latents: ArrayLike) -> np.ndarray:
    """Standard normal latents from uniform ones in [-1, 1], float64: the quantiles at the same probability."""
    return scipy.special.ndtri(np.clip((np.asarray(latents, np.float64) + 1) / 2, 1e-12, 1 - 1e-12))


def from_normal_scores(latents: ArrayLike) -> np.ndarray:
    """The inverse of `normal_scores`."""
    return 2 * scipy.special.ndtr(latents) - 1


SPHERICAL = {'normal': slerp, 'uniform': uniform_slerp}


def walk(points: ArrayLike, frames: int, interpolate: Interpolation = slerp) -> np.ndarray:
    """A path that goes from each point to the next and ends at the last.

    Args:
        points: [k, ...], at least two.
        frames: number of frames of each leg.
        interpolate: `slerp`, `lerp` or `uniform_slerp`.

    Returns:
        [(k - 1) frames + 1, ...]; every `frames`-th of them is one of the points.
    """
    points = np.asarray(points)
    share = np.arange(frames) / frames
    legs = [interpolate(start[None], end[None], share) for start, end in itertools.pairwise(points)]
    return np.concatenate([*legs, points[-1:]])


def loop(points: ArrayLike, frames: int, distribution: str | None = 'normal') -> np.ndarray:
    """A smooth closed path through all points: its velocity is continuous everywhere.

    The path is the periodic cubic spline through the points (Catmull-Rom curves turn as smoothly, but their
    acceleration jumps). On the sphere it is the direction of the spline through the points' directions, with the length
    that the spline through their lengths has.

    Args:
        points: [k, ...], at least two.
        frames: from each point to the next.
        distribution: distribution of the latents, 'normal' or 'uniform', for a path on the sphere; None: the spline
            itself.

    Returns:
        [k frames, ...]; every `frames`-th of them is one of the points, and the last is a step away from the first.
    """
    points = np.asarray(points)
    flat = points.reshape(len(points), -1).astype(np.float64)
    if distribution == 'uniform':
        flat = normal_scores(flat)
    times = np.arange(len(points) * frames) / frames

    def spline(values: np.ndarray) -> np.ndarray:
        closed = np.append(values, values[:1], axis=0)
        return scipy.interpolate.CubicSpline(np.arange(len(closed)), closed, bc_type='periodic')(times)

    if distribution is None:
        path = spline(flat)
    else:
        directions, lengths = _polar(flat)
        path = _polar(spline(directions))[0] * spline(lengths)
    if distribution == 'uniform':
        path = from_normal_scores(path)
    return path.reshape(-1, *points.shape[1:]).astype(points.dtype)


def truncated(latents: Callable[[Key, Array], Array], key: Key, positions: Array, threshold: float) -> Array:
    """Latents whose components are resampled until each is within the threshold.

    The truncation trick of Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
    arXiv:1809.11096, section 3.1. Components that are within the threshold at the first draw do not change, and
    every draw is keyed by its position, so that more positions do not change the first ones.

    Args:
        latents: (key, positions [n]) -> [n, ...], as `Game.latents`.
        key: random key of the draws.
        positions: [n].
        threshold: the largest absolute value, at least 0.01.

    Raises:
        UserError: the threshold is too small.
    """
    wanted = f'at least {_SMALLEST_THRESHOLD}, otherwise resampling would hardly ever end'
    require(threshold >= _SMALLEST_THRESHOLD, 'The threshold of the latents', threshold, wanted)

    def outside(values: Array) -> Array:
        return jnp.abs(values) > threshold

    def draw_again(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        attempt, values = carry
        drawn = latents(jax.random.fold_in(key, attempt), positions)
        return attempt + 1, jnp.where(outside(values), drawn, values)

    start = jnp.uint32(2**31), latents(key, positions)  # above all positions, which are folded into the key too
    return jax.lax.while_loop(lambda carry: outside(carry[1]).any(), draw_again, start)[1]


def drawn(latents: Callable[[Key, Array], Array], key: Key, positions: Array, threshold: float | None) -> Array:
    """Latents at positions, `truncated` if there is a threshold."""
    return latents(key, positions) if threshold is None else truncated(latents, key, positions, threshold)


def towards_mean(latents: ArrayLike, psi: float, mean: ArrayLike = 0.0) -> np.ndarray:
    """Moves latents towards a mean: mean + psi (latents - mean).

    The truncation of Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks",
    arXiv:1812.04948, appendix B, where the latents are styles w and `mean` is the mean style. Latents without a mapping
    have the mean 0 and are scaled.

    Args:
        latents: [n, ...].
        psi: 1 is no truncation, 0 the mean, -1 the opposite point.
        mean: [...] of the latents.

    Raises:
        UserError: psi is not from -1 to 1.
    """
    require_psi(psi)
    latents, mean = np.asarray(latents), np.asarray(mean)
    return (mean + psi * (latents - mean)).astype(latents.dtype)


def require_psi(psi: float) -> None:
    """Raises a UserError if psi is not from -1 to 1."""
    require(-1 <= psi <= 1, 'psi', psi, 'from -1 to 1, where 1 is no truncation and 0 is the mean')


def traverse(latent: ArrayLike, dimension: int, values: ArrayLike) -> np.ndarray:
    """Copies of a latent [n] with one component set to each of the values [k]: [k, n].

    Raises:
        UserError: the latent does not have the dimension.
    """
    latent = np.asarray(latent)
    last = latent.shape[-1] - 1
    require(
        0 <= dimension <= last,
        'The dimension',
        dimension,
        f'from 0 to {last}, because the latents have {last + 1} dimensions',
    )
    copies = np.repeat(latent[None], len(np.asarray(values)), axis=0)
    copies[:, dimension] = values
    return copies


def sweep_code(codes: Codes, latent: ArrayLike, number: int, values: ArrayLike) -> np.ndarray:
    """Copies of a latent [n] in each category of the first categorical code, along which a continuous code changes.

    Args:
        codes: the codes of the latent.
        latent: [n], the noise and the other codes of all copies.
        number: number of the continuous code, from 0.
        values: [k], its values.

    Returns:
        [categories, k, n]; without a categorical code [1, k, n].

    Raises:
        UserError: there is no such continuous code.
    """
    wanted = f'the number of a continuous code, of which there are {codes.continuous}, counted from 0'
    require(0 <= number < codes.continuous, '--dimension', number, wanted)
    copies = traverse(latent, np.shape(latent)[-1] - codes.continuous + number, values)
    return codes.in_each_category(copies)


def move(latent: ArrayLike, direction: ArrayLike, amounts: ArrayLike) -> np.ndarray:
    """Copies of a latent [..., n] moved along a direction [n] by each of the amounts [k]: [k, ..., n].

    The direction can have any shape that broadcasts to that of the latent: [layers, n] moves each layer's style along
    its own.
    """
    latent = np.asarray(latent)
    return (latent + np.asarray(amounts).reshape(-1, *[1] * latent.ndim) * np.asarray(direction)).astype(latent.dtype)


def _polar(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions and lengths [n, 1] of vectors [n, d]; the direction of 0 is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths), lengths


def _columns(start: ArrayLike, end: ArrayLike, share: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.dtype]:
    """All in float64, the share as a column, and the dtype of the result."""
    start, end = np.asarray(start), np.asarray(end)
    dtype = np.result_type(start, np.float32) if start.dtype.kind != 'f' else start.dtype
    share = np.asarray(share, np.float64).reshape(-1, *[1] * (start.ndim - 1))
    return start.astype(np.float64), end.astype(np.float64), share, dtype
