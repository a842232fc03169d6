"""The networks of BEGAN and EBGAN: parameters of the published shapes, and reconstruction errors by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models import began, ebgan

IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype(np.float32)


def count(module, inputs):
    variables = jax.eval_shape(lambda key: module.init(key, inputs, train=False), jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def convolutions(size, *widths, bias=True):
    return sum(size**2 * inputs * outputs + bias * outputs for inputs, outputs in itertools.pairwise(widths))


def test_began_for_64x64_has_the_layers_of_its_figure():
    """Section 3.5: 8x8 at the bottom, n = 64 channels that increase linearly to 4 n, codes of 64."""
    n, base = 64, 8 * 8
    decoder = 64 * base * n + base * n + convolutions(3, *[n] * 9) + convolutions(3, n, 3)
    assert count(began.Generator((64, 64, 3)), jnp.zeros((1, 64))) == decoder
    encoder = convolutions(3, 3, n, n, n, 2 * n, 2 * n, 2 * n, 3 * n, 3 * n, 3 * n, 4 * n, 4 * n, 4 * n)
    code = base * 4 * n * 64 + 64
    assert count(began.Discriminator(), jnp.zeros((1, 64, 64, 3))) == encoder + code + decoder


def test_ebgan_for_64x64_has_the_published_layers():
    encoder = convolutions(4, 3, 64) + convolutions(4, 64, 128, 256, bias=False) + 2 * (128 + 256)
    decoder = convolutions(4, 256, 128, 64, bias=False) + 2 * (128 + 64) + convolutions(4, 64, 3)
    assert count(ebgan.Discriminator(), jnp.zeros((1, 64, 64, 3))) == encoder + decoder
    module = ebgan.Discriminator()
    variables = jax.eval_shape(lambda key: module.init(key, jnp.zeros((1, 64, 64, 3)), train=False), jax.random.key(0))
    judged = jax.eval_shape(lambda v: module.apply(v, jnp.zeros((1, 64, 64, 3)), train=False), variables)
    assert judged.features['code'].shape == (1, 8, 8, 256)


@pytest.mark.parametrize(
    ('module', 'energy'),
    [
        (began.Discriminator(4, code_size=5), lambda errors: np.abs(errors).mean((1, 2, 3))),
        (ebgan.Discriminator(4, initializer='lecun'), lambda errors: np.sqrt((errors**2).sum((1, 2, 3)))),
    ],
    ids=['began', 'ebgan'],
)
def test_logits_are_minus_the_reconstruction_errors(module, energy):
    variables = jax.jit(lambda key: module.init(key, IMAGES, train=False))(jax.random.key(0))
    judged, seen = module.apply(
        variables, IMAGES, train=False, capture_intermediates=lambda one, _: True, mutable='intermediates'
    )
    layers = seen['intermediates']
    last = layers['decoder'] if 'decoder' in layers else layers[max(name for name in layers if 'Transpose' in name)]
    (reconstruction,) = last['__call__']
    assert reconstruction.shape == IMAGES.shape
    assert np.abs(reconstruction).max() > 1e-3
    np.testing.assert_allclose(judged.logits, -energy(reconstruction - IMAGES), rtol=1e-5)


def test_the_sizes_of_began_have_bases_of_at_least_7():
    for size, base in ((14, 7), (16, 8), (28, 7), (32, 8), (48, 12), (128, 8)):
        shapes = jax.eval_shape(
            lambda key, size=size: began.Generator((size, size, 1), 2).init(key, jnp.zeros((1, 3)), train=False),
            jax.random.key(0),
        )
        assert shapes['params']['Dense_0']['kernel'].shape == (3, base * base * 2)
    with pytest.raises(UserError, match='BEGAN cannot make images 12 pixels high, because a size must be a base of at'):
        began.Generator((12, 12, 1)).init(jax.random.key(0), jnp.zeros((1, 3)), train=False)
