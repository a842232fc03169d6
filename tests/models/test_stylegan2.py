"""StyleGAN2's networks against the published implementation, and their published sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config, penalties
from gan_jax.errors import UserError
from gan_jax.models.stylegan2 import Discriminator, Generator
from tests import compiled
from tests.golden_files import assert_close, nhwc, read
from tests.slow import slow_but
from tools.weights import stylegan2

GENERATORS = {  # psi; psi, cutoff and mixing place
    'sg2_g_skip_uncond_map2': (0.6, 0.3, 2),
    'sg2_g_skip_cond_map8': (0.7, 0.5, 3),
    'sg2_g_resnet_uncond_map2': (0.6, 0.3, 2),
    'sg2_g_orig_cond_map2': (0.6, 0.3, 2),
    'sg2_g_skip_clamp': (0.6, 0.3, 2),
}
FAST = ('sg2_g_skip_clamp', 'sg2_g_orig_cond_map2', 'sg2_d_orig_uncond')  # the files in tests/golden
GROUPS = {'sg2_d_resnet_cond': 4, 'sg2_d_skip_uncond': 6, 'sg2_d_orig_uncond': 4, 'sg2_d_resnet_nombstd': 0}


def state_dict(arrays, net):
    return {name.removeprefix(f'p/{net}/'): array for name, array in arrays.items() if name.startswith(f'p/{net}/')}


def as_state_dict(arrays, net, prefix):
    """The golden gradients under a prefix as a state dict, NaN where there is none; filters as they are."""
    kept = ('resample_filter', 'noise_const', 'w_avg')
    return {
        name: array if name.endswith(kept) else arrays.get(prefix + name, np.full_like(array, np.nan))
        for name, array in state_dict(arrays, net).items()
    }


def assert_gradients(ours, theirs, count):
    """Those of the golden gradients that are there are equal."""
    compared = 0
    for path, golden in jax.tree_util.tree_leaves_with_path(theirs):
        if not np.isnan(golden).any():
            one = functools.reduce(lambda tree, key: tree[key.key], path, ours)
            assert_close(one, golden, 1e-4)
            compared += 1
    assert compared == count


@functools.cache
def generator(name):
    """The golden arrays, our module, variables, and the condition."""
    arrays = read(name)
    converted = stylegan2.networks(state_dict(arrays, 'G'), None)
    options = converted.config.copy_and_resolve_references()
    options.generator.clamp = 1.25 if name == 'sg2_g_skip_clamp' else 0.0
    shape = nhwc(arrays['out/img_noise_const']).shape[1:]
    assert (converted.config.data.size, converted.config.latents.size) == (shape[0], arrays['in/z'].shape[1])
    module = build.make_modules(options, shape, num_classes=converted.num_classes).generator
    variables = jax.tree.map(jnp.asarray, converted.variables['generator'])
    condition = arrays.get('in/c')
    wanted = jax.eval_shape(lambda: module.init(jax.random.key(0), arrays['in/z'], condition, train=False))
    jax.tree.map(lambda ours, theirs: np.testing.assert_equal(theirs.shape, ours.shape), dict(wanted), variables)
    return arrays, module, variables, condition


@pytest.mark.parametrize('name', slow_but(FAST, GENERATORS))
def test_the_mapping_and_its_truncation_are_the_published_ones(name):
    arrays, module, variables, condition = generator(name)
    psi, low, cutoff = GENERATORS[name]

    def styles(module):
        return compiled.apply(module, variables, arrays['in/z'], condition, train=False, method='styles')

    golden = np.repeat(arrays['out/ws'][:, None], 2 * int(np.log2(module.shape[0])) - 2, 1)
    assert_close(styles(module), golden)
    assert_close(styles(module.clone(psi=psi))[:, -1], arrays['out/ws_psi'])
    assert_close(styles(module.clone(psi=low, cutoff=cutoff)), arrays['out/ws_psi_cutoff'])
    options = {'train': True, 'method': 'styles', 'mutable': ['styles']}
    _, after = compiled.apply(module.clone(mixing=0.0), variables, arrays['in/z'], condition, **options)
    assert_close(after['styles']['average'], arrays['out/w_avg_after_one_train_call'])


@pytest.mark.parametrize('name', slow_but(FAST, GENERATORS))
def test_the_synthesis_is_the_published_one_at_every_resolution(name):
    arrays, module, variables, condition = generator(name)
    _, low, cutoff = GENERATORS[name]

    @jax.jit
    def synthesize(ws):
        options = {'train': False, 'method': 'synthesize', 'capture_intermediates': True}
        images, state = module.apply(variables, ws, mutable=['intermediates'], **options)
        return images, state['intermediates']['synthesis']

    def styles(module, latents):
        return compiled.apply(module, variables, latents, condition, train=False, method='styles')

    ws, other = (styles(module, arrays[f'in/{key}']) for key in ('z', 'z2'))
    images, inside = synthesize(ws)
    assert_close(images, nhwc(arrays['out/img_noise_const']))
    assert_close(images, nhwc(arrays['out/img_noise_const_trainmode']))
    for stage in range(int(np.log2(module.shape[0])) - 1):
        block = inside[f'stage{stage}']['__call__'][0]
        for made, kind in zip(block, ('x', 'img'), strict=True):
            golden = arrays.get(f'out/const/b{4 << stage}_{kind}')
            assert (made is None) == (golden is None)
            if made is not None:
                assert_close(made, nhwc(golden))
    mixed = jnp.concatenate([ws[:, :cutoff], other[:, cutoff:]], axis=1)
    assert_close(synthesize(mixed)[0], nhwc(arrays['out/img_mix_const']))
    truncated = styles(module.clone(psi=low, cutoff=cutoff), arrays['in/z'])
    assert_close(synthesize(truncated)[0], nhwc(arrays['out/img_psi_cutoff_const']))
    silent = jax.jit(functools.partial(module.clone(noise=False).apply, train=False))
    assert_close(silent(variables, arrays['in/z'], condition), nhwc(arrays['out/img_noise_none']))


@pytest.mark.parametrize('name', slow_but(FAST[1:], GENERATORS))
def test_path_lengths_and_all_gradients_are_the_published_ones(name, monkeypatch):
    arrays, module, variables, condition = generator(name)
    directions, before = nhwc(arrays['in/pl_noise_unscaled']), arrays['in/pl_mean']
    monkeypatch.setattr(penalties, '_noise', lambda *_: directions)

    def styles(params):
        return module.apply({**variables, 'params': params}, arrays['in/z'], condition, train=False, method='styles')

    def synthesize(params, ws):
        return module.apply({**variables, 'params': params}, ws, train=False, method='synthesize')

    def penalty(params):
        """That of the published code, where the average is no constant."""
        lengths = penalties.path_lengths(functools.partial(synthesize, params), styles(params), None)
        average = before + 0.01 * (lengths.mean() - before)
        return 2 * ((lengths - average) ** 2).mean(), (lengths, average)

    @jax.jit
    def as_in_training(params):
        return penalties.path_length(functools.partial(synthesize, params), styles(params), before, None)

    _, (lengths, average) = value = jax.jit(penalty)(variables['params'])
    assert_close(lengths, arrays['out/pl_lengths'])
    assert_close(average, arrays['out/pl_mean_new'])
    assert_close(value[0], 2 * arrays['out/pl_penalty'].mean(), 1e-4)
    ours, after = as_in_training(variables['params'])
    assert_close(2 * ours, value[0], 1e-5)
    assert_close(after, arrays['out/pl_mean_new'])

    @jax.jit
    def gradients(params):
        loss = lambda params: (synthesize(params, styles(params)) * directions).mean()  # noqa: E731
        return jax.grad(loss)(params), jax.grad(lambda params: penalty(params)[0])(params)

    for found, kind in zip(gradients(variables['params']), ('vjp', 'pl'), strict=True):
        prefix = f'out/{kind}_grad/'
        golden = stylegan2.networks(as_state_dict(arrays, 'G', prefix), None).variables['generator']['params']
        assert_gradients(found, golden, sum(key.startswith(prefix) for key in arrays))


def as_params(options, arrays):
    return stylegan2.read_discriminator(options, arrays)['params']


@pytest.mark.parametrize('name', slow_but(FAST, GROUPS))
def test_the_discriminator_with_r1_and_its_gradients_is_the_published_one(name):
    arrays, group = read(name), GROUPS[name]
    options = config.base('stylegan2')
    params = as_params(options, state_dict(arrays, 'D'))
    options.discriminator.minibatch_group = group
    shape = nhwc(arrays['in/img']).shape[1:]
    module = build.make_modules(options, shape, num_classes=3 if 'in/c' in arrays else None).discriminator
    images, condition = nhwc(arrays['in/img']), arrays.get('in/c')
    count = len(images)
    order = np.arange(count).reshape(group or count, -1).T.reshape(-1)  # groups of neighbours
    images, condition = images[order], None if condition is None else condition[order]

    def discriminate(params, images):
        return module.apply({'params': params}, images, condition, train=False)

    judged = jax.jit(discriminate)(params, images)
    golden = arrays['out/logits'][order, 0]
    np.testing.assert_allclose(judged.logits, golden, rtol=0, atol=1e-4 + 1e-5 * np.abs(golden).max())
    for stage, features in judged.features.items():
        assert_close(features, nhwc(arrays[f'out/tap/b{4 << int(stage.removeprefix("stage"))}_x'])[order])

    @jax.jit
    def gradients(params):
        def r1(params):
            return penalties.r1(lambda images: discriminate(params, images).logits, images)

        main = jax.grad(lambda params: jax.nn.softplus(-discriminate(params, images).logits).mean())(params)
        return r1(params), main, jax.grad(lambda params: 1.7 * r1(params))(params)

    value, main, of_r1 = gradients(params)
    assert_close(2 * value, arrays['out/r1_penalty'].mean(), 1e-4)
    for found, kind in ((main, 'd'), (of_r1, 'r1')):
        prefix = f'out/{kind}_grad/'
        golden = as_params(options, as_state_dict(arrays, 'D', prefix))
        assert_gradients(found, golden, sum(key.startswith(prefix) for key in arrays))


def count(module, *inputs):
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


CLASSES = {'num_classes': 10}
HALF = {'width': 16384}


@pytest.mark.parametrize(
    ('side', 'options', 'parameters'),
    [
        (32, {'depth': 2}, 19_947_539),
        (32, {'depth': 2, 'conditioning': 'concatenate', **CLASSES}, 20_215_315),
        pytest.param(64, {'depth': 2, **HALF}, 22_243_608, marks=pytest.mark.slow),
        pytest.param(128, HALF, 24_525_213, marks=pytest.mark.slow),
        pytest.param(256, HALF, 24_767_458, marks=pytest.mark.slow),
        (256, HALF | {'architecture': 'original'}, 23_512_528),
        (256, HALF | {'architecture': 'residual'}, 24_470_992),
        pytest.param(256, {}, 30_034_338, marks=pytest.mark.slow),
        pytest.param(512, {}, 30_276_583, marks=pytest.mark.slow),
        pytest.param(1024, {}, 30_370_060, marks=pytest.mark.slow),
        pytest.param(1024, HALF, 24_900_764, marks=pytest.mark.slow),
    ],
)
def test_published_sizes_of_the_generator(side, options, parameters):
    label = [jnp.zeros(1, jnp.int32)] if 'num_classes' in options else []
    assert count(Generator((side, side, 3), **options), jnp.zeros((1, 512)), *label) == parameters


@pytest.mark.parametrize(
    ('side', 'options', 'parameters'),
    [
        (32, {'architecture': 'original'}, 20_720_641),
        (32, {'architecture': 'skip'}, 20_726_785),
        (32, {}, 21_507_073),
        (32, {'architecture': 'original', 'conditioning': 'projection', **CLASSES}, 23_089_664),
        (32, {'architecture': 'original', 'conditioning': 'projection', 'depth': 0, **CLASSES}, 20_988_416),
        pytest.param(64, HALF, 23_407_361, marks=pytest.mark.slow),
        pytest.param(128, HALF, 23_882_369, marks=pytest.mark.slow),
        pytest.param(256, HALF, 24_001_089, marks=pytest.mark.slow),
        pytest.param(256, HALF | {'architecture': 'original'}, 23_042_625, marks=pytest.mark.slow),
        pytest.param(256, HALF | {'architecture': 'skip'}, 23_052_353, marks=pytest.mark.slow),
        pytest.param(256, {}, 28_864_129, marks=pytest.mark.slow),
        pytest.param(512, {}, 28_982_849, marks=pytest.mark.slow),
        pytest.param(1024, {}, 29_012_513, marks=pytest.mark.slow),
        pytest.param(1024, HALF, 24_038_161, marks=pytest.mark.slow),
    ],
)
def test_published_sizes_of_the_discriminator(side, options, parameters):
    label = [jnp.zeros(1, jnp.int32)] if 'num_classes' in options else []
    assert count(Discriminator(**options), jnp.zeros((1, side, side, 3)), *label) == parameters


def test_low_resolutions_and_images_stay_float32_in_sixteen_bits():
    module = Generator((256, 256, 3), width=256, max_width=4, w_size=4, depth=1, dtype=jnp.bfloat16)

    def make():
        latents = jnp.ones((1, 4))
        variables = module.init(jax.random.key(0), latents, train=False)
        return module.apply(variables, latents, train=False, capture_intermediates=True, mutable=['intermediates'])

    images, state = jax.eval_shape(make)
    blocks = [state['intermediates']['synthesis'][f'stage{i}']['__call__'][0] for i in range(7)]
    assert [hidden.dtype for hidden, _ in blocks] == [jnp.float32] * 3 + [jnp.bfloat16] * 4
    assert {image.dtype for _, image in blocks} == {images.dtype} == {jnp.dtype(jnp.float32)}


def test_weights_of_other_networks_are_refused():
    weights = state_dict(read('sg2_g_orig_cond_map2'), 'G')
    for changes, words in (
        ({'synthesis.b4.conv1.resample_filter': np.eye(4)}, 'is not the published filter'),
        ({'synthesis.b8.magic': np.eye(4)}, 'have synthesis.b8.magic, which the network does not have:'),
    ):
        with pytest.raises(UserError, match=words):
            stylegan2.networks(weights | changes, None)
    with pytest.raises(UserError, match='The weights of the discriminator have no stages'):
        stylegan2.networks(weights, weights)


def test_options_that_the_networks_would_not_follow_are_refused():
    for options, words in (
        ({'normalization': 'batch'}, "generator.normalization is 'batch'; it must be 'none' in a StyleGAN2"),
        ({'architecture': 'orig'}, 'architecture'),
    ):
        with pytest.raises(UserError, match=words):
            jax.eval_shape(
                lambda options=options: Generator((8, 8, 1), **options).init(
                    jax.random.key(0), jnp.zeros((1, 4)), train=False
                )
            )
