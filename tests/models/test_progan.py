"""ProGAN: outputs and gradients of a published implementation, parameter counts, growth."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.errors import UserError
from gan_jax.layers.minibatch import minibatch_deviation
from gan_jax.layers.progress import with_share
from gan_jax.layers.resampling import faded
from gan_jax.models.progan import Discriminator, Generator
from gan_jax.training import phases
from tests import compiled
from tests.golden_files import assert_close, nhwc, read
from tests.growing import count_published
from tests.slow import slow_but

WIDTHS = {'progan_16_b6': (10, 8, 6), 'progan_32': (12, 12, 8, 6)}
OLD_SHARE = {'progan_16_b6': 0.75, 'progan_32': 0.3}  # of the stage before, while the last fades in
GROUP = {'progan_16_b6': 6, 'progan_32': 4}
CASES = slow_but(('progan_16_b6',), WIDTHS)


def layer_of(name):
    """Our name of a layer of the golden files, and the gain that ours has."""
    kind, *numbers = name.removesuffix('.module').split('.')
    number = int(numbers[0]) if numbers else 0
    if kind == 'scaleLayers':
        return f'stage{number + 1}_{("first", "second")[int(numbers[1])]}', 2**0.5
    return {
        'toRGBLayers': (f'image{number}', 1.0),
        'fromRGBLayers': (f'image{number}', 2**0.5),
        'formatLayer': ('latents', 2**0.5 / 4),
        'groupScale0': ('stage0_convolution', 2**0.5),
        'groupScaleZero': (('stage0_convolution', 'stage0_dense')[number % 2], 2**0.5),
        'decisionLayer': ('logits', 1.0),
    }[kind]


def ours(name, weight, group):
    """A weight of the golden files (scaled there by sqrt(2 / fan-in)) as our kernel; also for gradients, inverted."""
    layer, gain = layer_of(name)
    kernel = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
    if name.startswith('groupScaleZero.1'):  # of [C, 4, 4]
        kernel = kernel.reshape(-1, 4, 4, kernel.shape[-1]).transpose(1, 2, 0, 3).reshape(kernel.shape)
    if layer == 'latents':  # to [C, 4, 4]
        kernel = kernel.reshape(len(kernel), -1, 4, 4).transpose(0, 2, 3, 1).reshape(kernel.shape)
    scale = np.full(kernel.shape, 2**0.5 / gain, np.float32)
    if name.startswith('groupScaleZero.0'):  # its last input is a deviation of unbiased variance
        scale[:, :, -1] *= (group / (group - 1)) ** 0.5
    return layer, kernel, scale


def load(arrays, network, group):
    """Our parameters of a network with the golden weights, and the bias of the latents' layer, one a unit there."""
    params, latents_bias = {}, None
    for key, weight in arrays.items():
        if not key.startswith(f'p/{network}/') or not key.endswith('weight'):
            continue
        name = key.removeprefix(f'p/{network}/').removesuffix('.weight')
        layer, kernel, scale = ours(name, weight, group)
        fan_in = kernel[..., 0].size
        bias = arrays[key.replace('weight', 'bias')] * (2 / fan_in) ** 0.5
        params[layer] = {'kernel': kernel * scale}
        if layer == 'latents':
            latents_bias = bias.reshape(-1, 4, 4).transpose(1, 2, 0).reshape(-1)
            params['latents_bias'] = np.zeros(len(bias) // 16, np.float32)
        else:
            params[layer]['bias'] = bias
    return params, latents_bias


@pytest.mark.parametrize('fading', [False, True])
@pytest.mark.parametrize('name', CASES)
def test_the_generator_is_the_published_one(name, fading):
    arrays, widths = read(name), WIDTHS[name]
    params, latents_bias = load(arrays, 'G', GROUP[name])
    side = 4 << (len(widths) - 1)
    module = Generator((side, side, 3), widths=widths, fade=0.5 if fading else 0.0)
    variables = {'progress': {'share': jnp.float32((1 - OLD_SHARE[name]) * 0.5)}} if fading else {}

    def add_bias(call, args, kwargs, context):
        made = call(*args, **kwargs)
        is_latents = context.method_name == '__call__' and context.module.name == 'latents'
        return made + latents_bias if is_latents else made

    def images(params):
        with nn.intercept_methods(add_bias):
            return module.apply({'params': params, **variables}, arrays['in/z'], train=False)

    def value(params):
        made = images(params)
        return (made * nhwc(arrays['in/cotangent'])).mean(), made

    found = jax.grad(value, has_aux=True) if fading else lambda params: (None, images(params))
    gradients, made = jax.jit(found)(params)
    assert_close(made, nhwc(arrays['out/G/alpha/img' if fading else 'out/G/alpha0/img']))
    if fading:
        for key, golden in arrays.items():
            if key.startswith('out/G/vjp_grad/'):
                assert_gradient(gradients, key.removeprefix('out/G/vjp_grad/'), golden, GROUP[name])


def assert_gradient(gradients, name, golden, group):
    layer, _, leaf = name.rpartition('.')
    if leaf == 'weight':
        layer, expected, scale = ours(layer, golden, group)
        assert_close(gradients[layer]['kernel'] * scale, expected, 1e-4)
    else:
        found = gradients[layer_of(layer)[0]]
        assert_close(found['bias'] * (2 / found['kernel'][..., 0].size) ** 0.5, golden, 1e-4)


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('fading', [False, True])
def test_the_discriminator_and_its_gradient_penalty_are_the_published_ones(name, fading):
    arrays, widths, at = read(name), WIDTHS[name], 'alpha' if fading else 'alpha0'
    params, _ = load(arrays, 'D', GROUP[name])
    module = Discriminator(widths=widths, fade=0.5 if fading else 0.0, minibatch_group=GROUP[name])
    variables = {'progress': {'share': jnp.float32((1 - OLD_SHARE[name]) * 0.5)}} if fading else {}

    @jax.jit
    def logits(params, images):
        return module.apply({'params': params, **variables}, images, train=False).logits

    real, fake = nhwc(arrays['in/real']), nhwc(arrays['in/fake'])
    for kind, images in (('real', real), ('fake', fake)):
        golden = arrays[f'out/D/{at}/logits_{kind}'][:, 0]
        np.testing.assert_allclose(logits(params, images), golden, rtol=0, atol=1e-4 + 1e-5 * np.abs(golden).max())
    mixed = arrays['in/gp_alpha'] * real + (1 - arrays['in/gp_alpha']) * fake

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def penalty(params):
        slopes = jax.grad(lambda images: logits(params, images).sum())(mixed)
        norms = jnp.sqrt((slopes**2).sum((1, 2, 3)))
        return 10 * ((norms - 1) ** 2).mean(), norms

    (value, norms), gradients = penalty(params)
    assert_close(norms, arrays[f'out/D/{at}/gp_norms'], 1e-4)
    assert_close(value, arrays[f'out/D/{at}/gp'], 1e-4)
    prefix = f'out/D/{at}/gp_grad/'
    checked = [key for key in arrays if key.startswith(prefix)]
    assert len(checked) == 5
    for key in checked:
        assert_gradient(gradients, key.removeprefix(prefix), arrays[key], GROUP[name])


def test_the_deviation_of_groups_is_the_published_one():
    arrays = read('progan_16_b6')
    images = np.concatenate([nhwc(arrays['in/real']), 1.5 * nhwc(arrays['in/fake'])])
    for size in (2, 4):
        ours = minibatch_deviation(jnp.asarray(images), size)[:, 0, 0, -1]
        assert_close(ours * (size / (size - 1)) ** 0.5, arrays[f'out/mbstd/sub{size}'])


PUBLISHED = {  # with the layers to and from the image of all stages
    32: (20_719_628, 20_726_785),
    64: (22_490_383, 22_498_049),
    128: (22_933_394, 22_941_313),
    1024: (23_079_115, 23_087_249),
}


@pytest.mark.parametrize('side', slow_but((32,), PUBLISHED))
def test_published_counts(side):
    assert count_published(Generator((side, side, 3)), Discriminator(), side) == PUBLISHED[side]


def grown(share):
    """Networks of 8x8, and those of 16x16 that have their layers, at a share of a phase in which they fade in."""
    small, large = Generator((8, 8, 1), width=64, fade=0.5), Generator((16, 16, 1), width=64, fade=0.5)
    latents = jax.random.normal(jax.random.key(1), (4, 5))
    images = jax.random.normal(jax.random.key(2), (4, 16, 16, 1))
    before = dict(compiled.init(small, jax.random.key(3), latents, train=False))
    after = dict(compiled.init(large, jax.random.key(4), latents, train=False))
    params = {name: before['params'].get(name, leaf) for name, leaf in after['params'].items()}
    variables = with_share({'progress': after['progress']}, jnp.float32(share))
    whole = compiled.apply(small, with_share(before, jnp.float32(1.0)), latents, train=False)
    return whole, compiled.apply(large, {'params': params, **variables}, latents, train=False), images


def test_what_has_not_faded_in_changes_nothing():
    whole, enlarged, images = grown(share=0.0)
    np.testing.assert_allclose(enlarged, whole.repeat(2, 1).repeat(2, 2), rtol=1e-5, atol=1e-6)
    critics = [Discriminator(width=64, fade=0.5), Discriminator(width=64, fade=0.5)]
    coarse = images.reshape(4, 8, 2, 8, 2, 1).mean((2, 4))
    before, after = (
        dict(compiled.init(critic, jax.random.key(i), seen, train=False))
        for i, (critic, seen) in enumerate(zip(critics, (coarse, images), strict=True))
    )
    params = {name: before['params'].get(name, leaf) for name, leaf in after['params'].items()}
    old = compiled.apply(critics[0], with_share(before, jnp.float32(0.5)), coarse, train=False).logits
    new = compiled.apply(critics[1], {'params': params, 'progress': after['progress']}, images, train=False).logits
    np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)


def test_at_the_end_of_its_share_only_the_new_layers_make_the_image():
    whole, half, _ = grown(share=0.5)
    _, late, _ = grown(share=0.9)
    np.testing.assert_array_equal(half, late)
    assert np.abs(half - whole.repeat(2, 1).repeat(2, 2)).max() > 0.01


def test_real_images_go_from_half_their_resolution_to_all_of_it():
    images = jax.random.normal(jax.random.key(0), (2, 4, 6, 1))
    coarse = np.asarray(images).reshape(2, 2, 2, 3, 2, 1).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(faded(images, jnp.float32(0)), coarse, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(faded(images, jnp.float32(1)), images, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(faded(images, jnp.float32(0.25)), 0.75 * coarse + 0.25 * images, rtol=1e-5, atol=1e-6)


def test_the_config_grows_to_the_size_asked_for():
    whole = config.load('configs/progan.py:cifar10')
    levels = phases.line_up(config.split(whole))
    assert [level.data.size for level in levels] == [4, 8, 16, 32]
    assert [level.batch_size for level in levels] == [128, 128, 128, 64]
    assert [round(level.phase.images, -3) for level in levels] == [0, 600_000, 1_800_000, 3_000_000]
    assert [level.generator.fade for level in levels] == [0.0, 0.5, 0.5, 0.5]
    assert round(phases.end(levels[-1]) * 64 - levels[-1].phase.steps * 64 + levels[-1].phase.images, -3) == 12_000_000
    decay = build.optim.ema_decay(levels[-1].ema.half_life_kimg, 0.0, 64)
    assert float(decay(jnp.int32(5))) == pytest.approx(0.999, abs=1e-5)
    with pytest.raises(UserError, match='A ProGAN grows to 4, 8'):
        config.load('configs/progan.py:cifar10,33')


def test_images_whose_sides_are_odd_cannot_fade():
    with pytest.raises(UserError, match='real_fade halves the resolution, but the images have shape'):
        build.make_game(config.load('configs/progan.py'), (7, 7, 1))


@pytest.mark.parametrize(
    ('override', 'sentence'),
    [
        ('discriminator.minibatch=discrimination', "discriminator.minibatch is 'discrimination'; it must be"),
        ('generator.initializer=he', "generator.initializer is 'he'; it must be 'normal' with an equalised"),
        ('discriminator.normalization=batch', "discriminator.normalization is 'batch'; it must be 'none' in a ProGAN"),
        ('generator.widths=(4,)', r'generator.widths is \(4,\); it must be a width of the base and of each stage'),
    ],
)
def test_options_that_the_networks_would_not_follow_are_refused(override, sentence):
    options = config.load('configs/progan.py', [override])
    with pytest.raises(UserError, match=sentence):
        build.make_game(options, (16, 16, 1))
