"""The networks of pix2pix and CycleGAN against outputs of the published implementation, and their sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.convolution import transposed_convolution
from gan_jax.models.cyclegan import Generator as Residual
from gan_jax.models.pix2pix import Discriminator as PatchDiscriminator
from gan_jax.models.pix2pix import Generator as UNet
from tests import compiled, golden_files

GENERATORS = {  # with the published names of their first and last layers
    'cyclegan_resnet6_instance': (Residual(width=4), 'model.1', 'model.23'),
    'cyclegan_resnet9_batch': (Residual(width=3, blocks=9, channels=1, normalization='batch'), 'model.1', 'model.26'),
    'pix2pix_unet32_instance': (UNet(width=3, max_width=24, levels=5), 'model.model.0', 'model.model.3'),
    'pix2pix_unet128_batch': (
        UNet(width=2, max_width=16, levels=7, normalization='batch'),
        'model.model.0',
        'model.model.3',
    ),
}


def loaded(module, images, arrays, net):
    images = golden_files.nhwc(images)
    return golden_files.load_in_order(golden_files.outline(module, images, train=False), arrays, f'p/{net}/'), images


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow) if 'unet128' in name or 'resnet9' in name else name
        for name in GENERATORS
    ],
)
def test_generators_and_their_gradients_are_the_published_ones(name):
    arrays, (module, first, last) = golden_files.read(name), GENERATORS[name]
    variables, images = loaded(module, arrays['in/x'], arrays, 'G')
    cotangent = golden_files.nhwc(arrays['in/cotangent'])
    half = images.shape[1] // 2

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def value(params):
        out = module.apply({**variables, 'params': params}, images, train=False)
        return jnp.mean(out[:, half : half + 8, half : half + 8] * cotangent), out

    gradients, out = value(variables['params'])
    golden_files.assert_close(out, golden_files.nhwc(arrays['out/eval/out']), 1e-4)
    kind = 'ConvTranspose' if isinstance(module, UNet) else 'Conv'
    ours = [key for key in variables['params'] if key.startswith(f'{kind}_')][-1]
    for key, theirs, layer in (('Conv_0', first, 'Conv'), (ours, last, kind)):
        golden = golden_files.kernel(arrays[f'out/eval/vjp_grad/{theirs}.weight'], layer)
        golden_files.assert_close(gradients[key]['kernel'], golden, 2e-4)


@pytest.mark.parametrize(
    ('name', 'module'),
    [
        ('pix2pix_pixel_instance', PatchDiscriminator(width=6, receptive_field=1)),
        ('pix2pix_patchgan2_batch', PatchDiscriminator(width=4, receptive_field=34, normalization='batch')),
        ('pix2pix_patchgan3_instance', PatchDiscriminator(width=4)),
    ],
)
def test_discriminators_judge_patches_as_the_published_ones(name, module):
    arrays = golden_files.read(name)
    variables, images = loaded(module, arrays['in/real'], arrays, 'D')
    logits = compiled.apply(module, variables, images, train=False)
    golden = arrays['out/eval/pred_real'][:, 0]
    np.testing.assert_allclose(logits, golden, rtol=0, atol=1e-4 + 1e-5 * np.abs(golden).max())
    if module.normalization == 'batch':
        logits, _ = compiled.apply(module, variables, images, train=True, mutable=['batch_stats'])
        golden_files.assert_close(logits, arrays['out/train/pred_real'][:, 0], 1e-4)


@pytest.mark.parametrize(
    ('module', 'size', 'channels', 'parameters'),
    [
        (UNet(normalization='batch'), 256, 3, 54_413_955),
        (UNet(normalization='batch'), 128, 3, 41_828_995),
        (Residual(blocks=9), 256, 3, 11_378_179),
        (Residual(), 128, 3, 7_837_699),
        (PatchDiscriminator(normalization='batch'), 256, 6, 2_768_705),
        (PatchDiscriminator(), 256, 3, 2_764_737),
        (PatchDiscriminator(normalization='batch', receptive_field=34), 256, 6, 666_433),
        (PatchDiscriminator(normalization='batch', receptive_field=142), 256, 6, 6_964_033),
        (PatchDiscriminator(normalization='batch', receptive_field=286), 256, 6, 11_159_361),
    ],
)
def test_networks_have_the_published_number_of_parameters(module, size, channels, parameters):
    images = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    variables = jax.eval_shape(lambda images: module.init(jax.random.key(0), images, train=False), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables['params'])) == parameters


@pytest.mark.parametrize('field', [16, 34, 70])
def test_a_logit_sees_a_patch_of_its_receptive_field(field):
    module = PatchDiscriminator(width=2, receptive_field=field, normalization='none', initializer='he')
    images = jax.random.normal(jax.random.key(1), (1, 128, 128, 1))
    variables = compiled.init(module, jax.random.key(0), images, train=False)

    @jax.jit
    @jax.grad
    def middle(images):
        logits = module.apply(variables, images, train=False)
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2]

    seen = np.abs(middle(images))[0, :, :, 0] > 0
    assert (int(seen.any(1).sum()), int(seen.any(0).sum())) == (field, field)


def test_a_unet_reaches_one_pixel_and_dropout_is_its_noise():
    module, images = UNet(width=2), jnp.zeros((1, 256, 256, 3))
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), images, train=False))
    assert sum(name.startswith('Conv_') for name in variables['params']) == 8
    module, images = UNet(width=4), jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    variables = compiled.init(module, jax.random.key(0), images, train=False)
    apply = jax.jit(functools.partial(module.apply, train=True))
    one, other = (apply(variables, images, rngs={'dropout': jax.random.key(i)}) for i in (1, 2))
    assert one.shape == (2, 8, 8, 3)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ('module', 'size', 'message'),
    [
        (UNet(), 27, r'can halve images of 27x27 pixels 0 times, not once'),
        (UNet(levels=4), 24, r'24x24 pixels 3 times, not 4'),
        (Residual(), 30, r'impossible for 30x30 pixels'),
        (
            PatchDiscriminator(receptive_field=64),
            64,
            r'receptive_field is 64; it must be one of 1, 16, 34, 70, 142, 286',
        ),
        (PatchDiscriminator(receptive_field=286), 32, r'32x32 pixels are too small for patches of 286'),
    ],
)
def test_impossible_sizes_are_refused(module, size, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, size, size, 3)), train=False))


def test_a_transposed_convolution_with_other_padding_is_the_adjoint_of_the_convolution():
    """PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1): out[2 i + u - 1] += in[i] kernel[u]."""
    images = jax.random.normal(jax.random.key(0), (1, 3, 3, 2))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
    by_hand = np.zeros((1, 8, 8, 4))
    for i, j, u, v in np.ndindex(3, 3, 3, 3):
        by_hand[0, 2 * i + u, 2 * j + v] += np.asarray(images[0, i, j]) @ np.asarray(kernel[u, v])
    out = transposed_convolution(images, kernel, 2, padding=1)
    np.testing.assert_allclose(out, by_hand[:, 1:7, 1:7], atol=1e-5)
