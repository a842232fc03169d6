"""Spectral normalisation against the singular value decomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.layers.spectral import SpectralNormalization


def largest_singular_value(kernel):
    return np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def converged(kernel, iterations=200):
    module = SpectralNormalization(iterations)
    variables = module.init(jax.random.key(0), kernel, train=False)
    _, variables = module.apply(variables, kernel, train=True, mutable=['spectral'])
    return module, variables


@pytest.mark.parametrize('shape', [(7, 5), (3, 3, 4, 6)])
def test_converges_to_the_singular_value_decomposition(shape):
    kernel = jax.random.normal(jax.random.key(1), shape)
    module, variables = converged(kernel)
    normalized = module.apply(variables, kernel, train=False)
    np.testing.assert_allclose(normalized, kernel / largest_singular_value(kernel), rtol=1e-5)


def test_one_training_call_is_the_published_algorithm():
    kernel = np.random.default_rng(1).normal(size=(3, 3, 4, 6)).astype(np.float32)
    start = np.random.default_rng(2).normal(size=6).astype(np.float32)
    matrix, cotangent = kernel.reshape(-1, 6).T, jax.random.normal(jax.random.key(3), kernel.shape)
    other = matrix.T @ start
    other /= np.linalg.norm(other)
    vector = matrix @ other
    vector /= np.linalg.norm(vector)

    def ours(kernel):
        variables = {'spectral': {'u': start}}
        outputs, after = SpectralNormalization().apply(variables, kernel, train=True, mutable=['spectral'])
        return (outputs * cotangent).sum(), (outputs, after['spectral']['u'])

    got, (outputs, after) = jax.grad(ours, has_aux=True)(kernel)
    wanted = jax.grad(lambda kernel: (kernel * cotangent).sum() / (vector @ kernel.reshape(-1, 6).T @ other))(kernel)
    np.testing.assert_allclose(outputs, kernel / (vector @ matrix @ other), rtol=1e-5)
    np.testing.assert_allclose(after, vector, atol=1e-6)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_gradient_is_that_of_division_by_the_singular_value():
    kernel = jax.random.normal(jax.random.key(1), (7, 5))
    weights = jax.random.normal(jax.random.key(2), (7, 5))
    module, variables = converged(kernel)
    got = jax.grad(lambda kernel: jnp.sum(weights * module.apply(variables, kernel, train=False)))(kernel)
    wanted = jax.grad(lambda kernel: jnp.sum(weights * kernel) / jnp.linalg.svd(kernel, compute_uv=False)[0])(kernel)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-5)


def test_iterations_in_one_call_equal_calls_of_one_iteration():
    kernel = jax.random.normal(jax.random.key(1), (7, 5))
    module = SpectralNormalization(1)
    variables = module.init(jax.random.key(0), kernel, train=False)
    _, thrice = SpectralNormalization(3).apply(variables, kernel, train=True, mutable=['spectral'])
    for _ in range(3):
        _, variables = module.apply(variables, kernel, train=True, mutable=['spectral'])
    np.testing.assert_allclose(variables['spectral']['u'], thrice['spectral']['u'], rtol=1e-6)


def test_the_vector_moves_only_in_training_and_where_mutable():
    kernel = jax.random.normal(jax.random.key(1), (7, 5))
    module = SpectralNormalization()
    start = module.init(jax.random.key(0), kernel, train=True)
    vector = start['spectral']['u']
    np.testing.assert_allclose(jnp.linalg.norm(vector), 1.0, rtol=1e-6)
    _, evaluated = module.apply(start, kernel, train=False, mutable=['spectral'])
    np.testing.assert_array_equal(evaluated['spectral']['u'], vector)
    frozen = module.apply(start, kernel, train=True)
    np.testing.assert_array_equal(frozen, module.apply(start, kernel, train=False))
    _, trained = module.apply(start, kernel, train=True, mutable=['spectral'])
    assert not np.allclose(trained['spectral']['u'], vector, atol=1e-3)


def test_an_averaged_vector_serves_an_averaged_kernel():
    # The mean of the unit vectors (1, 0) and (0.6, 0.8) is (0.8, 0.4), short of 1. One iteration for K = diag(3, 1)
    # goes by (6, 1) to (18, 1), and (6, 1) K (18, 1) is 325 / sqrt(37) / sqrt(325) = 2.964 in place of 3.
    kernel = jnp.diag(jnp.array([3.0, 1.0]))
    averaged = {'spectral': {'u': jnp.array([0.8, 0.4])}}
    normalized = SpectralNormalization().apply(averaged, kernel, train=False)
    np.testing.assert_allclose(normalized, kernel / np.sqrt(325 / 37), rtol=1e-6)
    assert abs(largest_singular_value(normalized) - 1.0) < 0.0123


def test_evaluation_follows_a_kernel_that_the_vector_does_not_belong_to():
    kernels = jax.random.normal(jax.random.key(1), (7, 5)) + 0.3 * jax.random.normal(jax.random.key(2), (8, 7, 5))
    vectors = jnp.stack([converged(kernel)[1]['spectral']['u'] for kernel in kernels])
    vectors *= jnp.sign(vectors @ vectors[0])[:, None]
    average = kernels.mean(0)
    variables = {'spectral': {'u': vectors.mean(0)}}
    assert jnp.linalg.norm(vectors.mean(0)) < 0.99
    normalized, after = SpectralNormalization().apply(variables, average, train=False, mutable=['spectral'])
    assert abs(largest_singular_value(normalized) - 1.0) < 0.01
    np.testing.assert_array_equal(after['spectral']['u'], vectors.mean(0))  # and nothing is stored


@pytest.mark.parametrize(
    ('layer', 'inputs'), [(Dense, (2, 6)), (Conv, (2, 4, 4, 6)), (ConvTranspose, (2, 4, 4, 6))], ids=str
)
def test_layers_use_the_normalised_kernel(layer, inputs):
    inputs = jax.random.normal(jax.random.key(1), inputs)
    module = layer(5, spectral_iterations=100)
    variables = module.init(jax.random.key(0), inputs)
    outputs, updated = module.apply(variables, inputs, train=True, mutable=['spectral'])
    kernel = variables['params']['kernel']
    plain = {'params': {**variables['params'], 'kernel': kernel / largest_singular_value(kernel)}}
    np.testing.assert_allclose(outputs, layer(5).apply(plain, inputs), rtol=1e-4, atol=1e-5)
    assert updated['spectral']['normalization']['u'].shape == (5,)


@pytest.mark.parametrize(
    ('layer', 'shape', 'sentence'),
    [
        (Conv(2), (4, 3), r'The shape of inputs of a convolution is \(4, 3\); it must be \[B, H, W, C\] or'),
        (Conv(2, kernel_size=(3,)), (1, 4, 4, 3), r'kernel_size is \(3,\); it must be a number, or 2 of them'),
        (Conv(2, stride=(2, 2)), (1, 4, 4, 3), r'stride is \(2, 2\); it must be one whole number'),
        (ConvTranspose(2, stride=(2, 2)), (1, 4, 4, 3), r'stride is \(2, 2\); it must be one whole number'),
    ],
)
def test_inputs_and_sizes_that_a_convolution_does_not_take(layer, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        layer.init(jax.random.key(0), jnp.ones(shape))
