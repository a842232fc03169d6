"""The residual networks: published numbers of parameters, sizes, options; `test_mimicry` has their values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models import resnet, sagan
from tests import compiled

BY_CLASS = {'conditioning': 'normalization'}
PROJECTION = {'conditioning': 'projection'}
WGAN_GP = {'normalization': 'none', 'pooling': 'mean'}


def shapes(module, inputs, num_classes=None):
    """The shapes of a network's variables, and of its outputs."""
    labels = None if num_classes is None else jnp.zeros((1,), jnp.int32)
    init = module.init_with_output
    outputs, variables = jax.eval_shape(lambda: init(jax.random.key(0), jnp.zeros((1, *inputs)), labels, train=False))
    return variables, outputs


def count(module, inputs, num_classes=None):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes(module, inputs, num_classes)[0]['params']))


def generator(size, family=resnet, num_classes=None, **options):
    return count(family.Generator((size, size, 3), num_classes=num_classes, **options), (128,), num_classes)


def discriminator(size, family=resnet, num_classes=None, **options):
    return count(family.Discriminator(num_classes=num_classes, **options), (size, size, 3), num_classes)


@pytest.mark.parametrize(
    ('size', 'num_classes', 'made', 'judging', 'made_by_class', 'judging_by_class'),
    [
        (32, 10, 4_276_739, 1_053_824, 4_304_387, 1_055_104),
        (64, 1000, 12_220_675, 10_141_441, 17_974_915, 11_165_441),
        (128, 1000, 32_150_787, 29_017_857, 41_996_931, 30_041_857),
    ],
)
def test_sngan_and_cgan_pd_have_the_published_numbers_of_parameters(
    size, num_classes, made, judging, made_by_class, judging_by_class
):
    bias = {'final_bias': size > 32}
    assert generator(size) == made
    assert discriminator(size, **bias) == judging
    assert generator(size, num_classes=num_classes, **BY_CLASS) == made_by_class
    assert discriminator(size, num_classes=num_classes, **PROJECTION, **bias) == judging_by_class


def test_wgan_gp_has_the_published_numbers_of_parameters():
    assert generator(32, width=128) == 1_204_483
    assert generator(32, width=128, num_classes=10, **BY_CLASS) == 1_218_307
    assert discriminator(32, **WGAN_GP) == 1_053_825
    assert discriminator(32, num_classes=10, conditioning='auxiliary', **WGAN_GP) == 1_055_115


@pytest.mark.parametrize(('attention', 'made', 'judging'), [(32, 42_078_852, 39_463_618), (64, 42_017_412, 39_448_258)])
def test_sagan_has_the_published_numbers_of_parameters(attention, made, judging):
    assert generator(128, sagan, 1000, attention=attention, **BY_CLASS) == made
    assert discriminator(128, sagan, 1000, attention=attention, **PROJECTION) == judging
    assert discriminator(32, sagan, 10, attention=attention, **PROJECTION) == 1_075_586  # StudioGAN's for CIFAR-10


def test_published_widths_and_sizes():
    def widths(module, inputs):
        variables, outputs = shapes(module, inputs)
        blocks = sorted(name for name in variables['params'] if 'Block' in name)
        found = [variables['params'][name]['second']['kernel'].shape[-1] for name in blocks]
        return found, [features.shape[1] for features in getattr(outputs, 'features', {}).values()]

    assert widths(resnet.Generator((32, 32, 3)), (128,))[0] == [256] * 3
    assert widths(resnet.Generator((64, 64, 3)), (128,))[0] == [512, 256, 128, 64]
    assert widths(resnet.Generator((128, 128, 3)), (128,))[0] == [1024, 512, 256, 128, 64]
    assert widths(resnet.Discriminator(), (32, 32, 3)) == ([128] * 4, [16, 8, 8, 8])
    assert widths(resnet.Discriminator(), (64, 64, 3)) == ([64, 128, 256, 512, 1024], [32, 16, 8, 4, 2])
    found = [64, 128, 256, 512, 1024, 1024], [64, 32, 16, 8, 4, 4]
    assert widths(resnet.Discriminator(), (128, 128, 3)) == found
    assert widths(resnet.Discriminator(width=2, max_width=8), (28, 28, 1)) == ([2] * 4, [14, 7, 7, 7])
    assert widths(resnet.Discriminator(width=2, max_width=8), (112, 112, 1))[1] == [56, 28, 14, 7, 7]
    assert widths(resnet.Discriminator(widths=(1, 2, 3, 4, 5), halvings=4), (48, 48, 3)) == (
        [1, 2, 3, 4, 5],
        [24, 12, 6, 3, 3],
    )
    assert widths(resnet.Generator((48, 96, 1), widths=(5, 4, 3, 2)), (8,))[0] == [4, 3, 2]


@pytest.mark.parametrize('shape', [(28, 28, 1), (16, 32, 3), (64, 64, 3)])
@pytest.mark.parametrize('family', [resnet, sagan])
def test_sizes(shape, family):
    _, images = shapes(family.Generator(shape, width=8), (10,))
    assert images.shape == (1, *shape)
    assert images.dtype == jnp.float32
    variables, judged = shapes(family.Discriminator(width=8), shape)
    assert judged.logits.shape == (1,)
    assert ('attention' in variables['params']) == (family is sagan)


def test_attention_sits_at_the_largest_features_that_have_no_more_rows():
    def widths(attention, size=64):
        module = sagan.Discriminator(width=8, attention=attention)
        return shapes(module, (size, size, 3))[0]['params']['attention']['output']['kernel'].shape[-1]

    assert [widths(attention) for attention in (1000, 32, 31, 8)] == [8, 8, 16, 32]
    made = sagan.Generator((64, 64, 3), width=8, attention=16)
    assert shapes(made, (10,))[0]['params']['attention']['output']['kernel'].shape[-1] == 32


def test_initial_weights_have_the_published_scale():
    module = resnet.Discriminator(width=32)
    inputs = jnp.zeros((1, 16, 16, 3))
    params = compiled.init(module, jax.random.key(0), inputs, train=False)['params']['DownBlock_1']
    for name, gain in (('first', 2.0), ('second', 2.0), ('shortcut', 1.0)):
        kernel = params[name]['kernel']
        fans = kernel.shape[0] * kernel.shape[1] * sum(kernel.shape[2:])
        np.testing.assert_allclose(kernel.std(), np.sqrt(gain * 2 / fans), rtol=0.05)
        assert np.abs(kernel).max() <= np.sqrt(gain * 6 / fans) * 1.0001


def test_a_discriminator_with_layer_normalisation_spares_its_first_block():
    params = shapes(resnet.Discriminator(width=8, normalization='layer'), (32, 32, 3))[0]['params']
    assert [sum('LayerNorm' in name for name in params[f'DownBlock_{n}']) for n in range(4)] == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ('module', 'inputs', 'message'),
    [
        (resnet.Generator((31, 31, 1)), (8,), r'A residual network cannot make images 31 pixels high'),
        (resnet.Generator((32, 32, 1), widths=(8, 8)), (8,), r'2 widths \(8, 8\) do not fit .* give 4, of the base'),
        (resnet.Generator((32, 32, 1), upsampling='transposed'), (8,), r"no interpolation 'transposed'"),
        (
            sagan.Generator((32, 32, 1), attention=7),
            (8,),
            r'attention is 7, .* the features after the blocks have 8, 16, 32: choose',
        ),
        (resnet.Discriminator(halvings=6), (32, 32, 1), r'4 blocks cannot halve images of 32x32 pixels 6 times'),
        (resnet.Discriminator(pooling='max'), (32, 32, 1), r"no pooling 'max'"),
        (resnet.Discriminator(width=0), (32, 32, 1), r'discriminator\.width is 0'),
        (resnet.Discriminator(), (10,), r'is for images of shape'),
    ],
)
def test_impossible_options_are_refused(module, inputs, message):
    with pytest.raises(UserError, match=message):
        shapes(module, inputs)
