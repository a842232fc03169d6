"""Linear equations with a matrix that is known by its products alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from gan_jax.game import Array, PyTree


def solve(product: Callable[[PyTree], PyTree], right: PyTree, *, iterations: int, tolerance: float | Array) -> PyTree:
    """Solves A x = b by generalised conjugate residuals (Eisenstat, Elman and Schultz 1983).

    In exact arithmetic x minimises |b - A x| over the same space as that of GMRES. In contrast to
    `jax.scipy.sparse.linalg.gmres` the product is not transposed, which products with Jacobians of convolutions do not
    allow.

    Args:
        product: x -> A x, trees like b.
        right: b.
        iterations: most products; each keeps two vectors.
        tolerance: the iterations stop at a residual of this size relative to |b|.
    """
    limit = tolerance * optax.tree.norm(right)
    room = jax.tree.map(lambda leaf: jnp.zeros((iterations, *leaf.shape), leaf.dtype), right)

    def improve(i: Array, carry: tuple) -> tuple:
        solution, residual, directions, images = carry
        direction, image = residual, product(residual)
        weights = sum(
            old.reshape(iterations, -1) @ new.ravel()
            for old, new in zip(jax.tree.leaves(images), jax.tree.leaves(image), strict=True)
        )

        def without_earlier(vector: PyTree, earlier: PyTree) -> PyTree:
            return jax.tree.map(lambda new, old: new - jnp.tensordot(weights, old, 1), vector, earlier)

        direction, image = without_earlier(direction, directions), without_earlier(image, images)
        size = optax.tree.norm(image)
        direction, image = (jax.tree.map(lambda leaf: leaf / size, vector) for vector in (direction, image))
        step = optax.tree.vdot(residual, image)

        def put(stack: PyTree, vector: PyTree) -> PyTree:
            return jax.tree.map(lambda kept, new: kept.at[i].set(new), stack, vector)

        return (
            optax.tree.add_scale(solution, step, direction),
            optax.tree.add_scale(residual, -step, image),
            put(directions, direction),
            put(images, image),
        )

    def iterate(i: Array, carry: tuple) -> tuple:
        return jax.lax.cond(optax.tree.norm(carry[1]) > limit, lambda: improve(i, carry), lambda: carry)

    start = jax.tree.map(jnp.zeros_like, right), right, room, room
    return jax.lax.fori_loop(0, iterations, iterate, start)[0]
