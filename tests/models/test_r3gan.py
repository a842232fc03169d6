"""R3GAN's networks against the published implementation, their published sizes, their start."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, losses, penalties
from gan_jax.errors import UserError
from gan_jax.models.r3gan import Discriminator, Generator
from tests import golden_files
from tools.weights import r3gan

GAMMA = {'r3gan_uncond': 1.3, 'r3gan_cond': 0.8}


def state_dict(arrays, net, prefix=None, missing=0.0):
    """The weights of a network; with a prefix of results those, and a number for each that is missing."""
    weights = {name.removeprefix(f'p/{net}/'): array for name, array in arrays.items() if name.startswith(f'p/{net}/')}
    if prefix is None:
        return weights
    return {
        name: array if name.endswith('Kernel') else arrays.get(prefix + name, np.full_like(array, missing))
        for name, array in weights.items()
    }


@functools.cache
def published(name):
    """The golden arrays, our modules and variables, images and conditions."""
    arrays = golden_files.read(name)
    converted = r3gan.networks(state_dict(arrays, 'G'), state_dict(arrays, 'D'))
    modules = build.make_modules(
        converted.config, golden_files.nhwc(arrays['in/real']).shape[1:], num_classes=converted.num_classes
    )
    return (
        arrays,
        converted._replace(variables=jax.tree.map(jnp.array, converted.variables)),
        modules,
        arrays.get('in/c'),
    )


@pytest.mark.parametrize('name', GAMMA)
def test_the_networks_make_and_judge_what_the_published_ones_do(name):
    arrays, (config, variables, classes), modules, condition = published(name)
    assert classes == (None if condition is None else condition.shape[1])
    assert config.latents.size == arrays['in/z'].shape[1]
    assert config.data.size == arrays['out/img'].shape[2]
    for role, module in modules._asdict().items():
        inputs = arrays['in/z'] if role == 'generator' else golden_files.nhwc(arrays['in/real'])
        shapes = jax.eval_shape(lambda m=module, i=inputs: m.init(jax.random.key(0), i, condition, train=False))
        jax.tree.map(lambda ours, theirs: np.testing.assert_equal(theirs.shape, ours.shape), shapes, variables[role])
    generate = jax.jit(functools.partial(modules.generator.apply, train=False))
    discriminate = jax.jit(functools.partial(modules.discriminator.apply, train=False))
    made = generate(variables['generator'], arrays['in/z'], condition)
    golden_files.assert_close(made, golden_files.nhwc(arrays['out/img']))
    for key, images in (('real', arrays['in/real']), ('fake', arrays['out/img'])):
        shown = golden_files.nhwc(images)
        judged = discriminate(variables['discriminator'], shown, condition)
        golden = arrays[f'out/logits_{key}']
        np.testing.assert_allclose(judged.logits, golden, rtol=0, atol=1e-4 + 1e-5 * np.abs(golden).max())
        if key == 'real':
            assert judged.features['stage0'].shape == golden_files.nhwc(arrays['out/D/MainLayers.0.Layers.0']).shape
    if condition is not None:
        by_label = generate(variables['generator'], arrays['in/z'], condition.argmax(1))
        np.testing.assert_allclose(by_label, made, atol=1e-6 * np.abs(made).max())


@pytest.mark.parametrize('name', [pytest.param('r3gan_uncond', marks=pytest.mark.slow), 'r3gan_cond'])
def test_losses_penalties_and_their_gradients_are_the_published_ones(name):
    arrays, (_, variables, _), modules, condition = published(name)
    real, game = golden_files.nhwc(arrays['in/real']), losses.relativistic_pairing()

    def discriminate(params, images):
        return modules.discriminator.apply({'params': params}, images, condition, train=False).logits

    def generate(params):
        return modules.generator.apply({'params': params}, arrays['in/z'], condition, train=False)

    params = {role: variables[role]['params'] for role in variables}

    def generator_loss(own):
        return game.generator(
            discriminate(params['discriminator'], generate(own)), discriminate(params['discriminator'], real)
        )

    def discriminator_loss(own):
        critic, fake = functools.partial(discriminate, own), golden_files.nhwc(arrays['out/img'])
        r1, r2 = penalties.r1(critic, real), penalties.r2(critic, fake)
        loss = game.discriminator(discriminate(own, real), discriminate(own, fake))
        return loss + GAMMA[name] * (r1 + r2), (loss, 2 * r1, 2 * r2)

    value, gradients = jax.jit(jax.value_and_grad(generator_loss))(params['generator'])
    np.testing.assert_allclose(value, arrays['out/g_loss'].mean(), rtol=2e-5)
    of_discriminator = jax.jit(jax.value_and_grad(discriminator_loss, has_aux=True))
    (_, parts), more = of_discriminator(params['discriminator'])
    for part, golden in zip(parts, ('d_loss_adv', 'r1', 'r2'), strict=True):
        np.testing.assert_allclose(part, arrays[f'out/{golden}'].mean(), rtol=5e-5)

    golden = [state_dict(arrays, net, f'out/{net.lower()}_grad/', np.nan) for net in 'GD']
    compared = 0
    for role, theirs in r3gan.networks(*golden).variables.items():
        ours = gradients if role == 'generator' else more
        for one, other in zip(*map(jax.tree.leaves, (ours, _like(ours, theirs['params']))), strict=True):
            if not np.isnan(other).any():
                golden_files.assert_close(one, other, 1e-4)
                compared += 1
    assert compared == sum('_grad/' in key for key in arrays)


def _like(tree, other):
    return jax.tree.map(lambda _, leaf: leaf, tree, other)


def count(module, *arguments):
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), *arguments, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


@pytest.mark.parametrize(
    ('size', 'options', 'classes', 'generator', 'discriminator'),
    [
        (32, {}, 10, 20_781_952, 21_280_512),  # CIFAR-10
        (32, {}, None, 20_732_160, 20_683_776),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (64, {'width': 384}, None, 22_429_824, 22_381_440),  # FFHQ
                (256, {'width': 96}, None, 23_057_952, 23_009_568),
                (32, {'width': 1536, 'max_width': 1536, 'group_size': 32}, 1000, 82_914_304, 86_548_992),  # ImageNet
                (64, {'width': 1536, 'max_width': 1536, 'group_size': 32}, 1000, 103_570_432, 107_205_120),
            )
        ),
    ],
)
def test_published_sizes(size, options, classes, generator, discriminator):
    labels = None if classes is None else jnp.zeros(1, jnp.int32)
    told = {} if classes is None else {'num_classes': classes}
    shape = (size, size, 3)
    how = {'conditioning': 'concatenate'} if classes else {}
    assert count(Generator(shape, **options, **told, **how), jnp.zeros((1, 64)), labels) == generator
    how = {'conditioning': 'projection', 'embedding_size': options.get('width', 768)} if classes else {}
    assert count(Discriminator(**options, **told, **how), jnp.zeros((1, *shape)), labels) == discriminator


def test_the_start_is_that_of_fixup():
    shape = (16, 16, 3)
    module = Discriminator(width=64, max_width=64, num_classes=5, conditioning='projection', embedding_size=200)
    params = jax.jit(lambda: module.init(jax.random.key(0), jnp.zeros((1, *shape)), jnp.zeros(1, int), train=False))()
    params = params['params']
    gain = math.sqrt(2 / 1.04) * 6**-0.25  # two blocks in each of three stages
    assert [name for name in params if name.startswith('Block')] == [f'Block_{i}' for i in range(6)]
    for block in (params['Block_0'], params['Block_5']):
        assert block['Conv_0']['kernel'].std() == pytest.approx(gain / math.sqrt(64), rel=0.03)
        assert block['Conv_1']['kernel'].shape == (3, 3, 16, 128)
        assert block['Conv_1']['kernel'].std() == pytest.approx(gain / math.sqrt(9 * 16), rel=0.03)
        assert not block['Conv_2']['kernel'].any()
    assert params['basis'].std() == pytest.approx(1 / 4, rel=0.1)
    assert params['Dense_0']['kernel'].std() == pytest.approx(1 / 8, rel=0.03)
    assert params['Embedding_0']['table'].std() == pytest.approx((5 * 200) ** -0.5, rel=0.1)
    module = Generator(shape, width=64, max_width=64, num_classes=400, conditioning='concatenate')
    params = jax.jit(lambda: module.init(jax.random.key(0), jnp.zeros((1, 64)), jnp.zeros(1, int), train=False))()
    params = params['params']
    assert params['basis'].std() == pytest.approx(1, rel=0.1)
    assert params['Dense_0']['kernel'].std() == pytest.approx(128**-0.5, rel=0.03)
    assert params['Embedding_0']['table'].std() == pytest.approx(400**-0.5, rel=0.03)


def test_28x28_has_three_stages_from_7_and_computed_groups():
    module = Discriminator(width=12, max_width=40, blocks=(1,))
    images = jnp.zeros((2, 28, 28, 1))
    judged, variables = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), images, train=False))
    assert [value.shape for value in judged.features.values()] == [(2, 28, 28, 12), (2, 14, 14, 24), (2, 7, 7, 40)]
    assert variables['params']['basis'].shape == (7, 7, 40)
    # 24, 48 and 80 channels inside, in groups of at least 16: one of 24, three and five of 16
    assert [variables['params'][f'Block_{i}']['Conv_1']['kernel'].shape[2] for i in range(3)] == [24, 16, 16]
    made = jax.eval_shape(
        lambda: Generator((28, 28, 1), width=4).init_with_output(jax.random.key(0), jnp.zeros((2, 5)), train=False)
    )
    assert made[0].shape == (2, 28, 28, 1)


def test_what_does_not_fit_is_refused():
    for options, words in (
        ({'groups': (1, 2)}, '2 groups (1, 2) do not fit images of shape (16, 16, 3): give one for each of 3 stages.'),
        ({'blocks': (1, 2)}, '2 blocks (1, 2) do not fit images of shape (16, 16, 3): give one for each of 3 stages.'),
        ({'groups': (3, 1, 1)}, 'A convolution from 8 to 8 channels cannot have 3 groups: choose a number'),
    ):
        with pytest.raises(UserError) as error:
            jax.eval_shape(
                lambda options=options: Discriminator(width=4, **options).init(
                    jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False
                )
            )
        assert str(error.value).startswith(words)


def test_a_projection_goes_with_slicing_and_rotations():
    module = Discriminator(width=4, blocks=(1,), num_classes=3, conditioning='projection', slicing=True, rotations=True)
    images, labels = jnp.ones((2, 8, 8, 1)), jnp.arange(2)
    judged, variables = jax.jit(lambda: module.init_with_output(jax.random.key(0), images, labels, train=False))()
    plain = jax.jit(module.clone(slicing=False, rotations=False).apply, static_argnames='train')(
        variables, images, labels, train=False
    )
    for logits in (judged.logits, judged.direction):
        np.testing.assert_allclose(logits, plain.logits, rtol=1e-4)
    assert judged.rotations.shape == (2, 4)
    assert (plain.direction, plain.rotations) == (None, None)


def test_weights_of_other_networks_are_refused():
    arrays = golden_files.read('r3gan_cond')
    weights = state_dict(arrays, 'G')
    alone = r3gan.networks(weights, None).config
    assert alone.discriminator.widths == (8, 8, 12)
    for changes, words in (
        ({'MainLayers.1.Layers.0.Resampler.Kernel': np.ones((4, 4))}, 'its resamplers have the taps [1, 3, 3, 1]'),
        ({'MainLayers.9.Noise.weight': np.ones(3)}, 'have MainLayers.9.Noise.weight, which the network does not have:'),
    ):
        with pytest.raises(UserError) as error:
            r3gan.networks(weights | changes, None)
        assert words in str(error.value)
    with pytest.raises(UserError, match='The weights of the generator have no'):
        r3gan.networks(state_dict(arrays, 'D'), None)
