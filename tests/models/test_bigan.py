"""The networks of BiGAN for MNIST, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models.bigan import Discriminator, Encoder, Generator

PIXELS, CODE = 4, 2
RNG = np.random.default_rng(0)
IMAGES, LATENTS = RNG.uniform(-1, 1, (6, 2, 2, 1)), RNG.uniform(-1, 1, (6, CODE))


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def normalized(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def kernels(*shapes):
    """Random kernels of the layers, as parameters and as a list."""
    made = [RNG.normal(size=shape) for shape in shapes]
    return {f'Dense_{i}': {'kernel': jnp.asarray(kernel)} for i, kernel in enumerate(made)}, made


def applied(module, params, inputs, train=True):
    statistics = jax.tree.map(jnp.asarray, module.init(jax.random.key(0), inputs, train=False).get('batch_stats', {}))
    variables = {'params': params, 'batch_stats': statistics}
    return module.apply(variables, inputs, train=train, rngs=jax.random.key(1), mutable=['batch_stats'])[0]


def test_published_parameter_counts():
    def count(module, inputs):
        return jax.tree.map(
            lambda leaf: leaf.size,
            jax.eval_shape(lambda key: module.init(key, inputs, train=False)['params'], jax.random.key(0)),
        )

    for module, inputs, layers in (
        (Generator((28, 28, 1)), 50, (50 * 1024, 1024 * 1024, 50 * 1024, 1024 * 784)),
        (Encoder((50,)), 784, (784 * 1024, 1024 * 1024, 1024 * 50)),
        (Discriminator((28, 28, 1)), 784 + 50, (784 * 1024, 1024 * 1024, 50 * 1024, 1024)),
    ):
        found = count(module, jnp.zeros((2, inputs)))
        assert found == {f'Dense_{i}': {'kernel': size} for i, size in enumerate(layers)}


def test_the_generator_takes_latents_in_every_layer_but_the_last():
    params, (first, second, again, last) = kernels((CODE, 3), (3, 5), (CODE, 5), (5, PIXELS))
    hidden = np.maximum(normalized(LATENTS @ first), 0)
    hidden = np.maximum(normalized(hidden @ second + LATENTS @ again), 0)
    wanted = np.tanh(hidden @ last / 2).reshape(6, 2, 2, 1)  # a sigmoid scaled to (-1, 1)
    found = applied(Generator((2, 2, 1), widths=(3, 5)), params, LATENTS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_encoders_codes_are_bounded_and_its_features_are_not():
    params, (first, second, last) = kernels((PIXELS, 3), (3, 5), (5, CODE))
    hidden = leaky((IMAGES.reshape(6, -1) + 1) / 2 @ first)
    prediction = leaky(normalized(hidden @ second)) @ last
    found = applied(Encoder((CODE,), widths=(3, 5)), params, IMAGES)
    np.testing.assert_allclose(found.features, prediction, atol=1e-5)
    np.testing.assert_allclose(found.codes, np.tanh(prediction / 2), atol=1e-5)
    linear = applied(Encoder((CODE,), widths=(3, 5), code='linear'), params, IMAGES)
    np.testing.assert_allclose(linear.codes, prediction, atol=1e-5)


def test_the_discriminator_takes_codes_in_its_second_layer():
    params, (first, second, of_code, last) = kernels((PIXELS, 3), (3, 5), (CODE, 5), (5, 1))
    pixels = IMAGES.reshape(6, -1)
    hidden = leaky((pixels + 1) / 2 @ first)
    second = leaky(normalized(hidden @ second + LATENTS @ of_code))
    found = applied(Discriminator((2, 2, 1), widths=(3, 5)), params, np.c_[pixels, LATENTS])
    np.testing.assert_allclose(found.features['layer0'], hidden, atol=1e-5)
    np.testing.assert_allclose(found.features['layer1'], second, atol=1e-5)
    np.testing.assert_allclose(found.logits, (second @ last)[:, 0], atol=1e-5)
    with pytest.raises(UserError, match=r'discriminator\.widths is \(3,\); it must be two or more'):
        applied(Discriminator((2, 2, 1), widths=(3,)), params, np.c_[pixels, LATENTS])


def test_gaussian_codes_have_the_predicted_mean_and_deviation():
    images = np.tile(IMAGES[:1], (4000, 1, 1, 1))
    mean, deviation = np.array([0.5, -1.0]), np.array([0.3, 2.0])
    pixel = (IMAGES[:1].reshape(1, -1) + 1) / 2
    # One layer whose only unit is the sum of the pixels, so that the last layer predicts what its weights say.
    last = np.r_[mean, np.log(deviation)][None] / pixel.sum()
    params = {'Dense_0': {'kernel': jnp.ones((PIXELS, 1))}, 'Dense_1': {'kernel': jnp.asarray(last)}}
    module = Encoder((CODE,), widths=(1,), code='gaussian')
    found = applied(module, params, images)
    np.testing.assert_allclose(found.features[0], mean, rtol=1e-5)
    # Five standard errors of 4,000 draws.
    np.testing.assert_array_less(np.abs(found.codes.mean(0) - mean), 5 * deviation / 4000**0.5)
    np.testing.assert_array_less(np.abs(found.codes.std(0) / deviation - 1), 5 / 8000**0.5)
    assert abs(np.corrcoef(found.codes.T)[0, 1]) < 5 / 4000**0.5
    still = applied(module, params, images[:3], train=False)
    np.testing.assert_allclose(still.codes, np.tile(mean, (3, 1)), rtol=1e-5)
