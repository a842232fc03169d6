"""The conditioning of a generator, and local Lipschitz constants of any network."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.dynamics.field import jacobian_product
from gan_jax.game import Array, Key
from gan_jax.layers.choices import require

Function = Callable[[Array], Array]
"""Examples [n, ...] -> outputs [n, ...], each output of its own example only: a network in evaluation mode."""


def input_jacobians(function: Function, inputs: Array) -> Array:
    """The Jacobian of each example's outputs by its inputs.

    Args:
        function: a function of few inputs for each example, such as a generator of latents.
        inputs: [n, k].

    Returns:
        [n, d, k] for outputs of d numbers for each example.
    """
    directions = jnp.eye(inputs.shape[1], dtype=inputs.dtype)

    def column(direction: Array) -> Array:
        product = jacobian_product(function, inputs, jnp.broadcast_to(direction, inputs.shape))
        return product.reshape(len(inputs), -1)

    return jnp.moveaxis(jax.lax.map(column, directions), 0, -1)


def singular_values(function: Function, inputs: Array) -> Array:
    """The singular values [n, min(d, k)] of `input_jacobians`, the largest first.

    For a generator, their squares are the spectrum of the metric M = J^T J of Odena et al. 2018, "Is Generator
    Conditioning Causally Related to GAN Performance?".
    """
    return jnp.linalg.svd(input_jacobians(function, inputs), compute_uv=False)


def log_condition_numbers(function: Function, latents: Array) -> Array:
    """The logarithm [n] of the condition number of M = J^T J at each latent; the paper plots its mean.

    Args:
        function: latents [n, k] -> examples [n, ...], with at least k numbers for each example. For a game:
            `lambda latents: game.sample(*state.generator[:2], latents)`.
        latents: [n, k].
    """
    values = singular_values(function, latents)
    return 2 * (jnp.log(values[:, 0]) - jnp.log(values[:, -1]))


def local_lipschitz(
    function: Function, inputs: Array, radius: float, key: Key, *, points: int = 8, iterations: int = 10
) -> Array:
    """A lower bound [n] of a function's Lipschitz constant in a ball around each input.

    The largest singular value of the Jacobian, by the power method, at random points of the ball; the largest of all.

    Args:
        function: any network in evaluation mode.
        inputs: [n, ...], the centres.
        radius: Euclidean radius of the balls; 0: at the inputs only.
        key: random key of points and first vectors.
        points: number of points in each ball, the centre among them.
        iterations: steps of the power method; each is two products with the Jacobian.
    """
    require(points >= 1, 'The number of points', points, 'at least 1')

    def norms(vectors: Array) -> Array:
        return jnp.sqrt(jnp.sum(jnp.square(vectors.reshape(len(vectors), -1)), axis=1))

    def unit(vectors: Array) -> Array:
        return vectors / jnp.maximum(norms(vectors), 1e-30).reshape(-1, *[1] * (vectors.ndim - 1))

    def steepness(xs: tuple[Array, Key]) -> Array:
        share, key = xs
        of_place, of_vector = jax.random.split(key)
        places = inputs + radius * share * unit(jax.random.normal(of_place, inputs.shape))
        _, transposed = jax.vjp(function, places)

        def stretched(vectors: Array) -> Array:
            return jacobian_product(function, places, vectors)

        def iterate(_, vectors: Array) -> Array:
            return unit(transposed(stretched(vectors))[0])

        vectors = unit(jax.random.normal(of_vector, inputs.shape))
        return norms(stretched(jax.lax.fori_loop(0, iterations, iterate, vectors)))

    size = inputs[0].size
    shares = jnp.linspace(0.0, 1.0, points) ** (1 / size)  # equal volumes between them
    return jax.lax.map(steepness, (shares, jax.random.split(key, points))).max(0)
