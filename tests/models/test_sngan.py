"""The standard CNN of spectral normalisation: the published layers, parameter counts, options."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.models.sngan import Discriminator, Generator
from tests import compiled


def layers(module, *shape):
    """(kernel size, output shape) of every linear layer for inputs of a shape, and the number of parameters."""
    found = []

    def note(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        if context.method_name == '__call__' and isinstance(context.module, Dense | Conv | ConvTranspose):
            found.append((getattr(context.module, 'kernel_size', None), *outputs.shape[1:]))
        return outputs

    def init(key):
        with nn.intercept_methods(note):
            return module.init(key, jnp.zeros((2, *shape)), train=False)

    variables = jax.eval_shape(init, jax.random.key(0))
    return found, sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def test_published_32x32():
    found, parameters = layers(Generator((32, 32, 3)), 128)
    assert found == [(None, 4 * 4 * 512), (4, 8, 8, 256), (4, 16, 16, 128), (4, 32, 32, 64), (3, 32, 32, 3)]
    widths = (512, 256, 128, 64)
    weights = 128 * 4 * 4 * 512 + 16 * sum(a * b for a, b in itertools.pairwise(widths)) + 9 * 64 * 3
    assert parameters == weights + 2 * sum(widths) + 3 == 3_804_739

    found, parameters = layers(Discriminator(), 32, 32, 3)
    assert found == [
        (3, 32, 32, 64),
        (4, 16, 16, 64),
        (3, 16, 16, 128),
        (4, 8, 8, 128),
        (3, 8, 8, 256),
        (4, 4, 4, 256),
        (3, 4, 4, 512),
        (None, 1),
    ]
    keep = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    halve = 16 * (64 * 64 + 128 * 128 + 256 * 256)
    biases = 2 * (64 + 128 + 256) + 512
    assert parameters == keep + halve + biases + 4 * 4 * 512 + 1 == 2_935_873


def test_28x28_has_two_stages():
    found, _ = layers(Generator((28, 28, 1), width=8), 10)
    assert found == [(None, 7 * 7 * 32), (4, 14, 14, 16), (4, 28, 28, 8), (3, 28, 28, 1)]
    found, _ = layers(Discriminator(width=8, max_width=16), 28, 28, 1)
    assert found == [(3, 28, 28, 8), (4, 14, 14, 8), (3, 14, 14, 16), (4, 7, 7, 16), (3, 7, 7, 16), (None, 1)]


def test_the_discriminator_by_hand():
    # All kernels are one pixel's identity but the first, which negates, and the last, which sums: what is left of an
    # image of ones is -0.1 at each of 4 x 4 pixels, and 0.1 of that after each of the next two layers.
    module = Discriminator(widths=(1, 1), normalization='none')
    images = jnp.ones((1, 8, 8, 1))
    params = jax.tree.map(jnp.zeros_like, compiled.init(module, jax.random.key(0), images, train=False)['params'])
    for name, value in (('Conv_0', -1.0), ('Conv_1', 1.0), ('Conv_2', 1.0)):
        params[name]['kernel'] = params[name]['kernel'].at[1, 1].set(value)
    params['Dense_0']['kernel'] += 1.0
    judged = module.apply({'params': params}, images, train=False)
    np.testing.assert_allclose(judged.features['stage0'], np.full((1, 4, 4, 1), -0.01), rtol=1e-6)
    np.testing.assert_allclose(judged.logits, [-0.001 * 16], rtol=1e-6)
    assert list(judged.features) == ['stage0', 'stage1']


def test_spectral_normalisation_is_the_discriminators_default():
    images = jnp.zeros((2, 16, 16, 3))
    variables = jax.eval_shape(lambda: Discriminator(width=4).init(jax.random.key(0), images, train=False))
    assert set(variables['spectral']) == set(variables['params']) == {f'Conv_{n}' for n in range(5)} | {'Dense_0'}
    variables = jax.eval_shape(lambda: Generator((16, 16, 3)).init(jax.random.key(0), jnp.zeros((2, 5)), train=False))
    assert set(variables) == {'params', 'batch_stats'}


def test_batch_normalisation_spares_the_first_layer_and_replaces_biases():
    images = jnp.zeros((2, 8, 8, 3))
    module = Discriminator(width=4, normalization='batch')
    params = jax.eval_shape(lambda: module.init(jax.random.key(0), images, train=False))['params']
    assert {name for name in params if 'bias' in params[name]} == {'Conv_0', 'Dense_0', 'BatchNorm_0', 'BatchNorm_1'}


def test_it_makes_images():
    generator = Generator((8, 8, 3), width=4)
    latents = 100 * np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)
    images, _ = jax.jit(lambda key: generator.init_with_output(key, latents, train=False))(jax.random.key(0))
    assert (images.shape, images.dtype) == ((4, 8, 8, 3), jnp.float32)
    assert 0 < jnp.abs(images).max() <= 1.0


def test_errors_name_the_family():
    with pytest.raises(UserError) as error:
        layers(Generator((2,)), 10)
    assert str(error.value) == 'SNGAN is for images of shape (H, W, C), not (2,); choose the model mlp for that.'
    with pytest.raises(UserError) as error:
        layers(Discriminator(), 27, 28, 1)
    assert str(error.value).startswith('SNGAN cannot make images 27 pixels high')
    with pytest.raises(UserError) as error:
        layers(Discriminator(widths=(8, 4)), 28, 28, 1)
    assert str(error.value) == (
        '2 widths (8, 4) do not fit images of shape (28, 28, 1), which have 2 stages: give 3 widths, or None to have '
        'them computed.'
    )
