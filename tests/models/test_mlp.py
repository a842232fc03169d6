"""The fully connected networks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models.mlp import Discriminator, Generator

LATENTS = np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)


def init(module, inputs):
    return jax.jit(lambda key: module.init(key, inputs, train=False))(jax.random.key(0))


def count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def dense(*widths):
    return sum(inputs * outputs + outputs for inputs, outputs in itertools.pairwise(widths))


def test_published_parameter_counts():
    generator = init(Generator((28, 28, 1)), LATENTS)
    discriminator = init(Discriminator(), jnp.zeros((4, 28, 28, 1)))
    assert count(generator) == dense(100, 256, 512, 1024, 784) == 1_486_352
    assert count(discriminator) == dense(784, 1024, 512, 256, 1) == 1_460_225


def test_batch_normalised_variant_has_scale_and_shift_for_bias():
    variables = init(Generator((28, 28, 1), widths=(128, 256, 512), normalization='batch'), LATENTS)
    assert count(variables) == dense(100, 128, 256, 512, 784) + 128 + 256 + 512
    means = jax.tree.leaves(variables['batch_stats'])
    assert sorted(mean.size for mean in means) == [128, 128, 256, 256, 512, 512]


@pytest.mark.parametrize('shape', [(28, 28, 1), (8, 6, 3), (2,)])
def test_shapes(shape):
    generator, discriminator = Generator(shape, widths=(16,)), Discriminator(widths=(16,))
    examples = generator.apply(init(generator, LATENTS), LATENTS, train=False)
    assert examples.shape == (4, *shape)
    logits = discriminator.apply(init(discriminator, examples), examples, train=False).logits
    assert logits.shape == (4,)


def test_the_discriminator_by_hand():
    module = Discriminator(widths=(1,))
    examples = jnp.array([[[1.0], [2.0]], [[1.0], [-2.0]]])  # [2, 2, 1]: flattened inside
    variables = {
        'params': {
            'Dense_0': {'kernel': jnp.array([[1.0], [3.0]]), 'bias': jnp.array([-1.0])},
            'Dense_1': {'kernel': jnp.array([[2.0]]), 'bias': jnp.array([0.5])},
        }
    }
    # Hidden 1 + 6 - 1 = 6 and 1 - 6 - 1 = -6, of which LeakyReLU leaves -1.2.
    np.testing.assert_allclose(module.apply(variables, examples, train=False).logits, [12.5, -1.9], rtol=1e-6)


def test_output():
    latents = 100.0 * LATENTS
    tanh, linear = Generator((3,), widths=(8,)), Generator((3,), widths=(8,), output='linear')
    variables = init(tanh, latents)
    outputs = linear.apply(variables, latents, train=False)
    assert jnp.abs(outputs).max() > 1.0
    np.testing.assert_allclose(tanh.apply(variables, latents, train=False), jnp.tanh(outputs), rtol=1e-5)
    with pytest.raises(UserError) as error:
        init(Generator((3,), output='lineer'), latents)
    assert str(error.value) == "There is no output 'lineer': did you mean 'linear'? Choose from tanh, linear."


@pytest.mark.parametrize('normalization', ['none', 'batch', 'layer', 'spectral'])
def test_normalizations(normalization):
    module = Discriminator(widths=(8, 4), normalization=normalization)
    variables = init(module, jnp.zeros((4, 5)))
    kept = {'none': set(), 'layer': set(), 'batch': {'batch_stats'}, 'spectral': {'spectral'}}[normalization]
    assert set(variables) == {'params'} | kept
    _, updated = module.apply(variables, LATENTS[:, :5], train=True, mutable=list(kept))
    before, after = (jax.tree.leaves({name: tree[name] for name in kept}) for tree in (variables, updated))
    for old, new in zip(before, after, strict=True):
        assert old.size == 1 or not np.allclose(old, new, rtol=1e-4)  # the unit vector of the one logit cannot move


def test_dropout_differs_with_keys_and_is_off_in_evaluation():
    module = Discriminator(widths=(64,), dropout=0.5)
    variables = init(module, LATENTS)

    def logits(key):
        return module.apply(variables, LATENTS, train=True, rngs={'dropout': jax.random.key(key)}).logits

    np.testing.assert_array_equal(logits(1), logits(1))
    assert not np.allclose(logits(1), logits(2))
    evaluated = module.apply(variables, LATENTS, train=False).logits
    without = Discriminator(widths=(64,)).apply(variables, LATENTS, train=True).logits
    np.testing.assert_array_equal(evaluated, without)


def test_bfloat16_computes_in_it_and_answers_in_float32():
    generator, discriminator = Generator((6,), dtype=jnp.bfloat16), Discriminator(dtype=jnp.bfloat16)
    variables = init(generator, LATENTS)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
    examples = generator.apply(variables, LATENTS, train=False)
    exact = Generator((6,)).apply(variables, LATENTS, train=False)
    assert examples.dtype == jnp.float32
    np.testing.assert_allclose(examples, exact, atol=0.05)
    assert not np.allclose(examples, exact, atol=1e-5)
    assert discriminator.apply(init(discriminator, examples), examples, train=False).logits.dtype == jnp.float32
