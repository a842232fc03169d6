"""The networks of SRGAN and ESRGAN against outputs of the published implementation, and their sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.errors import UserError
from gan_jax.models import esrgan, msrresnet, srgan
from tests import golden_files

GENERATORS = {  # with the published names of their first and last layers, and the inner layers of pixel shuffle
    'esrgan_rrdb_x4': (esrgan.Generator(width=8, growth=4, depth=2), 'RRDB_trunk.1.RDB1.conv3', 'Conv_18', ()),
    'srresnet_x4': (msrresnet.Generator(width=8, depth=2), 'body.1.conv2', 'Conv_3', ('upconv1', 'upconv2')),
}


def shuffled(array):
    """PyTorch's outputs of a layer before pixel shuffle, channel 4 d + b of the block's pixel b, as ours, b D + d."""
    return array.reshape(-1, 4, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape)


@pytest.mark.parametrize('name', [pytest.param('esrgan_rrdb_x4', marks=pytest.mark.slow), 'srresnet_x4'])
def test_generators_and_their_gradients_are_the_published_ones(name):
    arrays, (module, layer, ours, shuffles) = golden_files.read(name), GENERATORS[name]
    for one in shuffles:
        arrays |= {key: shuffled(arrays[key]) for key in (f'p/G/{one}.weight', f'p/G/{one}.bias')}
    images, cotangent = (golden_files.nhwc(arrays[f'in/{key}']) for key in ('x', 'cotangent'))
    variables = golden_files.load_in_order(golden_files.outline(module, images, train=False), arrays, 'p/G/')

    @jax.jit
    def value(params):  # published images are in [0, 1]
        out = (module.apply({'params': params}, 2 * images - 1, train=False) + 1) / 2
        return jnp.mean(out * cotangent), out

    gradients, out = jax.grad(value, has_aux=True)(variables['params'])
    golden_files.assert_close(out, golden_files.nhwc(arrays['out/out']))
    last = [key for key in variables['params'] if key.startswith('Conv_')][-1]
    for key, theirs in (('Conv_0', 'conv_first'), (ours, layer), (last, 'conv_last')):
        golden = golden_files.kernel(arrays[f'out/vjp_grad/{theirs}.weight'], 'Conv')
        golden_files.assert_close(gradients[key]['kernel'], golden, 1e-4)


@pytest.mark.slow
def test_the_discriminator_of_esrgan_is_the_published_one():
    arrays = golden_files.read('esrgan_vgg_d128')
    weight = arrays['p/D/linear1.weight']  # of channels before places
    arrays['p/D/linear1.weight'] = weight.reshape(100, 16, 4, 4).transpose(0, 2, 3, 1).reshape(100, -1)
    module, images = esrgan.Discriminator(width=2), golden_files.nhwc(arrays['in/x'])
    variables = golden_files.load_in_order(golden_files.outline(module, images, train=False), arrays, 'p/D/')
    for mode in ('eval', 'train'):
        apply = jax.jit(
            lambda variables, train=mode == 'train': module.apply(
                variables, images, train=train, mutable=['batch_stats', 'intermediates'], capture_intermediates=True
            )
        )
        logits, seen = apply(variables)
        np.testing.assert_allclose(logits, arrays[f'out/{mode}/logits'][:, 0], rtol=1e-4, atol=1e-4)
        golden_files.assert_close(seen['intermediates']['Dense_0']['__call__'][0], arrays[f'out/{mode}/linear1'], 1e-4)


def test_the_loss_of_esrgan_is_twice_the_published_halves():
    arrays, loss = golden_files.read('esrgan_vgg_d128'), losses.relativistic_average()
    real, fake = arrays['in/ra_real'][:, 0], arrays['in/ra_fake'][:, 0]
    np.testing.assert_allclose(loss.discriminator(real, fake) / 2, arrays['out/ragan_d'], rtol=1e-5)
    np.testing.assert_allclose(loss.generator(fake, real) / 2, arrays['out/ragan_g'], rtol=1e-5)


@pytest.mark.parametrize(
    ('module', 'side', 'parameters'),
    [
        (srgan.Generator(), 24, 1_549_462),
        (srgan.Discriminator(), 96, 23_565_505),
        (msrresnet.Generator(), 24, 1_517_571),
        (esrgan.Generator(), 32, 16_697_987),
        (esrgan.Generator(depth=16), 32, 11_662_019),
        (esrgan.Discriminator(), 128, 14_499_401),
    ],
)
def test_the_published_numbers_of_parameters(module, side, parameters):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    shapes = jax.eval_shape(lambda key, images: module.init(key, images, train=False), jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes['params'])) == parameters


@pytest.mark.parametrize('family', [srgan, esrgan, msrresnet])
@pytest.mark.parametrize('factor', [2, 4])
def test_images_of_any_size_are_enlarged_by_the_factor(family, factor):
    module = family.Generator(channels=1, width=4, depth=1, factor=factor)
    images = jax.ShapeDtypeStruct((2, 5, 7, 1), jnp.float32)
    made, _ = jax.eval_shape(lambda images: module.init_with_output(jax.random.key(0), images, train=True), images)
    assert made.shape == (2, 5 * factor, 7 * factor, 1)


def test_sentences():
    with pytest.raises(UserError, match=r'^generator.factor is 3; it must be 2 or 4\.'):
        srgan.doublings(3)
    with pytest.raises(UserError, match=r'impossible for 48x48 pixels: set game.crop to a multiple of 32\.'):
        jax.eval_shape(lambda: esrgan.Discriminator().init(jax.random.key(0), jnp.zeros((1, 48, 48, 3)), train=False))
