"""The tools of dynamics against matrices, closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from gan_jax import losses, plays, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.dynamics import conditioning, field, paths, solve, spectrum
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.layers.convolution import convolution
from gan_jax.networks import pure
from tests import compiled
from tests.quadratic_games import PLACES, blocks, join, quadratic_game, random_matrix, split

MATRIX, OFFSET, START = random_matrix(), np.linspace(-1, 1, 6), np.linspace(1, -0.5, 6)
BATCH = {'real': np.random.default_rng(1).normal(size=(16, 2)) + 1}


def quadratic(matrix=MATRIX, offset=OFFSET, optimizer=None):
    """A quadratic game with a state and a batch whose mean is 1."""
    game, optimizers = quadratic_game(matrix, offset, START), dict.fromkeys(PLACES, optimizer or optax.sgd(0.1))
    return game, compiled.init_state(game, optimizers, jax.random.key(0)), {'real': jnp.ones(4)}, optimizers


def points_game(**options):
    """A game of 26 parameters that is not quadratic."""
    return adversarial(
        pure(lambda key: jax.random.normal(key, (3, 2)), lambda w, z: jnp.tanh(z @ w)),
        pure(
            lambda key: {'in': jax.random.normal(key, (2, 5)), 'out': jnp.linspace(-1, 1, 5), 'b': jnp.zeros(5)},
            lambda w, x: jnp.tanh(x @ w['in'] + w['b']) @ w['out'],
        ),
        losses.non_saturating(),
        3,
        **options,
    )


def start(game):
    return compiled.init_state(game, Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict(), jax.random.key(0))


def test_the_field_of_a_quadratic_game_and_its_products_are_those_of_its_matrix():
    with jax.enable_x64(True):
        game, state, batch, _ = quadratic()
        there, params = field.vector_field(game, state, batch)
        at, vector = field.linearize(there, params), np.arange(6.0)
        np.testing.assert_allclose(join(at.value), MATRIX @ START + OFFSET, rtol=1e-12)
        for product, matrix in (
            (at.product, MATRIX),
            (at.transposed, MATRIX.T),
            (at.coupling, MATRIX - blocks(MATRIX)),
            (at.symmetric, (MATRIX + MATRIX.T) / 2),
            (at.antisymmetric, (MATRIX - MATRIX.T) / 2),
        ):
            np.testing.assert_allclose(join(product(split(vector))), matrix @ vector, rtol=1e-12)
        found = spectrum.jacobian(there, params)
        parts = spectrum.symmetric_part(found), spectrum.antisymmetric_part(found)
    np.testing.assert_allclose(found, MATRIX, rtol=1e-12)
    np.testing.assert_allclose(parts, [(MATRIX + MATRIX.T) / 2, (MATRIX - MATRIX.T) / 2], rtol=1e-12, atol=1e-15)
    values = spectrum.eigenvalues(found)
    assert (np.diff(np.abs(values)) <= 1e-9).all()
    np.testing.assert_allclose(np.poly(values), np.poly(MATRIX), rtol=1e-9)


def test_the_jacobian_is_that_of_finite_differences():
    with jax.enable_x64(True):
        game = points_game()
        there, params = field.vector_field(game, start(game), BATCH)
        flat, unravel = ravel_pytree(params)
        value = jax.jit(lambda flat: ravel_pytree(there(unravel(flat), unravel(flat)))[0])
        found = spectrum.jacobian(there, params)
        for i in (0, 7, len(flat) - 1):
            small = jnp.zeros_like(flat).at[i].set(1e-6)
            slope = (value(flat + small) - value(flat - small)) / 2e-6
            np.testing.assert_allclose(found[:, i], slope, rtol=1e-6, atol=1e-8)


def test_arnoldi_finds_the_extreme_eigenvalues_of_the_whole_matrix():
    with jax.enable_x64(True):
        game = points_game()
        there, params = field.vector_field(game, start(game), BATCH)
        everything = spectrum.eigenvalues(spectrum.jacobian(there, params))
        largest = spectrum.extreme_eigenvalues(there, params, 4, tolerance=1e-10)
        with pytest.raises(UserError, match=r'^The number of eigenvalues is 25; it must be from 1 to 24\.'):
            spectrum.extreme_eigenvalues(there, params, 25)
        with pytest.raises(UserError, match=r"^which is 'SM'; choose one of LM"):
            spectrum.extreme_eigenvalues(there, params, 2, which='SM')
    np.testing.assert_allclose(np.abs(largest), np.abs(everything[:4]), rtol=1e-8)


@pytest.mark.slow
def test_a_lazy_penalty_has_its_mean_share_in_the_field():
    options = {'terms': terms.r1(1.0)}
    always, lazily = points_game(**options), points_game(**options, lazy=Pair(1, 4))
    fields = []
    for game in (always, lazily):
        there, params = field.vector_field(game, start(game), BATCH)
        fields.append(jax.jit(there)(params, params))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, *fields)


def test_a_game_with_unrolled_moves_has_no_field():
    with pytest.raises(UserError, match=r"^The turn 'generator' has unrolled moves, so the game has no vector field"):
        field.vector_field(points_game(unrolled_steps=1), start(points_game()), BATCH)


def test_a_field_needs_a_batch_of_arrays():
    with pytest.raises(UserError, match=r'^A batch is a dict of arrays by name, .* but this one is a dict\.'):
        field.vector_field(points_game(), start(points_game()), {})


def test_products_pass_through_convolutions_which_have_no_forward_mode():
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 2))
    images, vector = (jax.random.normal(jax.random.key(i), (1, 4, 4, 1)) for i in (2, 3))
    function = jax.jit(lambda x: jnp.tanh(convolution(x, kernel)))
    found = field.jacobian_product(function, images, vector)
    plain = jax.jvp(
        lambda x: jnp.tanh(
            jax.lax.conv_general_dilated(x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
        ),
        (images,),
        (vector,),
    )[1]
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)


def eigenvalues_of_a_round(optimizer, play=None):
    """Those of the game x y on the rounds of two players: f = c x y, by generator (x) and discriminator (y)."""
    matrix = np.zeros((6, 6))
    matrix[0, 2], matrix[2, 0] = 1.0, -1.0  # x minimises x y, y maximises it; all else stands still
    game, state, batch, optimizers = quadratic(matrix, np.zeros(6), optimizer)
    step = steps.make_train_step(game, optimizers, play=play or plays.alternating())
    return spectrum.eigenvalues(spectrum.round_jacobian(step, state, batch))


def test_eigenvalues_of_a_round_are_those_of_the_papers():
    rate, beta = 0.2, -0.5
    with jax.enable_x64(True):
        at_once = eigenvalues_of_a_round(optax.sgd(rate), plays.simultaneous())
        in_turn = eigenvalues_of_a_round(optax.sgd(rate))
        extra = eigenvalues_of_a_round(optax.sgd(rate), plays.extragradient())
        negative = eigenvalues_of_a_round(optax.sgd(rate, momentum=beta))
    np.testing.assert_allclose(at_once[:2], [1 + 1j * rate, 1 - 1j * rate], rtol=1e-9)  # |.|^2 = 1 + rate^2
    np.testing.assert_allclose(np.abs(in_turn), 1, rtol=1e-7)  # on the unit circle
    turning = in_turn[np.abs(in_turn.imag) > 1e-3]
    np.testing.assert_allclose(turning.real, 1 - rate**2 / 2, rtol=1e-9)
    moving = extra[np.abs(extra - 1) > 1e-9]
    np.testing.assert_allclose(moving[:2], [1 - rate**2 + 1j * rate, 1 - rate**2 - 1j * rate], rtol=1e-9)
    # Gidel et al. 2019: the roots of (x - 1)^2 (x - beta)^2 + rate^2 x^3
    polynomial = np.polymul(np.poly([1.0, 1.0]), np.poly([beta, beta])) + rate**2 * np.array([0, 1.0, 0, 0, 0])
    largest = np.abs(np.roots(polynomial)).max()
    coupled = negative[np.abs(negative.imag) > 1e-6]
    np.testing.assert_allclose(np.abs(coupled).max(), largest, rtol=1e-7)
    assert largest < 1


def test_the_path_angle_is_1_towards_an_attractor_and_turns_behind_it_and_0_around_a_centre():
    shares = jnp.array([0.0, 0.5, 1.5])
    end = dict.fromkeys(PLACES)
    for matrix, angles in ((np.eye(6), [1, 1, -1]), (MATRIX - MATRIX.T, [0, 0, 0])):
        with jax.enable_x64(True):
            game, state, batch, _ = quadratic(matrix, np.zeros(6))
            there, begin = field.vector_field(game, state, batch)
            end = split(np.zeros(6))
            found = paths.path(there, begin, end, shares)
        np.testing.assert_allclose(found.angle, angles, atol=1e-12)
        np.testing.assert_allclose(found.norm, np.linalg.norm(matrix @ START) * np.abs(1 - shares), rtol=1e-9)


def test_the_conditioning_of_a_linear_generator_is_that_of_its_matrix():
    matrix = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    latents = jax.random.normal(jax.random.key(0), (5, 3))
    generate = lambda z: jnp.reshape(z @ matrix, (-1, 2, 4))  # noqa: E731
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(conditioning.input_jacobians(generate, latents), np.tile(matrix.T, (5, 1, 1)), rtol=1e-5)
    np.testing.assert_allclose(conditioning.singular_values(generate, latents), np.tile(values, (5, 1)), rtol=1e-5)
    logarithm = np.log(np.linalg.cond(matrix.astype(np.float64) @ matrix.T))
    np.testing.assert_allclose(conditioning.log_condition_numbers(generate, latents), logarithm, rtol=1e-4)


def test_local_lipschitz_constants_of_known_functions():
    key, matrix = jax.random.key(0), np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    inputs = jax.random.normal(jax.random.key(1), (5, 3))
    found = conditioning.local_lipschitz(lambda x: x @ matrix, inputs, 1.0, key, points=1, iterations=60)
    np.testing.assert_allclose(found, np.linalg.norm(matrix, 2), rtol=1e-4)
    square = conditioning.local_lipschitz(lambda x: jnp.square(x).sum(1) / 2, inputs, 0.5, key, points=400)
    norms = np.linalg.norm(inputs, axis=1)  # the gradient is x, so the largest in the ball is |x| + 1/2
    assert (square <= norms + 0.5 + 1e-5).all()
    assert (square >= norms + 0.4).all()


@pytest.mark.parametrize(('iterations', 'size'), [(5, 5), (20, 5), (3, 3)])
def test_equations_are_solved_as_by_their_inverse(iterations, size):
    with jax.enable_x64(True):
        matrix = np.eye(size) + np.random.default_rng(0).normal(size=(size, size)) / 2
        right = {'a': jnp.arange(1.0, size), 'b': jnp.ones(())}
        flat, unravel = ravel_pytree(right)

        def found(right):
            product = lambda tree: unravel(matrix @ ravel_pytree(tree)[0])  # noqa: E731
            return ravel_pytree(solve.solve(product, right, iterations=iterations, tolerance=1e-10))[0]

        np.testing.assert_allclose(found(right), np.linalg.solve(matrix, flat), rtol=1e-8)
        nothing = found(jax.tree.map(jnp.zeros_like, right))
    np.testing.assert_array_equal(nothing, 0)


def test_few_iterations_leave_the_least_residual_of_their_space():
    with jax.enable_x64(True):
        matrix, right = np.eye(6) + MATRIX / 3, jnp.asarray(START)
        found = solve.solve(lambda vector: matrix @ vector, right, iterations=3, tolerance=0.0)
    powers = np.stack([np.linalg.matrix_power(matrix, k) @ START for k in range(3)], axis=1)
    best = powers @ np.linalg.lstsq(matrix @ powers, START, rcond=None)[0]
    np.testing.assert_allclose(found, best, rtol=1e-8)
