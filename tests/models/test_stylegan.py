"""StyleGAN's networks against a port that loads the published weights, and their published sizes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.errors import UserError
from gan_jax.layers.progress import with_share
from gan_jax.models.stylegan import Discriminator, Generator, StyledLayer
from gan_jax.training import phases
from tests import compiled
from tests.golden_files import assert_close, nhwc, read
from tests.growing import count_published
from tests.slow import slow_but
from tools.weights import stylegan

PREFIXES = {'M': 'g_mapping.', 'G': 'g_synthesis.', 'T': 'truncation.', 'D': ''}
PSI, CUTOFF, PLACE = 0.7, 4, 3  # of the golden outputs; from that layer on mixing has the other styles


def state_dict(arrays, *nets):
    """The golden weights of some networks under their names in the port's files."""
    return {
        PREFIXES[net] + name.removeprefix(f'p/{net}/'): array
        for net in nets
        for name, array in arrays.items()
        if name.startswith(f'p/{net}/')
    }


@functools.cache
def published():
    """The golden arrays, and our networks and variables; the generator's constant noise is the golden one."""
    arrays = read('stylegan1_32')
    made = stylegan.networks(state_dict(arrays, 'M', 'G', 'T'), state_dict(arrays, 'D'))
    modules = build.make_modules(made.config, nhwc(arrays['in/real']).shape[1:])
    variables = jax.tree.map(jnp.asarray, dict(made.variables))
    for module, role, inputs in (
        (modules.generator, 'generator', 'z'),
        (modules.discriminator, 'discriminator', 'real'),
    ):
        given = arrays['in/z'] if inputs == 'z' else nhwc(arrays['in/real'])
        wanted = jax.eval_shape(functools.partial(module.init, train=False), jax.random.key(0), given)
        jax.tree.map(lambda a, b: np.testing.assert_equal(b.shape, a.shape), dict(wanted), variables[role])
    for i in range(8):
        place = variables['generator']['noise']['synthesis'][f'stage{i // 2}_{("first", "second")[i % 2]}']
        place['noise']['constant'] = jnp.asarray(arrays[f'in/noise{i}'][:, 0])  # for each image its own
    return arrays, modules.generator, modules.discriminator, variables


def styles(latents, **options):
    _, module, _, variables = published()
    return compiled.apply(module.clone(**options), variables['generator'], latents, train=False, method='styles')


def test_the_mapping_and_its_truncation_are_the_published_ones():
    arrays, *_ = published()
    assert_close(styles(arrays['in/z']), np.repeat(arrays['out/w'][:, None], 8, 1))
    assert_close(styles(arrays['in/z'], psi=PSI, cutoff=CUTOFF), arrays['out/ws_trunc'])


def test_the_synthesis_is_the_published_one_at_every_resolution():
    arrays, module, _, variables = published()

    @jax.jit
    def synthesize(ws):
        options = {'train': False, 'method': 'synthesize', 'capture_intermediates': True, 'mutable': ['intermediates']}
        images, state = module.apply(variables['generator'], ws, **options)
        return images, state['intermediates']['synthesis']

    ws = styles(arrays['in/z'])
    images, inside = synthesize(ws)
    assert_close(images, nhwc(arrays['out/eps1e-8/img']))
    for ours, theirs in (
        ('stage0_second', '4x4'),
        ('stage1_first', '8x8.epi1'),
        ('stage1_second', '8x8'),
        ('stage2_second', '16x16'),
        ('stage3_second', '32x32'),
    ):
        assert_close(inside[ours]['__call__'][0], nhwc(arrays[f'out/eps1e-8/blocks.{theirs}']))
    up = (
        inside['stage1_first']['convolution']['__call__'][0]
        + variables['generator']['params']['synthesis']['stage1_first']['bias']
    )
    assert_close(up, nhwc(arrays['out/eps1e-8/blocks.8x8.conv0_up']))
    truncated = styles(arrays['in/z'], psi=PSI, cutoff=CUTOFF)
    assert_close(synthesize(truncated)[0], nhwc(arrays['out/eps1e-8/img_trunc']))
    mixed = jnp.concatenate([ws[:, :PLACE], styles(arrays['in/z2'])[:, PLACE:]], axis=1)
    assert_close(synthesize(mixed)[0], nhwc(arrays['out/eps1e-8/img_mix3']))


def test_the_discriminator_and_the_gradients_of_its_penalty_are_the_published_ones():
    arrays, _, module, variables = published()
    images = nhwc(arrays['in/real'])

    @jax.jit
    def judged(params, images):
        return module.apply({'params': params}, images, train=False)

    def r1(params):
        gradients = jax.grad(lambda images: judged(params, images).logits.sum())(images)
        return (gradients**2).sum((1, 2, 3))

    params = variables['discriminator']['params']
    made = judged(params, images)
    np.testing.assert_allclose(made.logits, arrays['out/D/logits'][:, 0], rtol=0, atol=1e-4)
    for stage, size in ((3, 32), (2, 16), (1, 8)):
        assert_close(made.features[f'stage{stage}'], nhwc(arrays[f'out/D/{size}x{size}']))
    assert_close(jax.jit(r1)(params), arrays['out/D/r1'], 1e-4)
    found = jax.jit(jax.grad(lambda params: 5 * r1(params).mean()))(params)
    names = {
        'fromrgb': 'image3',
        '32x32.conv0': 'stage3_first',
        '8x8.conv1_down': 'stage1_second',
        '4x4.conv': 'stage0_convolution',
        '4x4.dense1': 'logits',
    }
    for theirs, ours in names.items():
        golden = arrays[f'out/D/r1_grad/{theirs}.weight']
        golden = golden.transpose(2, 3, 1, 0) if golden.ndim == 4 else golden.T
        assert_close(found[ours]['kernel'], golden, 1e-4)


def test_kernels_that_the_port_keeps_flipped_are_turned():
    arrays, *_ = published()
    renamed = {name.replace('32x32', '128x128'): array for name, array in state_dict(arrays, 'M', 'G', 'T').items()}
    kernels = [
        stylegan.networks(weights, None).variables['generator']['params']['synthesis']['stage3_first']['convolution']
        for weights in (state_dict(arrays, 'M', 'G', 'T'), renamed)
    ]
    np.testing.assert_array_equal(kernels[0]['kernel'], kernels[1]['kernel'][::-1, ::-1])


def test_weights_of_other_networks_are_refused():
    arrays, *_ = published()
    weights = state_dict(arrays, 'M', 'G')
    for changes, words in (
        ({'g_synthesis.blocks.8x8.conv0_up.intermediate.kernel': np.eye(3)}, 'is not the published filter'),
        ({'g_synthesis.magic': np.eye(4)}, 'have g_synthesis.magic, which the network does not have:'),
    ):
        with pytest.raises(UserError, match=words):
            stylegan.networks(weights | changes, None)
    with pytest.raises(UserError, match='The weights of the discriminator have no stages'):
        stylegan.networks(weights, weights)


PUBLISHED = {  # with the layers to and from the image of all stages
    32: (22_841_356, 20_726_785),
    64: (25_137_935, 22_498_049),
    128: (25_843_858, 22_941_313),
    256: (26_086_229, 23_052_353),
    1024: (26_219_627, 23_087_249),
}


@pytest.mark.parametrize('side', slow_but((32,), PUBLISHED))
def test_published_counts(side):
    assert count_published(Generator((side, side, 3)), Discriminator(), side) == PUBLISHED[side]


def test_a_stage_that_has_not_faded_in_changes_nothing():
    options = {'width': 64, 'w_size': 6, 'depth': 1, 'fade': 0.5, 'blur': True}
    small, large = Generator((8, 8, 1), **options), Generator((16, 16, 1), **options)
    latents = jax.random.normal(jax.random.key(1), (4, 5))
    before, after = (dict(compiled.init(one, jax.random.key(3), latents, train=False)) for one in (small, large))
    whole = compiled.apply(small, with_share(before, jnp.float32(1.0)), latents, train=False)

    @jax.jit
    def grown(share):
        old = before['params']['synthesis']
        kept = {name: old.get(name, leaf) for name, leaf in after['params']['synthesis'].items()}
        params = {'mapping': before['params']['mapping'], 'synthesis': kept}
        return large.apply(with_share({**after, 'params': params}, jnp.float32(share)), latents, train=False)

    np.testing.assert_allclose(grown(0.0), whole.repeat(2, 1).repeat(2, 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(grown(0.5), grown(0.9))
    assert np.abs(grown(0.5) - grown(0.0)).max() > 0.01


def test_the_simple_form_has_neither_noise_nor_filters():
    module = Generator((8, 8, 1), width=32, max_width=4, blur=False, noise_layers=False, mixing=0.0, rate=1.0)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 512)), train=False))
    assert set(shapes) == {'params', 'styles'}
    assert set(shapes['params']['mapping']) == {f'layer{i}' for i in range(8)}
    assert {leaf['kernel'].shape for leaf in shapes['params']['mapping'].values()} == {(512, 512)}
    layers = shapes['params']['synthesis']
    assert set(layers['stage1_first']) == set(layers['stage1_second']) == {'convolution', 'bias', 'style'}


def test_adain_gives_each_channel_the_mean_and_deviation_of_its_style():
    layer, images = StyledLayer(3), jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
    w = jax.random.normal(jax.random.key(1), (2, 5))
    variables = compiled.init(layer, jax.random.key(2), images, w, train=False)
    affine = w @ variables['params']['style']['kernel'] / 5**0.5
    made = compiled.apply(layer, variables, images, w, train=False)
    np.testing.assert_allclose(made.std((1, 2)), np.abs(1 + affine[:, :3]), rtol=1e-4)
    np.testing.assert_allclose(made.mean((1, 2)), affine[:, 3:], rtol=1e-4, atol=1e-6)


def test_the_normalisation_is_no_option():
    with pytest.raises(UserError, match=r"generator\.normalization is 'batch'; it must be 'none' in a StyleGAN"):
        jax.eval_shape(
            lambda: Generator((8, 8, 1), normalization='batch').init(jax.random.key(0), jnp.zeros((1, 4)), train=False)
        )


def test_the_config_grows_from_8x8_as_published():
    levels = phases.line_up(config.split(config.load('configs/stylegan.py:folder:/faces,1024')))
    assert [level.data.size for level in levels] == [8, 16, 32, 64, 128, 256, 512, 1024]
    assert [level.batch_size for level in levels] == [256, 128, 64, 32, 32, 32, 32, 32]
    rates = [level.discriminator_optimizer.learning_rate for level in levels]
    assert rates == [0.001, 0.001, 0.001, 0.001, 0.0015, 0.002, 0.003, 0.003]
    assert [(level.generator.fade, level.real_fade) for level in levels] == [(0.0, 0.0)] + 7 * [(0.5, 0.5)]
    images = [later.phase.images - one.phase.images for one, later in itertools.pairwise(levels)]
    np.testing.assert_allclose(images, [600_000] + 6 * [1_200_000], rtol=1e-3)
    assert levels[-1].duration == '17200 kimg'
    with pytest.raises(UserError, match='A StyleGAN grows to 8, 16'):
        config.load('configs/stylegan.py:cifar10,4')
