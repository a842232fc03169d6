"""Normalisations against their formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.normalization import normalize


class Normalized(nn.Module):
    name_: str
    options: dict

    @nn.compact
    def __call__(self, inputs, *, train):
        return normalize(self.name_, inputs, train=train, **self.options)


def run(name, inputs, train=True, **options):
    module = Normalized(name, options)
    variables = module.init(jax.random.key(0), inputs, train=False)
    return module.apply(variables, inputs, train=train, mutable=['batch_stats'])


@pytest.mark.parametrize(('name', 'axes'), [('batch', (0, 1, 2)), ('layer', (1, 2, 3)), ('instance', (1, 2))], ids=str)
def test_normalises_over_its_axes(name, axes):
    images = 3.0 + 2.0 * np.random.default_rng(0).normal(size=(4, 6, 5, 3)).astype(np.float32)
    outputs, _ = run(name, images)
    mean, variance = images.mean(axes, keepdims=True), images.var(axes, keepdims=True)
    np.testing.assert_allclose(outputs, (images - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['none', 'spectral'])
def test_leaves_activations_alone(name):
    images = jnp.arange(24.0).reshape(1, 2, 4, 3)
    outputs, variables = run(name, images)
    np.testing.assert_array_equal(outputs, images)
    assert not variables


def test_momentum_is_the_share_of_the_old_average():
    _, updated = run('batch', jnp.array([[1.0], [3.0]]), momentum=0.75)
    statistics = updated['batch_stats']['BatchNorm_0']
    np.testing.assert_allclose(statistics['mean'], [0.75 * 0.0 + 0.25 * 2.0])
    np.testing.assert_allclose(statistics['var'], [0.75 * 1.0 + 0.25 * 1.0])


def test_evaluation_uses_the_running_averages():
    inputs = jnp.array([[1.0], [3.0]])
    outputs, updated = run('batch', inputs, train=False, epsilon=0.0)
    np.testing.assert_allclose(outputs, inputs)  # the averages start at mean 0, variance 1
    np.testing.assert_array_equal(updated['batch_stats']['BatchNorm_0']['mean'], [0.0])


def test_statistics_are_float32_in_bfloat16():
    # 0 and 2 about 256: in bfloat16 the sum of 4096 of them would stick, and the squares would lose the difference.
    inputs = jnp.tile(jnp.array([[256.0], [258.0]], jnp.bfloat16), (2048, 1))
    outputs, updated = run('batch', inputs, dtype=jnp.bfloat16, momentum=0.0)
    assert outputs.dtype == jnp.bfloat16
    statistics = updated['batch_stats']['BatchNorm_0']
    assert statistics['mean'].dtype == statistics['var'].dtype == jnp.float32
    np.testing.assert_allclose(statistics['mean'], [257.0])
    np.testing.assert_allclose(statistics['var'], [1.0])
    np.testing.assert_allclose(outputs[:2].astype(jnp.float32), [[-1.0], [1.0]], rtol=1e-2)


def test_batch_statistics_are_global_over_devices():
    images = np.random.default_rng(0).normal(size=(16, 4, 4, 3)).astype(np.float32)
    images *= np.linspace(0.1, 2.0, 16).reshape(16, 1, 1, 1)  # the shards differ
    outputs, updated = run('batch', images)
    module = Normalized('batch', {'axis_name': 'devices'})
    variables = module.init(jax.random.key(0), images[:2], train=False)
    shards = images.reshape(8, 2, 4, 4, 3)
    mapped, mapped_updated = jax.pmap(
        lambda shard: module.apply(variables, shard, train=True, mutable=['batch_stats']), 'devices'
    )(shards)
    np.testing.assert_allclose(mapped.reshape(images.shape), outputs, rtol=1e-4, atol=1e-5)
    for got, wanted in zip(jax.tree.leaves(mapped_updated), jax.tree.leaves(updated), strict=True):
        for device in range(8):
            np.testing.assert_allclose(got[device], wanted, rtol=1e-5, atol=1e-6)


def test_an_unknown_name_is_answered_with_the_names():
    with pytest.raises(UserError) as error:
        run('bacth', jnp.ones((2, 3)))
    assert str(error.value) == (
        "There is no normalisation 'bacth': did you mean 'batch', of batch, layer, instance, none, spectral?"
    )


def test_instance_normalisation_of_vectors_is_refused():
    with pytest.raises(UserError) as error:
        run('instance', jnp.ones((2, 3)))
    assert str(error.value) == (
        'Instance normalisation is for images; choose batch or layer normalisation for vectors.'
    )
