"""The networks of InfoGAN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models.infogan import Discriminator, Generator, Recognizing


def count(module, inputs):
    variables = jax.eval_shape(lambda key: module.init(key, inputs, train=False), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def test_published_parameter_counts():
    """Those of the authors' code for MNIST, less the biases in front of batch normalisation."""
    normalised = 1024 + 7 * 7 * 128 + 64
    assert count(Generator((28, 28, 1)), jnp.zeros((2, 74))) == 6_652_481 - normalised
    weights = 4 * 4 * 64 + 4 * 4 * 64 * 128 + 7 * 7 * 128 * 1024 + 1024
    affine = 64 + 2 * 128 + 2 * 1024 + 1
    assert count(Discriminator(), jnp.zeros((2, 28, 28, 1))) == weights + affine
    head = 1024 * 128 + 2 * 128 + 128 * 12 + 12
    assert count(Recognizing(Discriminator(), 12), jnp.zeros((2, 28, 28, 1))) == weights + affine + head


def test_sizes_follow_from_the_images_and_the_head_reads_the_last_features():
    generator, module = Generator((8, 12, 3), width=2, hidden=3), Discriminator(width=2, hidden=3)

    def made(module, inputs):
        return jax.jit(lambda key: module.init_with_output(key, inputs, train=False))(jax.random.key(0))

    images, _ = made(generator, jnp.ones((2, 5)))
    assert images.shape == (2, 8, 12, 3)
    assert -1 < images.min() < images.max() < 1
    judged, variables = made(Recognizing(module, 4, width=6), images)
    assert judged.codes.shape == (2, 4)
    assert {name: value.shape[1:] for name, value in judged.features.items()} == {
        'stage0': (4, 6, 2),
        'stage1': (2, 3, 4),
        'dense': (3,),
    }
    params = variables['params']
    hidden = judged.features['dense'] @ params['hidden']['kernel'] / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(
        jnp.where(hidden > 0, hidden, 0.1 * hidden) @ params['codes']['kernel'], judged.codes, atol=1e-6
    )


def test_what_is_refused():
    for shape in ((10, 8, 1), (8,)):
        with pytest.raises(UserError, match='whose sides are multiples of 4, not'):
            Generator(shape).init(jax.random.key(0), jnp.ones((2, 5)), train=False)
