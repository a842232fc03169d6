"""The deep convolutional networks: the published shapes layer by layer, sizes from shapes, options."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.layers.progress import with_share
from gan_jax.models.dcgan import Discriminator, Generator, count_stages

LATENTS = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float32)


def init(module, inputs):
    return jax.jit(lambda key: module.init(key, inputs, train=False))(jax.random.key(0))


def layers(module, *shape):
    """The output shape of every linear layer for inputs of a shape, in order, and the number of parameters."""

    def shapes(key):
        found = []

        def note(call, args, kwargs, context):
            outputs = call(*args, **kwargs)
            if context.method_name == '__call__' and isinstance(context.module, Dense | Conv | ConvTranspose):
                found.append(outputs.shape[1:])
            return outputs

        with nn.intercept_methods(note):
            variables = module.init(key, jnp.zeros((2, *shape)), train=False)
        return found, sum(leaf.size for leaf in jax.tree.leaves(variables['params']))

    result = []
    jax.eval_shape(lambda key: result.extend(shapes(key)), jax.random.key(0))
    return result


def weights(kernel_size, *widths):
    return sum(kernel_size**2 * inputs * outputs for inputs, outputs in itertools.pairwise(widths))


def test_published_28x28():
    generator = Generator((28, 28, 1), widths=(128, 64), kernel_size=5)
    shapes, parameters = layers(generator, 100)
    assert shapes == [(7 * 7 * 128,), (14, 14, 64), (28, 28, 1)]
    projection, scale_and_shift, bias = 100 * 7 * 7 * 128, 2 * (128 + 64), 1
    assert parameters == projection + weights(5, 128, 64, 1) + scale_and_shift + bias == 833_985

    shapes, parameters = layers(Discriminator(widths=(64, 128), kernel_size=5), 28, 28, 1)
    assert shapes == [(14, 14, 64), (7, 7, 128), (1,)]
    final = 7 * 7 * 128 + 1
    assert parameters == weights(5, 1, 64, 128) + 64 + 2 * 128 + final == 212_993


def test_published_32x32():
    shapes, parameters = layers(Generator((32, 32, 3), widths=(1024, 512, 256)), 100)
    assert shapes == [(4 * 4 * 1024,), (8, 8, 512), (16, 16, 256), (32, 32, 3)]
    projection, scale_and_shift, bias = 100 * 4 * 4 * 1024, 2 * (1024 + 512 + 256), 3
    assert parameters == projection + weights(4, 1024, 512, 256, 3) + scale_and_shift + bias == 12_140_035

    shapes, parameters = layers(Discriminator(widths=(64, 128, 256)), 32, 32, 3)
    assert shapes == [(16, 16, 64), (8, 8, 128), (4, 4, 256), (1,)]
    final = 4 * 4 * 256 + 1
    assert parameters == weights(4, 3, 64, 128, 256) + 64 + 2 * (128 + 256) + final == 663_361


def test_published_64x64():
    shapes, parameters = layers(Generator((64, 64, 3), widths=(1024, 512, 256, 128)), 100)
    assert shapes == [(4 * 4 * 1024,), (8, 8, 512), (16, 16, 256), (32, 32, 128), (64, 64, 3)]
    projection, scale_and_shift, bias = 100 * 4 * 4 * 1024, 2 * (1024 + 512 + 256 + 128), 3
    assert parameters == projection + weights(4, 1024, 512, 256, 128, 3) + scale_and_shift + bias == 12_658_435

    shapes, parameters = layers(Discriminator(widths=(128, 256, 512, 1024), final='convolution'), 64, 64, 3)
    assert shapes == [(32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 1024), (1, 1, 1)]
    final = 4 * 4 * 1024 + 1
    assert parameters == weights(4, 3, 128, 256, 512, 1024) + 128 + 2 * (256 + 512 + 1024) + final == 11_036_289


@pytest.mark.parametrize(
    ('shape', 'base', 'widths'),
    [
        ((8, 8, 1), (4, 4), (64,)),
        ((28, 28, 1), (7, 7), (128, 64)),
        ((32, 32, 3), (4, 4), (256, 128, 64)),
        ((48, 48, 3), (6, 6), (256, 128, 64)),
        ((128, 128, 3), (4, 4), (512, 512, 256, 128, 64)),
        ((32, 48, 3), (4, 6), (256, 128, 64)),
        ((28, 32, 3), (7, 8), (128, 64)),
        ((36, 20, 3), (9, 5), (128, 64)),
    ],
)
def test_sizes_follow_from_the_shape(shape, base, widths):
    height, width = base
    stages = len(widths)
    sizes = [(height << stage, width << stage) for stage in range(stages + 1)]
    assert count_stages(shape) == stages
    generated, _ = layers(Generator(shape), 10)
    assert generated == [
        (height * width * widths[0],),
        *((*size, features) for size, features in zip(sizes[1:], (*widths[1:], shape[2]), strict=True)),
    ]
    judged, _ = layers(Discriminator(), *shape)
    assert judged == [*((*size, features) for size, features in zip(sizes[-2::-1], widths[::-1], strict=True)), (1,)]


@pytest.mark.parametrize(
    ('shape', 'side', 'nearest'),
    [((37, 37, 3), '37 pixels high', '36 and 38'), ((28, 7, 1), '7 pixels wide', '8 and 10')],
)
def test_an_impossible_size_is_answered_with_the_nearest(shape, side, nearest):
    for module, inputs in ((Generator(shape), (10,)), (Discriminator(), shape)):
        with pytest.raises(UserError) as error:
            layers(module, *inputs)
        assert str(error.value) == (
            f'DCGAN cannot make images {side}, because a size must be a base of at least 4 times a power of two; '
            f'the nearest valid sizes are {nearest}.'
        )


def test_points_are_refused():
    with pytest.raises(UserError) as error:
        layers(Generator((2,)), 10)
    assert str(error.value) == 'DCGAN is for images of shape (H, W, C), not (2,); choose the model mlp for that.'


def test_widths_of_the_wrong_number_are_refused():
    for module, inputs in ((Generator((32, 32, 3), widths=(8, 4)), (10,)), (Discriminator(widths=(8, 4)), (32, 32, 3))):
        with pytest.raises(UserError) as error:
            layers(module, *inputs)
        assert str(error.value) == (
            '2 widths (8, 4) do not fit images of shape (32, 32, 3), which have 3 stages: give 3 widths, or None to '
            'have them computed.'
        )


def test_width_and_max_width():
    shapes, _ = layers(Discriminator(width=16, max_width=48), 64, 64, 1)
    assert [shape[-1] for shape in shapes] == [16, 32, 48, 48, 1]


@pytest.mark.parametrize('upsampling', ['nearest', 'bilinear', 'pixel_shuffle'])
def test_upsampling_replaces_every_transposed_convolution(upsampling):
    module = Generator((8, 8, 3), width=4, upsampling=upsampling)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), LATENTS, train=False))
    outputs = 3 * (4 if upsampling == 'pixel_shuffle' else 1)
    assert {name for name in variables['params'] if 'Conv' in name} == {'Conv_0'}
    assert variables['params']['Conv_0']['kernel'].shape == (4, 4, 4, outputs)
    examples = jax.eval_shape(lambda variables: module.apply(variables, LATENTS, train=False), variables)
    assert examples.shape == (4, 8, 8, 3)


def test_average_downsampling_convolves_before_it_halves():
    shapes, _ = layers(Discriminator(width=4, downsampling='average'), 16, 16, 1)
    assert shapes == [(16, 16, 4), (8, 8, 8), (1,)]


@pytest.mark.parametrize(
    ('normalization', 'normalised', 'collections'),
    [
        ('batch', {'BatchNorm_0'}, {'batch_stats'}),
        ('layer', {'LayerNorm_0'}, set()),
        ('instance', {'InstanceNorm_0'}, set()),
        ('spectral', set(), {'spectral'}),
        ('none', set(), set()),
    ],
)
def test_normalization_spares_the_first_layer_and_replaces_biases(normalization, normalised, collections):
    module = Discriminator(width=4, normalization=normalization)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((2, 16, 16, 3)), train=False))
    assert set(variables) == {'params'} | collections
    assert set(variables['params']) == {'Conv_0', 'Conv_1', 'Dense_0'} | normalised
    assert [('bias' in variables['params'][name]) for name in ('Conv_0', 'Conv_1', 'Dense_0')] == [
        True,
        not normalised,
        True,
    ]
    if normalization == 'spectral':
        assert set(variables['spectral']) == {'Conv_0', 'Conv_1', 'Dense_0'}


def test_the_two_final_layers_are_the_same_map():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    dense, convolution = Discriminator(width=4), Discriminator(width=4, final='convolution')
    variables = init(dense, images)
    parameters = dict(variables['params'])
    final = parameters.pop('Dense_0')
    parameters['Conv_1'] = {**final, 'kernel': final['kernel'].reshape(4, 4, 4, 1)}
    np.testing.assert_allclose(
        convolution.apply({**variables, 'params': parameters}, images, train=False).logits,
        dense.apply(variables, images, train=False).logits,
        rtol=1e-5,
        atol=1e-6,
    )


def test_momentum_and_initializer():
    module = Generator((8, 8, 1), width=4, momentum=0.0, initializer='orthogonal')
    variables = init(module, LATENTS)
    kernel = variables['params']['Dense_0']['kernel']
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(10), atol=1e-5)
    _, updated = module.apply(variables, LATENTS, train=True, mutable=['batch_stats'])
    batch = (LATENTS @ kernel).reshape(-1, 4)
    np.testing.assert_allclose(updated['batch_stats']['BatchNorm_0']['mean'], batch.mean(0), rtol=1e-4, atol=1e-6)


def test_dropout_differs_with_keys_and_is_off_in_evaluation():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    module = Discriminator(width=8, normalization='none', dropout=0.5)
    variables = init(module, images)

    def logits(key):
        return module.apply(variables, images, train=True, rngs={'dropout': jax.random.key(key)}).logits

    np.testing.assert_array_equal(logits(1), logits(1))
    assert not np.allclose(logits(1), logits(2), rtol=1e-2)
    without = Discriminator(width=8, normalization='none').apply(variables, images, train=True).logits
    np.testing.assert_array_equal(module.apply(variables, images, train=False).logits, without)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_images_and_logits_are_float32(dtype):
    generator, discriminator = Generator((8, 8, 3), width=4, dtype=dtype), Discriminator(width=4, dtype=dtype)
    variables = init(generator, LATENTS)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
    images = generator.apply(variables, LATENTS, train=False)
    assert images.dtype == jnp.float32
    assert jnp.abs(images).max() <= 1.0
    logits = discriminator.apply(init(discriminator, images), images, train=False).logits
    assert (logits.dtype, logits.shape) == (jnp.float32, (4,))


def test_eight_devices_with_global_statistics_equal_one():
    latents = np.random.default_rng(0).normal(size=(16, 10)).astype(np.float32)
    one, eight = (Generator((8, 8, 3), width=4, axis_name=name) for name in (None, 'devices'))
    variables = init(one, latents)
    images, updated = one.apply(variables, latents, train=True, mutable=['batch_stats'])
    mapped, mapped_updated = jax.pmap(
        lambda shard: eight.apply(variables, shard, train=True, mutable=['batch_stats']), 'devices'
    )(latents.reshape(8, 2, 10))
    np.testing.assert_allclose(mapped.reshape(images.shape), images, rtol=1e-4, atol=1e-6)
    for got, wanted in zip(jax.tree.leaves(mapped_updated), jax.tree.leaves(updated), strict=True):
        np.testing.assert_allclose(got[7], wanted, rtol=1e-5, atol=1e-7)


def carried(before, after, share):
    """The variables of a network that has all those of a smaller one that are at the same place with the same shape."""
    old = dict(jax.tree_util.tree_leaves_with_path(before))

    def chosen(path, leaf):
        return old[path] if path in old and old[path].shape == leaf.shape else leaf

    return with_share(jax.tree_util.tree_map_with_path(chosen, after), jnp.float32(share))


def test_a_stage_of_a_growing_network_that_has_not_faded_in_changes_nothing():
    small = Generator((8, 8, 1), width=16, growing=True)
    large = Generator((16, 16, 1), width=8, growing=True, fade=0.5)
    before, after = (init(module, LATENTS) for module in (small, large))
    make = jax.jit(lambda share: large.apply(carried(before, after, share), LATENTS, train=False))
    images = small.apply(before, LATENTS, train=False)
    np.testing.assert_allclose(make(0.0), images.repeat(2, 1).repeat(2, 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(make(0.5), make(0.9))
    assert np.abs(make(0.5) - make(0.0)).max() > 0.01

    small, large = Discriminator(width=16, growing=True), Discriminator(width=8, growing=True, fade=0.5)
    images = jax.random.normal(jax.random.key(0), (4, 16, 16, 1))
    coarse = images.reshape(4, 8, 2, 8, 2, 1).mean((2, 4))
    before, after = init(small, coarse), init(large, images)
    discriminate = jax.jit(lambda share: large.apply(carried(before, after, share), images, train=False).logits)
    np.testing.assert_allclose(discriminate(0.0), small.apply(before, coarse, train=False).logits, rtol=1e-4, atol=1e-6)
    assert np.abs(discriminate(0.5) - discriminate(0.0)).max() > 1e-3


def test_a_growing_network_shares_all_but_its_last_stage():
    def shapes(module, inputs):
        variables = jax.eval_shape(lambda: module.init(jax.random.key(0), inputs, train=False))
        return {path: leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(variables)}

    generators = [Generator((side, side, 1), width=width, growing=True) for side, width in ((16, 16), (32, 8))]
    critics = [Discriminator(width=width, growing=True) for width in (16, 8)]
    for old, new, inputs in (
        (*generators, [LATENTS, LATENTS]),
        (*critics, [jnp.zeros((1, 16, 16, 1)), jnp.zeros((1, 32, 32, 1))]),
    ):
        kept = shapes(new, inputs[1])
        missing = [
            jax.tree_util.keystr(path) for path, shape in shapes(old, inputs[0]).items() if kept.get(path) != shape
        ]
        assert missing
        assert all("'image2'" in path for path in missing)


def test_only_a_growing_network_fades():
    with pytest.raises(UserError, match=r'fade is 0\.5; it must be 0, or generator\.growing true'):
        init(Generator((8, 8, 1), fade=0.5), LATENTS)
