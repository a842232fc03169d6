"""The networks of CyCADA: LeNet's number of parameters, its layers, and its dropout of whole channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models.cycada import Classifier, FeatureDiscriminator
from tests import compiled


def test_the_numbers_of_parameters_are_the_published_ones():
    def sizes(key):
        params = Classifier().init(key, jnp.zeros((1, 28, 28, 1)), train=False)['params']
        return params, FeatureDiscriminator().init(key, jnp.zeros((1, 10)), train=False)['params']

    counts = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in jax.eval_shape(sizes, jax.random.key(0))]
    assert counts == [431_080, 10 * 500 + 500 + 500 * 500 + 500 + 500 + 1]


def test_dropout_is_there_in_training_only_and_images_have_a_least_size():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)).astype(np.float32)
    network = Classifier(num_classes=3, widths=(4, 40), hidden=6)
    variables = compiled.init(network, jax.random.key(0), images, train=False)
    apply = jax.jit(network.apply, static_argnames='train')
    still, again = (apply(variables, images, train=False).logits for _ in range(2))
    np.testing.assert_array_equal(still, again)
    one, other = (
        apply(variables, images, train=True, rngs={'dropout': jax.random.key(seed)}).features for seed in (1, 2)
    )
    assert not np.allclose(one, other)
    with pytest.raises(UserError, match=r'LeNet needs images of at least 16x16 pixels, not \(12, 12, 1\)'):
        network.init(jax.random.key(0), images[:, :12, :12], train=False)
