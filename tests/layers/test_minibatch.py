"""Layers over the batch against loops, over devices, and in the discriminators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from gan_jax.errors import UserError
from gan_jax.layers.minibatch import MinibatchDiscrimination, minibatch_deviation
from gan_jax.models import dcgan, mlp

INPUTS = np.random.default_rng(0).normal(size=(16, 3, 2, 4)).astype(np.float32)
VECTORS = np.random.default_rng(1).normal(size=(16, 6)).astype(np.float32)


def over_eight_devices(function, inputs):
    mesh = jax.make_mesh((8,), ('devices',), axis_types=(jax.sharding.AxisType.Auto,))
    lies = PartitionSpec('devices')
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=lies, out_specs=lies))(inputs)


def deviations(inputs, size, num_features):
    """Example by example, feature by feature, in float64."""
    inputs = inputs.astype(np.float64)
    width = inputs.shape[-1] // num_features
    found = np.zeros((len(inputs), num_features))
    for example in range(len(inputs)):
        first = example // size * size
        for feature in range(num_features):
            group = inputs[first : first + size, ..., feature * width : (feature + 1) * width]
            found[example, feature] = np.sqrt(group.var(0) + 1e-8).mean()
    return found


def test_deviation_by_hand():
    inputs = jnp.array([[0.0, 5.0], [2.0, 5.0], [1.0, 0.0], [1.0, 8.0]])
    outputs = minibatch_deviation(inputs, group_size=2)
    # Deviations of the first pair are 1 and 0, of the second 0 and 4; 1e-4 stands for 0.
    np.testing.assert_allclose(outputs[:, 2], [0.5, 0.5, 2.0, 2.0], rtol=2e-4)
    np.testing.assert_array_equal(outputs[:, :2], inputs)


@pytest.mark.parametrize(('size', 'num_features'), [(4, 1), (2, 2), (8, 4), (0, 2)])
def test_deviation_is_the_loop(size, num_features):
    outputs = minibatch_deviation(INPUTS, size, num_features)
    assert outputs.shape == (16, 3, 2, 4 + num_features)
    np.testing.assert_array_equal(outputs[..., :4], INPUTS)
    wanted = deviations(INPUTS, size or 16, num_features)[:, None, None]
    np.testing.assert_allclose(outputs[..., 4:], np.broadcast_to(wanted, (16, 3, 2, num_features)), rtol=1e-5)


@pytest.mark.parametrize('size', [2, 0])
def test_deviation_over_eight_devices(size):
    mapped = over_eight_devices(lambda share: minibatch_deviation(share, size, 2, 'devices'), INPUTS)
    np.testing.assert_allclose(mapped, minibatch_deviation(INPUTS, size, 2), rtol=1e-5)


def test_sizes_that_do_not_divide_are_named():
    with pytest.raises(UserError) as error:
        minibatch_deviation(INPUTS, 5)
    assert str(error.value) == (
        'A batch of 16 (on one device) cannot be divided into groups of 5 for the minibatch standard '
        'deviation: choose a group size that divides it, or 0 for the whole batch.'
    )
    with pytest.raises(UserError) as error:
        minibatch_deviation(INPUTS, 4, 3)
    assert str(error.value) == (
        '4 channels cannot be divided into 3 features of the minibatch standard deviation: choose a number '
        'that divides 4.'
    )


def discrimination(axis_name=None):
    module = MinibatchDiscrimination(kernels=3, dims=2, axis_name=axis_name, kernel_init=jax.nn.initializers.normal(1))
    return module, module.init(jax.random.key(0), VECTORS)


def test_discrimination_is_the_loop():
    module, variables = discrimination()
    rows = (VECTORS.astype(np.float64) @ variables['params']['tensor']['kernel']).reshape(16, 3, 2)
    near = np.zeros((16, 3))
    for i in range(16):
        for j in range(16):
            for b in range(3):
                near[i, b] += np.exp(-np.abs(rows[i, b] - rows[j, b]).sum())
    outputs = module.apply(variables, VECTORS)
    np.testing.assert_array_equal(outputs[:, :6], VECTORS)
    np.testing.assert_allclose(outputs[:, 6:], near, rtol=1e-5)
    assert near.min() > 1.0  # an example is near itself


def test_discrimination_and_its_gradient_over_eight_devices():
    module, variables = discrimination('devices')
    whole, _ = discrimination()
    mapped = over_eight_devices(lambda share: module.apply(variables, share), VECTORS)
    np.testing.assert_allclose(mapped, whole.apply(variables, VECTORS), rtol=1e-5)

    def gradient(module, variables, share):
        return jax.grad(lambda variables: jnp.sin(module.apply(variables, share)).mean())(variables)

    shares = VECTORS.reshape(8, 2, 6)
    mapped = jax.pmap(lambda share: jax.lax.pmean(gradient(module, variables, share), 'devices'), 'devices')(shares)
    wanted = gradient(whole, variables, VECTORS)['params']['tensor']['kernel']
    np.testing.assert_allclose(mapped['params']['tensor']['kernel'][5], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('minibatch', ['deviation', 'discrimination'])
def test_an_evaluation_needs_no_mapped_axis(minibatch):
    options = {'widths': (4,), 'minibatch': minibatch, 'minibatch_group': 0}
    mapped, alone = (mlp.Discriminator(axis_name=axis, **options) for axis in ('devices', None))
    variables = alone.init(jax.random.key(0), VECTORS, train=False)
    judged = mapped.apply(variables, VECTORS, train=False)
    np.testing.assert_array_equal(judged.logits, alone.apply(variables, VECTORS, train=False).logits)


@pytest.mark.parametrize('family', [mlp, dcgan])
@pytest.mark.parametrize(
    ('options', 'added'),
    [
        ({'minibatch': 'deviation', 'minibatch_features': 2}, {mlp: 2, dcgan: 4 * 4 * 2}),
        (
            {'minibatch': 'discrimination', 'minibatch_kernels': 3, 'minibatch_dims': 2},
            {mlp: 3 + 4 * 3 * 2, dcgan: 3 + 64 * 3 * 2},
        ),
    ],
    ids=['deviation', 'discrimination'],
)
def test_the_logit_sees_the_other_examples(family, options, added):
    images = np.random.default_rng(2).uniform(-1, 1, size=(4, 8, 8, 1)).astype(np.float32)
    size = {'widths': (4,)} if family is mlp else {'width': 4}
    module = family.Discriminator(normalization='none', initializer='he', **size, **options)
    variables = jax.jit(lambda key: module.init(key, images[:1], train=False))(jax.random.key(0))
    plain = jax.eval_shape(lambda: module.clone(minibatch='none').init(jax.random.key(0), images, train=False))
    count, before = (sum(leaf.size for leaf in jax.tree.leaves(tree['params'])) for tree in (variables, plain))
    assert count - before == added[family]

    discriminate = jax.jit(lambda images: module.apply(variables, images, train=False))
    same, other = discriminate(images), discriminate(images.repeat(2, 0)[:4])
    np.testing.assert_allclose(other.features[next(iter(other.features))][0], next(iter(same.features.values()))[0])
    assert abs(same.logits[0] - other.logits[0]) > 1e-4


def test_inputs_and_sizes_without_a_meaning_are_refused():
    for make, sentence in (
        (
            lambda: minibatch_deviation(jnp.ones(4), 4),
            r'the minibatch .* is \(4,\); it must be \[B, \.\.\., C\]',
        ),
        (lambda: minibatch_deviation(INPUTS, -1), 'The group size .* is -1; it must be at least 0'),
        (lambda: minibatch_deviation(INPUTS, 4, 0), 'The number of features .* is 0; it must be at least 1'),
        (
            lambda: MinibatchDiscrimination().init(jax.random.key(0), jnp.ones((4, 2, 2, 3))),
            r'inputs of minibatch discrimination is \(4, 2, 2, 3\); it must be \[B, n\]: flatten',
        ),
    ):
        with pytest.raises(UserError, match=sentence):
            make()


def test_impossible_sizes_are_refused():
    for option in ('minibatch_features', 'minibatch_kernels', 'minibatch_dims'):
        minibatch = 'deviation' if option == 'minibatch_features' else 'discrimination'
        module = mlp.Discriminator(widths=(4,), minibatch=minibatch, **{option: 0})
        with pytest.raises(UserError) as error:
            jax.eval_shape(lambda module=module: module.init(jax.random.key(0), VECTORS, train=False))
        assert str(error.value) == f'discriminator.{option} is 0; it must be a whole number of at least 1.'
    module = mlp.Discriminator(widths=(4,), minibatch='deviation', minibatch_group=-4)
    with pytest.raises(UserError) as error:
        jax.eval_shape(lambda: module.init(jax.random.key(0), VECTORS, train=False))
    assert str(error.value) == 'discriminator.minibatch_group is -4; it must be 0 or more.'
