"""The networks of DANN: published numbers of parameters, and the features that the discriminator gets."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.models.dann import Discriminator, Generator
from tests import compiled


def test_the_numbers_of_parameters_are_the_published_ones():
    def sizes(key):
        params = Generator().init(key, jnp.zeros((1, 28, 28, 3)), train=False)['params']
        return params, Discriminator().init(key, jnp.zeros((1, 2352)), train=False)['params']

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    classifier, discriminator = jax.eval_shape(sizes, jax.random.key(0))
    convolutions = [classifier[name] for name in classifier if name.startswith('Conv')]
    assert count(convolutions) == 40_880
    assert count(classifier) - count(convolutions) == 246_410
    assert count(discriminator) == 235_502 - 101  # one output instead of two


def test_logits_are_those_of_the_features_and_features_are_not_negative():
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
    network = Generator(num_classes=4, widths=(5, 6), hidden=(7,))
    variables = compiled.init(network, jax.random.key(0), images, train=True)
    made = compiled.apply(network, variables, images, train=True)
    assert made.logits.shape == (3, 4)
    assert made.features.shape == (3, 2 * 2 * 6)
    assert made.features.min() >= 0
    params = variables['params']
    hidden = np.maximum(made.features @ params['Dense_0']['kernel'], 0)
    np.testing.assert_allclose(made.logits, hidden @ params['Dense_1']['kernel'], rtol=1e-4, atol=1e-5)
