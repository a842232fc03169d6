"""Eigenvalues of a game's Jacobian and of a round of training: exact, or by Arnoldi's method for large games."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import LinearOperator, eigs

from gan_jax.dynamics.field import Field, linearize
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, GanState, PyTree
from gan_jax.layers.choices import require

WHICH = ('LM', 'LR', 'SR', 'LI')


def jacobian(field: Field, params: PyTree) -> Array:
    """The Jacobian [n, n] of a vector field; rows and columns are the parameters of the players in alphabetical order.

    Args:
        field: from `gan_jax.dynamics.field.vector_field`.
        params: the point; n numbers in all, of which n^2 must fit into memory.
    """
    flat, unravel = ravel_pytree(params)

    def along(flat: Array) -> Array:
        params = unravel(flat)
        return ravel_pytree(field(params, params))[0]

    return jax.jit(jax.jacrev(along))(flat)


def symmetric_part(matrix: Array) -> Array:
    """(J + J^T) / 2, the part of a potential game (Balduzzi et al. 2018)."""
    return (matrix + matrix.T) / 2


def antisymmetric_part(matrix: Array) -> Array:
    """(J - J^T) / 2, the part of a Hamiltonian game, which rotates."""
    return (matrix - matrix.T) / 2


def eigenvalues(matrix: Array) -> np.ndarray:
    """The eigenvalues [n] of a matrix [n, n], complex, computed in float64; those with the largest magnitude first."""
    return _ordered(np.linalg.eigvals(np.asarray(matrix, np.float64)))


def extreme_eigenvalues(field: Field, params: PyTree, count: int, **options: Any) -> np.ndarray:
    """Some eigenvalues of the Jacobian of a large game, by `arnoldi` with products J v.

    Args:
        field: from `gan_jax.dynamics.field.vector_field`.
        params: the point.
        count: number of eigenvalues.
        **options: of `arnoldi`.
    """
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def product(flat: Array, vector: Array) -> Array:
        return ravel_pytree(linearize(field, unravel(flat)).product(unravel(vector)))[0]

    return arnoldi(functools.partial(product, flat), flat, count, **options)


def arnoldi(
    product: Callable[[Array], Array],
    like: Array,
    count: int,
    *,
    which: str = 'LM',
    tolerance: float = 1e-4,
    seed: int = 0,
) -> np.ndarray:
    """Some eigenvalues of a linear map, by Arnoldi's method with restarts (ARPACK).

    Args:
        product: vector [n] -> vector [n]. In float32 it limits the accuracy; `jax.enable_x64` allows float64.
        like: a vector [n] of the map's dtype.
        count: number of eigenvalues, from 1 to n - 2.
        which: 'LM': the largest magnitudes; 'LR', 'SR': the largest and smallest real parts; 'LI': the largest
            imaginary parts.
        tolerance: relative accuracy.
        seed: seed of the first vector.

    Returns:
        The eigenvalues [count], complex, those with the largest magnitude first.

    Raises:
        UserError: `count` or `which` is impossible.
        scipy.sparse.linalg.ArpackNoConvergence: the method has not converged.
    """
    size = len(like)
    require(1 <= count <= size - 2, 'The number of eigenvalues', count, f'from 1 to {size - 2}')
    if which not in WHICH:
        raise UserError(f'which is {which!r}; choose one of {", ".join(WHICH)}.')
    operator = LinearOperator(
        (size, size),
        lambda vector: np.asarray(product(jnp.asarray(vector.ravel(), like.dtype)), np.float64),
        dtype=np.float64,
    )
    start = np.random.default_rng(seed).normal(size=size)
    return _ordered(eigs(operator, count, which=which, tol=tolerance, v0=start, return_eigenvectors=False))


def round_jacobian(step: Callable, state: GanState, batch: Batch) -> Array:
    """The Jacobian [m, m] of a round of training, of the parameters and optimiser states after it by those before it.

    Near a fixed point, training converges if all eigenvalues have magnitudes below 1, and the largest magnitude is
    the asymptotic factor of the distance in a round (Mescheder et al. 2018, appendix A.1).

    Args:
        step: from `gan_jax.steps.make_train_step`.
        state: of a small game. Whole numbers, such as Adam's count, and memory are constant.
        batch: as for `step`.
    """
    leaves, structure = jax.tree.flatten(_trained(state))
    moving = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    flat, unravel = ravel_pytree(list(itertools.compress(leaves, moving)))

    def after(flat: Array) -> Array:
        given = iter(unravel(flat))
        own = structure.unflatten(next(given) if moves else leaf for leaf, moves in zip(leaves, moving, strict=True))
        players = {name: player._replace(**own[name]) for name, player in state.players.items()}
        ended, _ = step(state.replace(players=players), batch)
        return ravel_pytree(list(itertools.compress(jax.tree.leaves(_trained(ended)), moving)))[0]

    return jax.jit(jax.jacrev(after))(flat)


def _trained(state: GanState) -> PyTree:
    return {name: {'params': player.params, 'opt_state': player.opt_state} for name, player in state.players.items()}


def _ordered(values: np.ndarray) -> np.ndarray:
    return values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]
