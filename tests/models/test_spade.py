"""The networks of SPADE against outputs of the published implementation, and their sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.encoding import kullback_leibler
from gan_jax.errors import UserError
from gan_jax.models.spade import Discriminator, Encoder, Generator
from gan_jax.translators import distance
from tests import golden_files

BLOCKS = ('head_0', 'G_middle_0', 'G_middle_1', 'up_0', 'up_1', 'up_2', 'up_3')


class Published:
    """A published network's arrays as variables of ours."""

    def __init__(self, arrays, net, *, evaluating):
        self.arrays = {key.removeprefix(f'p/{net}/'): array for key, array in arrays.items() if key.startswith('p/')}
        self.evaluating = evaluating  # PyTorch then divides by the singular value of the kept vectors

    def layer(self, name):
        """Parameters and spectral vector of a layer."""
        key = f'{name}.weight'
        spectral = {}
        if (weight := self.arrays.get(key)) is None:
            weight, left, right = (self.arrays[f'{key}_{one}'] for one in ('orig', 'u', 'v'))
            if self.evaluating:
                weight = weight / (left @ weight.reshape(len(weight), -1) @ right)
            else:
                spectral = {'normalization': {'u': left}}
        params = {'kernel': golden_files.kernel(weight, 'Conv')}
        if f'{name}.bias' in self.arrays:
            params['bias'] = self.arrays[f'{name}.bias']
        return params, spectral

    def norm(self, name):
        """Parameters and batch statistics of SPADE: the authors' two convolutions are one of ours."""
        both = [self.layer(f'{name}.mlp_{one}')[0] for one in ('gamma', 'beta')]
        whole = {leaf: np.concatenate([one[leaf] for one in both], -1) for leaf in ('kernel', 'bias')}
        params = {'Conv_0': self.layer(f'{name}.mlp_shared.0')[0], 'Conv_1': whole}
        kept = [self.arrays.get(f'{name}.param_free_norm.running_{one}') for one in ('mean', 'var')]
        return params, {} if kept[0] is None else {'BatchNorm_0': dict(zip(('mean', 'var'), kept, strict=True))}

    def generator(self):
        first = 'Dense_0' if self.arrays['fc.weight'].ndim == 2 else 'Conv_0'
        last = 'Conv_0' if first == 'Dense_0' else 'Conv_1'
        params, statistics, spectral = {first: self.layer('fc')[0], last: self.layer('conv_img')[0]}, {}, {}
        if first == 'Dense_0':  # its outputs are channels, rows and columns there
            for leaf, array in params[first].items():
                parts = array.reshape(*array.shape[:-1], -1, 2, 2)
                params[first][leaf] = np.moveaxis(parts, -3, -1).reshape(array.shape)
        for number, name in enumerate(BLOCKS):
            which = [one for one in 's01' if f'{name}.norm_{one}.mlp_gamma.weight' in self.arrays]
            block, kept, vectors = {}, {}, {}
            for i, one in enumerate(which):
                block[f'SpatialNorm_{i}'], kept[f'SpatialNorm_{i}'] = self.norm(f'{name}.norm_{one}')
                block[f'Conv_{i}'], vectors[f'Conv_{i}'] = self.layer(f'{name}.conv_{one}')
            params[f'Block_{number}'], statistics[f'Block_{number}'] = block, kept
            spectral[f'Block_{number}'] = vectors
        return self.variables(params, statistics, spectral)

    def discriminator(self, scales, depth):
        params, spectral = {}, {}
        for scale in range(scales):
            for layer in range(depth + 1):
                ours = f'Conv_{scale * (depth + 1) + layer}'
                inner = '.0' if 0 < layer < depth else ''
                params[ours], spectral[ours] = self.layer(f'discriminator_{scale}.model{layer}.0{inner}')
        return self.variables(params, {}, spectral)

    def variables(self, params, statistics, spectral):
        full = {'params': params, 'batch_stats': statistics, 'spectral': spectral}
        return {name: tree for name, tree in full.items() if jax.tree.leaves(tree)}


def loaded_generator(name, *, evaluating):
    arrays = golden_files.read(name)
    norm = 'instance' if name.endswith('instance') else 'batch'
    module = Generator(width=2, hidden=8, normalization=norm, spectral_iterations=0 if evaluating else 1)
    maps = golden_files.nhwc(arrays['in/seg'])
    latents = arrays.get('in/z', np.zeros((len(maps), 0), np.float32))
    variables = Published(arrays, 'G', evaluating=evaluating).generator()
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), latents, maps, train=False))
    jax.tree.map(lambda here, there: np.testing.assert_equal(here.shape, there.shape), dict(shapes), variables)
    return arrays, module, variables, (latents, maps)


@pytest.mark.parametrize('name', [pytest.param('spade_g64', marks=pytest.mark.slow), 'spade_g64_vae_instance'])
def test_generators_paint_as_the_published_ones(name):
    arrays, module, variables, inputs = loaded_generator(name, evaluating=True)
    images = jax.jit(functools.partial(module.apply, train=False))(variables, *inputs)
    golden_files.assert_close(images, golden_files.nhwc(arrays['out/eval/img']), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['spade_g64', 'spade_g64_vae_instance'])
def test_gradients_of_generators_in_training_are_the_published_ones(name):
    arrays, module, variables, inputs = loaded_generator(name, evaluating=False)
    cotangent = golden_files.nhwc(arrays['in/cotangent'])
    mutable = [one for one in variables if one != 'params']

    @jax.jit
    def value(params):
        images, _ = module.apply({**variables, 'params': params}, *inputs, train=True, mutable=mutable)
        return jnp.mean(images * cotangent), images

    gradients, images = jax.grad(value, has_aux=True)(variables['params'])
    golden_files.assert_close(images, golden_files.nhwc(arrays['out/train/img']), 1e-4)

    def golden(layer):
        return golden_files.kernel(arrays[f'out/train/vjp_grad/{layer}'], 'Conv')

    last = gradients['Block_6']
    shift = np.split(last['SpatialNorm_2']['Conv_1']['kernel'], 2, axis=-1)[1]
    hidden = gradients['Block_0']['SpatialNorm_0']['Conv_0']['kernel']
    golden_files.assert_close(hidden, golden('head_0.norm_0.mlp_shared.0.weight'), 5e-4)
    golden_files.assert_close(gradients['Block_3']['Conv_1']['kernel'], golden('up_0.conv_0.weight_orig'), 5e-4)
    golden_files.assert_close(last['Conv_0']['kernel'], golden('up_3.conv_s.weight_orig'), 5e-4)
    golden_files.assert_close(shift, golden('up_3.norm_1.mlp_beta.weight'), 5e-4)


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_discriminators_judge_as_the_published_ones(mode):
    arrays = golden_files.read('spade_d2')
    evaluating = mode == 'eval'
    module = Discriminator(width=4, spectral_iterations=0 if evaluating else 1)
    variables = Published(arrays, 'D', evaluating=evaluating).discriminator(2, 4)

    @jax.jit
    def discriminate(variables, images):
        if evaluating:
            return module.apply(variables, images, train=False)
        return module.apply(variables, images, train=True, mutable=['spectral'])[0]

    real, fake = (discriminate(variables, golden_files.nhwc(arrays[f'in/{one}'])) for one in ('real', 'fake'))
    for scale in range(2):
        if evaluating:
            for layer in range(4):
                golden = golden_files.nhwc(arrays[f'out/eval/real/scale{scale}/feat{layer}'])
                golden_files.assert_close(real.features[f'scale{scale}/layer{layer}'], golden, 1e-4)
        golden = arrays[f'out/{mode}/real/scale{scale}/feat4'][:, 0]
        np.testing.assert_allclose(real.logits[scale], golden, rtol=0, atol=1e-4 + 2e-5 * np.abs(golden).max())
    if evaluating:  # in training the authors' second pass continues the power iteration
        hinge = losses.hinge()
        each = [hinge.parts(*pair) for pair in zip(real.logits, fake.logits, strict=True)]
        for number, name in enumerate(('D_real', 'D_fake')):
            ours = np.mean([parts[number] for parts in each])
            np.testing.assert_allclose(ours, arrays[f'out/eval/loss/hinge/{name}'], rtol=1e-4)
        found = sum(distance(fake.features[one], real.features[one]) for one in fake.features) / 2
        np.testing.assert_allclose(10 * found, arrays['out/eval/feature_matching'], rtol=1e-4)


def test_the_divergence_of_the_encoder_is_the_published_one_for_each_image():
    arrays = golden_files.read('spade_d2')
    moments = np.stack([arrays['in/mu'], arrays['in/logvar']], axis=1)
    np.testing.assert_allclose(len(moments) * kullback_leibler(moments), arrays['out/kld'], rtol=1e-5)


def parameters(module, *inputs):
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *map(jnp.zeros, inputs), train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes['params']))


@pytest.mark.parametrize(
    ('options', 'sides', 'classes', 'expected'),
    [
        ({'upsamplings': 6}, (256, 512), 36, 93_048_003),  # Cityscapes, with the edges of instances
        ({}, (256, 256), 184, 97_480_899),  # COCO-Stuff, with edges
        ({}, (256, 256), 151, 96_492_483),  # ADE20K
    ],
)
def test_generators_have_the_published_number_of_parameters(options, sides, classes, expected):
    assert parameters(Generator(**options), (1, 0), (1, *sides, classes)) == expected


def test_discriminator_and_encoder_have_the_published_number_of_parameters():
    assert parameters(Discriminator(), (1, 256, 256, 39)) == 5_601_410  # Cityscapes
    convolutions = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 2 * 512 * 512)
    assert parameters(Encoder(), (1, 256, 256, 3)) == convolutions + 2 * 256 * (8192 + 1)


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match='doubles an image 5 times, which cannot make 48x64 pixels: use sides that are'):
        parameters(Generator(), (1, 0), (1, 48, 64, 3))
