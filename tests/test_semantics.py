"""Closed-form directions against float64 references and real generators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.linear import Dense
from gan_jax.models import dcgan, mlp
from gan_jax.sampling.semantics import first_kernel, semantic_directions

KERNEL = np.random.default_rng(0).normal(size=(6, 10)) * np.arange(1, 7)[:, None]


def test_directions_are_the_eigenvectors_of_the_weight():
    found = semantic_directions(KERNEL)
    matrix = KERNEL @ KERNEL.T  # A^T A for A = KERNEL^T
    np.testing.assert_allclose(matrix @ found.vectors.T, found.vectors.T * found.gains**2, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(found.gains, np.linalg.svd(KERNEL, compute_uv=False), rtol=1e-12)
    assert (np.diff(found.gains) < 0).all()
    assert (np.take_along_axis(found.vectors, np.abs(found.vectors).argmax(1)[:, None], 1) > 0).all()


def test_directions_of_a_diagonal_weight_are_the_axes():
    found = semantic_directions(np.diag([1.0, -3, 2]), 2)
    np.testing.assert_allclose(found.vectors, [[0, 1, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_allclose(found.gains, [3, 2])


def test_there_are_as_many_directions_as_dimensions():
    for num in (0, 7):
        with pytest.raises(UserError, match=f'The number of directions is {num}; it must be from 1 to 6, the size'):
            semantic_directions(KERNEL, num)


@pytest.mark.parametrize(
    ('network', 'conditioning'), [('mlp', 'concatenate'), ('dcgan', 'none'), ('dcgan', 'normalization')]
)
def test_a_move_changes_the_first_layer_by_the_gain(network, conditioning):
    given = {'num_classes': 3, 'conditioning': conditioning, 'embedding_size': 4}
    if network == 'mlp':
        generator = mlp.Generator(shape=(4, 4, 1), widths=(7, 9), normalization='batch', **given)
    else:
        generator = dcgan.Generator(shape=(8, 8, 1), width=4, **given)
    condition = None if conditioning == 'none' else jnp.ones(6, jnp.int32)
    latent = jax.random.normal(jax.random.key(1), (5,))

    @jax.jit
    def first_layer(variables, latents):
        captured = {'capture_intermediates': lambda module, _: isinstance(module, Dense)}
        _, seen = generator.apply(variables, latents, condition, train=False, **captured)
        return seen['intermediates']['Dense_0']['__call__'][0]

    variables = jax.jit(lambda key: generator.init(key, jnp.zeros((6, 5)), condition, train=False))(jax.random.key(0))
    kernel = first_kernel(variables['params'], 5)
    assert kernel.shape == (5, {'mlp': 7, 'dcgan': 64}[network])
    found = semantic_directions(kernel)
    moved = first_layer(variables, latent + 2 * np.append(np.zeros((1, 5)), found.vectors, axis=0))
    np.testing.assert_allclose(np.linalg.norm(moved[1:] - moved[0], axis=1), 2 * found.gains, rtol=1e-4)


@pytest.mark.parametrize(
    'params', [jnp.zeros(3), {'Conv_0': {'kernel': jnp.zeros((9, 2))}}, {'Dense_0': {'kernel': jnp.zeros((2, 9))}}]
)
def test_a_generator_without_a_dense_first_layer_is_refused(params):
    with pytest.raises(UserError, match='has no dense layer Dense_0 for its latents: pass the weight'):
        first_kernel(params, 5)
