"""Normalisations against their formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.normalization import LinearAffine, normalize, replaces_bias


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


def test_instance_norm_of_the_same_images_is_computed_once_with_and_without_gradients():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(4, 8, 8, 3)), jnp.float32)
    module = Normalized('instance', {'affine': False})

    def layer(images):
        return jnp.tanh(module.apply({}, images, train=True))

    def both(images):
        return layer(images), jax.vjp(layer, images)[1](images)

    np.testing.assert_array_equal(
        module.apply({}, images, train=True), nn.InstanceNorm(1e-5, use_scale=False, use_bias=False).apply({}, images)
    )
    assert jax.jit(both).lower(images).compile().as_text().count(' tanh(') == 1


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
        "There is no normalisation 'bacth': did you mean 'batch'? Choose from batch, layer, instance, "
        'virtual, pixel, none, spectral.'
    )


def test_instance_normalisation_of_vectors_is_refused():
    with pytest.raises(UserError) as error:
        run('instance', jnp.ones((2, 3)))
    assert str(error.value) == (
        'Instance normalisation is for images; choose batch or layer normalisation for vectors.'
    )


def test_pixel_divides_by_the_root_mean_square_of_the_channels():
    outputs, variables = run('pixel', jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(outputs[0], np.array([3.0, 4.0]) / np.sqrt(12.5), rtol=1e-6)
    np.testing.assert_array_equal(outputs[1], [0.0, 0.0])
    assert not variables
    assert not replaces_bias('pixel')


class Virtual:
    """Virtual batch normalisation after its reference pass."""

    def __init__(self, reference, **options):
        self.module = Normalized('virtual', options)
        self.params = self.module.init(jax.random.key(0), reference, train=False)['params']
        self.params = jax.tree.map(lambda leaf: leaf + jnp.array([0.5, -0.25, 0.0]), self.params)
        self.outputs, self.kept = self.refer(reference)

    def refer(self, reference):
        return self.module.apply({'params': self.params}, reference, train=False, mutable=['virtual'])

    def __call__(self, inputs):
        return self.module.apply({'params': self.params, **self.kept}, inputs, train=True)


@pytest.mark.parametrize('space', [(), (5, 2)], ids=str)
def test_virtual_normalises_by_the_reference_and_the_example_itself(space):
    draw = np.random.default_rng(0).normal
    reference, inputs = (offset + draw(size=(size, *space, 3)) for offset, size in ((2.0, 6), (1.0, 4)))
    virtual = Virtual(reference.astype(np.float32))
    scale, shift = np.array([1.5, 0.75, 1.0]), np.array([0.5, -0.25, 0.0])
    axes = tuple(range(reference.ndim - 1))
    mean, square = reference.mean(axes), (reference**2).mean(axes)

    def normalised(values, mean, square):
        return (values - mean) / np.sqrt(square - mean**2 + 1e-5) * scale + shift

    np.testing.assert_allclose(virtual.outputs, normalised(reference, mean, square), rtol=1e-4, atol=1e-5)
    outputs = virtual(inputs.astype(np.float32))
    for example, output in zip(inputs, outputs, strict=True):
        own, own_square = example.mean(axes[:-1]), (example**2).mean(axes[:-1])
        wanted = normalised(example, (6 * mean + own) / 7, (6 * square + own_square) / 7)
        np.testing.assert_allclose(output, wanted, rtol=1e-4, atol=1e-5)


def test_virtual_does_not_mix_examples_and_its_gradient_reaches_the_reference():
    reference, inputs = np.random.default_rng(0).normal(size=(2, 4, 2, 2, 3)).astype(np.float32)
    virtual = Virtual(reference)
    gradient = jax.grad(lambda inputs: virtual(inputs)[1].sum())(inputs)
    np.testing.assert_array_equal(gradient[np.array([0, 2, 3])], 0.0)
    np.testing.assert_allclose(virtual(inputs[1:2])[0], virtual(inputs)[1], rtol=1e-6)

    def output(reference):
        _, kept = virtual.refer(reference)
        return jnp.sin(virtual.module.apply({'params': virtual.params, **kept}, inputs, train=True)).sum()

    assert np.abs(jax.grad(output)(reference)).min(axis=(1, 2)).all()


def test_virtual_without_a_reference_is_answered():
    with pytest.raises(UserError) as error:
        Normalized('virtual', {}).apply({}, jnp.ones((2, 3)), train=True)
    assert str(error.value) == (
        'Virtual batch normalisation has no reference statistics: apply the network to a reference batch with '
        "mutable=['virtual'] first, and pass the result."
    )


CONDITIONABLE = ['batch', 'layer', 'instance', 'virtual', 'pixel']


@pytest.mark.parametrize('name', CONDITIONABLE)
def test_equal_tables_are_the_plain_normalisation(name):
    images = 1.0 + np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype(np.float32)
    labels, scale, shift = jnp.array([0, 2, 1, 1]), jnp.array([1.5, -2.0]), jnp.array([0.25, 3.0])
    module = Normalized(name, {'condition': labels, 'num_classes': 3})
    variables = module.init(jax.random.key(0), images, train=False)
    start = variables['params']['ConditionalAffine_0']
    np.testing.assert_array_equal(start['scale']['table'], np.ones((3, 2)))
    np.testing.assert_array_equal(start['shift']['table'], np.zeros((3, 2)))

    tables = {'scale': {'table': jnp.tile(scale, (3, 1))}, 'shift': {'table': jnp.tile(shift, (3, 1))}}
    collections = ['batch_stats', 'virtual']
    variables = {**variables, 'params': {'ConditionalAffine_0': tables}}
    outputs, updated = module.apply(variables, images, train=True, mutable=collections)
    plain = Normalized(name, {})
    variables = plain.init(jax.random.key(0), images, train=False)
    params = {layer: {'scale': scale, 'bias': shift} for layer in variables.get('params', {})}
    wanted, plain_updated = plain.apply({**variables, 'params': params}, images, train=True, mutable=collections)
    wanted = wanted * scale + shift if name == 'pixel' else wanted
    np.testing.assert_allclose(outputs, wanted, rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, dict(updated), dict(plain_updated))


def test_each_class_has_its_scale_and_shift():
    inputs = jnp.array([[3.0, 4.0], [4.0, 3.0], [3.0, 4.0]])
    tables = {
        'scale': {'table': jnp.array([[1.0, 1.0], [2.0, 4.0]])},
        'shift': {'table': jnp.array([[0, 0], [1, 2.0]])},
    }
    variables = {'params': {'ConditionalAffine_0': tables}}
    condition = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    outputs = Normalized('pixel', {'condition': condition, 'num_classes': 2}).apply(variables, inputs, train=False)
    root = np.sqrt(12.5)
    wanted = [[3 / root, 4 / root], [8 / root + 1, 12 / root + 2], [4.5 / root + 0.5, 10 / root + 1]]
    np.testing.assert_allclose(outputs, wanted, rtol=1e-6)


def test_conditions_without_a_number_or_of_another_batch_are_refused():
    with pytest.raises(UserError, match='num_classes is None; it must be the number of classes of the condition'):
        run('batch', jnp.ones((2, 3)), condition=jnp.array([0, 1]))
    with pytest.raises(UserError, match='The number of conditions is 1; it must be 2, the batch size'):
        run('batch', jnp.ones((2, 3)), condition=jnp.array([0]), num_classes=2)


@pytest.mark.parametrize('name', ['none', 'spectral'])
def test_nothing_to_condition_is_refused(name):
    with pytest.raises(UserError) as error:
        run(name, jnp.ones((2, 3)), condition=jnp.array([0, 1]), num_classes=2)
    assert str(error.value) == (
        f'The normalisation {name!r} does not normalise activations, so it has no scale and shift for a '
        f'condition to choose: use batch, layer, instance, virtual or pixel normalisation, or another '
        f'conditioning.'
    )


def test_linear_maps_of_a_vector_set_scale_and_shift():
    inputs, vectors = jax.random.normal(jax.random.key(0), (2, 3, 3, 4)), jax.random.normal(jax.random.key(1), (2, 5))
    maps = {name: jax.random.normal(jax.random.key(i), (5, 4)) for i, name in enumerate(('scale', 'shift'))}
    params = {name: {'kernel': kernel} for name, kernel in maps.items()}
    outputs = LinearAffine({}).apply({'params': params}, inputs, vectors)
    scale, shift = (np.asarray(vectors @ maps[name])[:, None, None] for name in ('scale', 'shift'))
    np.testing.assert_allclose(outputs, inputs * (1 + scale) + shift, atol=1e-5)
