"""The networks of the semi-supervised GAN for MNIST."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.models.semi_supervised import Discriminator, Generator
from tests import compiled

IMAGES = np.random.default_rng(0).uniform(-1, 1, (30, 2, 3, 1)).astype(np.float32)


def count(module, inputs):
    variables = jax.eval_shape(lambda key: module.init(key, inputs, train=False), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def test_published_parameter_counts():
    widths = (784, 1000, 500, 250, 250, 250, 10)
    weights = sum(inputs * outputs for inputs, outputs in itertools.pairwise(widths))
    assert weights == 1_536_500
    biases, learnt_scales = sum(widths[1:]), 10
    assert count(Discriminator(), jnp.zeros((2, 28, 28, 1))) == weights + biases + learnt_scales
    weights, shifts, last = 100 * 500 + 500 * 500 + 500 * 784, 500 + 500, 784 + 784
    assert count(Generator((28, 28, 1)), jnp.zeros((2, 100))) == weights + shifts + last


def test_the_discriminator_by_hand():
    module = Discriminator(2, widths=(1,))
    images = jnp.array([[1.0, -1.0], [-1.0, 1.0]])  # pixels 1 and 0, 0 and 1
    variables = {
        'params': {
            'WeightNormDense_0': {'kernel': jnp.array([[3.0], [-4.0]]), 'bias': jnp.array([0.2])},
            'WeightNormDense_1': {
                'kernel': jnp.array([[2.0, -5.0]]),
                'scale': jnp.array([1.0, 3.0]),
                'bias': jnp.array([0.0, 0.5]),
            },
        },
        'scales': {'WeightNormDense_0': {'scale': jnp.array([2.0])}},
    }
    # Hidden 2 * 3/5 + 0.2 = 1.4 and 2 * -4/5 + 0.2 = -1.4, of which ReLU leaves 0; the last weights are 1 and -3.
    judged = module.apply(variables, images, train=False)
    np.testing.assert_allclose(judged.features['layer0'], [[1.4], [0.0]], rtol=1e-6)
    np.testing.assert_allclose(judged.classes, [[1.4, -3.7], [0.0, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(judged.logits, np.log(np.exp([1.4, 0.0]) + np.exp([-3.7, 0.5])), rtol=1e-5)


def test_every_layer_of_the_discriminator_starts_from_the_examples():
    module = Discriminator(4, widths=(6, 5), input_noise=0.0, noise=0.0)
    variables = compiled.init(module, jax.random.key(0), IMAGES, train=True)
    _, seen = module.apply(variables, IMAGES, train=False, capture_intermediates=True)
    layers = [value['__call__'][0] for name, value in seen['intermediates'].items() if 'WeightNorm' in name]
    assert [layer.shape for layer in layers] == [(30, 6), (30, 5), (30, 4)]
    for layer in layers:
        np.testing.assert_allclose(layer.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(layer.std(0), 1, rtol=1e-4)


def test_noise_has_the_deviations_of_pixels_in_0_to_1_and_of_hidden_layers_and_features_lie_before_it():
    images = jnp.full((4000, 1), -1.0)  # pixel 0
    one = {'kernel': jnp.ones((1, 1)), 'bias': jnp.full(1, 9.0), 'scale': jnp.ones(1)}  # outputs inputs + 9
    hidden = {'kernel': one['kernel'], 'bias': one['bias']}
    variables = {
        'params': {'WeightNormDense_0': hidden, 'WeightNormDense_1': one},
        'scales': {'WeightNormDense_0': {'scale': one['scale']}},
    }
    judged = Discriminator(1, widths=(1,)).apply(
        variables, images, train=True, rngs=jax.random.key(1), mutable=['scales']
    )[0]
    feature, logit = judged.features['layer0'] - 9, judged.classes - 18
    # Five standard errors of the deviation of 4,000 draws are 0.056 of it.
    assert abs(feature.std() / 0.3 - 1) < 0.056
    assert abs((logit - feature).std() / 0.5 - 1) < 0.056
    assert abs(np.corrcoef(feature[:, 0], (logit - feature)[:, 0])[0, 1]) < 5 / 4000**0.5


def test_the_generator_makes_images_between_minus_1_and_1_whatever_the_range_of_its_latents():
    module = Generator((2, 3, 1), widths=(8, 7))
    latents = jax.random.uniform(jax.random.key(0), (50, 6))
    variables = compiled.init(module, jax.random.key(1), latents, train=False)

    @jax.jit
    def make(latents):
        return module.apply(variables, latents, train=True, mutable=['batch_stats'])[0]

    images = make(latents)
    assert images.shape == (50, 2, 3, 1)
    assert jnp.abs(images).max() < 1
    assert images.std() > 0.1
    np.testing.assert_allclose(make(2 * latents - 1), images, atol=1e-4)
