"""Weight normalisation: equations 2 to 6 of Salimans and Kingma 2016."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.weight_normalization import WeightNormDense

INPUTS = np.random.default_rng(0).normal([3.0, -1.0, 0.5, 0.0], [1.0, 2.0, 0.1, 4.0], (40, 4)).astype(np.float32)


def start(module, inputs=INPUTS):
    return module.init(jax.random.key(0), inputs)


def test_weights_have_the_kernels_direction_and_the_scales_length():
    params = {'kernel': jnp.array([[3.0, 0.0], [4.0, 2.0]]), 'scale': jnp.array([10.0, -1.0]), 'bias': jnp.ones(2)}
    outputs = WeightNormDense(2).apply({'params': params}, jnp.array([[1.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(outputs, [[6 + 1, 0 + 1], [6 + 8 + 1, -1 + 1]], rtol=1e-6)


def test_outputs_start_with_mean_0_and_deviation_1_over_the_first_inputs():
    for learn_scale in (True, False):
        module = WeightNormDense(3, learn_scale=learn_scale)
        outputs = np.asarray(module.apply(start(module), INPUTS))
        np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(outputs.std(0), 1, rtol=1e-5)


def test_outputs_that_are_constant_start_at_0_with_the_scale_1():
    params = start(WeightNormDense(3), np.ones((1, 4), np.float32))['params']
    assert np.array_equal(params['scale'], np.ones(3))
    np.testing.assert_allclose(WeightNormDense(3).apply({'params': params}, np.ones((1, 4))), 0, atol=1e-6)


def test_without_data_scales_start_at_1_and_biases_at_0():
    params = start(WeightNormDense(3, from_data=False))['params']
    assert np.array_equal(params['scale'], np.ones(3))
    assert np.array_equal(params['bias'], np.zeros(3))


def test_a_scale_that_is_not_learnt_is_no_parameter():
    variables = start(WeightNormDense(3, learn_scale=False))
    assert sorted(variables['params']) == ['bias', 'kernel']
    assert np.array_equal(variables['scales']['scale'], start(WeightNormDense(3))['params']['scale'])


def test_gradients_are_those_of_the_paper():
    params = start(WeightNormDense(3))['params']
    weights = jax.random.normal(jax.random.key(1), (4, 3))  # the gradient by w of sum(weights * w)

    def value(params):  # the identity's outputs are the weights themselves
        return jnp.sum(weights * (WeightNormDense(3).apply({'params': params}, jnp.eye(4)) - params['bias']))

    gradient = jax.grad(value)(params)
    v, g = params['kernel'], params['scale']
    length = jnp.linalg.norm(v, axis=0)
    by_scale = (weights * v).sum(0) / length  # equation 3
    np.testing.assert_allclose(gradient['scale'], by_scale, rtol=1e-4)
    np.testing.assert_allclose(
        gradient['kernel'], g / length * weights - g * by_scale / length**2 * v, rtol=1e-4, atol=1e-5
    )


def test_arithmetic_has_the_dtype_and_parameters_are_float32():
    module = WeightNormDense(3, dtype=jnp.bfloat16)
    variables = start(module)
    assert module.apply(variables, INPUTS).dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
