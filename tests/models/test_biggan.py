"""BigGAN and BigGAN-deep against outputs of the published implementation, and their sizes."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gan_jax import build, losses, models
from gan_jax.errors import UserError
from gan_jax.models import biggan, biggan_deep
from gan_jax.runtime.compiler import ONCE
from tests import golden_files
from tests.slow import slow_but
from tools.weights import biggan_pytorch

GENERATORS = ('biggan_g32_hier', 'biggan_deep_g32', 'biggan_g32_noshare', 'biggan_g64_hier_attn32')
DISCRIMINATORS = {'biggan_d32_attn16': 32, 'biggan_deep_d32': 32, 'biggan_d64_narrow_attn32': 64}


quickly = functools.partial(jax.jit, compiler_options=ONCE)
MUTABLE = ['batch_stats', 'spectral']


def state_dict(arrays, net, changes=''):
    """The network's arrays before the passes, or with those that a prefix of the outputs names in their place."""

    def below(prefix):
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    return below(f'p/{net}/') | (below(f'out/{changes}/') if changes else {})


def gradients_of(arrays, net, kind, read):
    """The golden gradients as ours: NaN where there is none."""
    dict_of = state_dict(arrays, net)
    golden = {name: np.full_like(array, np.nan) for name, array in dict_of.items()} | {
        name: array for name, array in state_dict(arrays, net, kind).items() if f'out/{kind}/{name}' in arrays
    }
    zero = read({name: np.zeros_like(array) for name, array in dict_of.items()})
    return jax.tree.map(np.subtract, read(golden).variables['params'], zero.variables['params'])


def assert_gradients(ours, golden, count):
    pairs = list(zip(jax.tree.leaves(ours), jax.tree.leaves(golden), strict=True))
    known = [(mine, theirs) for mine, theirs in pairs if np.isfinite(theirs).all()]
    assert len(known) == count
    for mine, theirs in known:
        golden_files.assert_close(mine, theirs, 2e-4)


def module_of(role, read, **options):
    return models.network(read.family, role)(num_classes=read.num_classes, **read.options, **options)


def assert_same_shapes(module, variables, *inputs):
    made = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))
    jax.tree.map(lambda here, there: np.testing.assert_equal(here.shape, there.shape), dict(made), variables)


@pytest.mark.parametrize('name', slow_but(GENERATORS[:3], GENERATORS))
def test_generators_make_the_published_images(name):
    arrays, read, module, inputs = a_generator(name)
    assert_same_shapes(module, read.variables, *inputs)
    images = quickly(functools.partial(module.apply, train=False))(read.variables, *inputs)
    golden_files.assert_close(images, golden_files.nhwc(arrays['out/eval/img']), 1e-4)


@pytest.mark.parametrize('name', slow_but(GENERATORS[:1], GENERATORS))
def test_generators_train_as_the_published_ones(name):
    """Three passes with what they leave behind, gradients, and samples thereafter."""
    arrays, read, module, inputs = a_generator(name)
    cotangent = golden_files.nhwc(arrays['in/cotangent'])

    @quickly
    def training(params, variables):
        def value(params):
            images, after = module.apply({'params': params, **variables}, *inputs, train=True, mutable=MUTABLE)
            return jnp.mean(images * cotangent), (images, after)

        return jax.grad(value, has_aux=True)(params)

    params, variables = read.variables['params'], {name: read.variables[name] for name in MUTABLE}
    for k in (1, 2, 3):
        gradients, (images, variables) = training(params, variables)
        golden = np.tanh(golden_files.nhwc(arrays[f'out/train{k}/output_layer']))
        golden_files.assert_close(images, golden, 1e-4)
        if k == 1:
            golden = gradients_of(arrays, 'G', 'vjp_grad', biggan_pytorch.convert_generator)
            assert_gradients(gradients, golden, sum('vjp_grad' in key for key in arrays))

    wanted = biggan_pytorch.convert_generator(state_dict(arrays, 'G', 'train_after')).variables
    jax.tree.map(golden_files.assert_close, variables['spectral'], wanted['spectral'])
    start = read.variables['batch_stats']
    for path, ours in traverse_util.flatten_dict(variables['batch_stats']).items():
        old, golden = (traverse_util.flatten_dict(tree)[path] for tree in (start, wanted['batch_stats']))
        factor = 1.0
        if path[-1] == 'var' and 'noshare' not in name:  # PyTorch's is the unbiased variance of `count` values
            count = len(images) * height_at(path, read) ** 2
            factor = count / (count - 1)
        golden_files.assert_close(0.9**3 * old + factor * (ours - 0.9**3 * old), golden, 1e-4)

    images = quickly(functools.partial(module.apply, train=False))({**wanted, 'params': params}, *inputs)
    golden = np.tanh(golden_files.nhwc(arrays['out/eval_after/output_layer']))
    golden_files.assert_close(images, golden, 1e-4)


def a_generator(name):
    """The golden arrays, what the converter reads of them, our module, and its inputs."""
    arrays = golden_files.read(name)
    read = biggan_pytorch.convert_generator(state_dict(arrays, 'G'))
    module = module_of('generator', read, shape=(read.size, read.size, 3))
    return arrays, read, module, (arrays['in/z'], arrays['in/y'].astype(np.int32))


def height_at(path, read):
    """The height of what a batch normalisation sees, by its path."""
    found = re.match(r'block(\d+)(?:_(\d+))?', path[0])
    if found is None:
        return read.size
    number = int(path[1].removeprefix('BatchNorm_'))
    doubled = (found[2] == '1' and number >= 2) if found[2] else number == 1
    return 4 << (int(found[1]) + doubled)


@pytest.mark.parametrize('name', slow_but(('biggan_d32_attn16', 'biggan_deep_d32'), DISCRIMINATORS))
def test_discriminators_give_the_published_logits(name):
    arrays, read, module, real, fake = a_discriminator(name)
    assert_same_shapes(module, read.variables, *real)
    discriminate = quickly(functools.partial(module.apply, train=False))
    assert_logits(discriminate(read.variables, *real), arrays['out/eval/logits_real'])
    assert_logits(discriminate(read.variables, *fake), arrays['out/eval/logits_fake'])


@pytest.mark.parametrize('name', slow_but(('biggan_d32_attn16',), DISCRIMINATORS))
def test_discriminators_train_as_the_published_ones(name):
    """Three passes with what they leave behind, the hinge loss and its gradients, and the logits thereafter."""
    arrays, read, module, real, fake = a_discriminator(name)
    params, vectors = read.variables['params'], read.variables['spectral']

    def passing(params, vectors, images, labels):
        whole = {'params': params, 'spectral': vectors}
        return module.apply(whole, images, labels, train=True, mutable=['spectral'])

    @quickly
    @jax.value_and_grad
    def training(params):
        real_judgement, updated = passing(params, vectors, *real)
        fake_judgement, _ = passing(params, updated['spectral'], *fake)
        return losses.hinge().discriminator(real_judgement.logits, fake_judgement.logits, None)

    loss, gradients = training(params)
    golden_files.assert_close(loss, arrays['out/hinge_real'] + arrays['out/hinge_fake'])
    golden = gradients_of(arrays, 'D', 'd_grad', lambda found: biggan_pytorch.convert_discriminator(found, read.size))
    assert_gradients(gradients, golden, sum('d_grad' in key for key in arrays))

    step = quickly(passing)
    for k in (1, 2, 3):
        judged, updated = step(params, vectors, *real)
        assert_logits(judged, arrays[f'out/train{k}/logits_real'])
        vectors = updated['spectral']
    after = state_dict(arrays, 'D', 'train_after')
    wanted = biggan_pytorch.convert_discriminator(after, read.size).variables['spectral']
    jax.tree.map(golden_files.assert_close, vectors, wanted)
    judged = quickly(functools.partial(module.apply, train=False))({'params': params, 'spectral': wanted}, *real)
    assert_logits(judged, arrays['out/eval_after/logits_real'])


def a_discriminator(name):
    """The golden arrays, what the converter reads of them, our module, and the real and fake images with labels."""
    arrays = golden_files.read(name)
    read = biggan_pytorch.convert_discriminator(state_dict(arrays, 'D'), DISCRIMINATORS[name])
    real, fake = (
        (golden_files.nhwc(arrays[f'in/{images}']), arrays[f'in/{labels}'].astype(np.int32))
        for images, labels in (('real', 'y'), ('fake', 'y_fake'))
    )
    return arrays, read, module_of('discriminator', read), real, fake


def assert_logits(judged, golden):
    np.testing.assert_allclose(judged.logits, golden[:, 0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ('family', 'size', 'latents', 'generator', 'discriminator', 'counts'),
    [
        pytest.param(
            biggan, 128, 120, {'width': 96, 'attention': (64,)}, {}, (70_433_988, 87_982_370), marks=pytest.mark.slow
        ),
        # compare_gan's, whose discriminators have no 1x1 convolution where a block keeps its width
        (
            biggan,
            256,
            140,
            {'width': 96, 'attention': (128,)},
            {'attention': (64,)},
            (82_097_604, 98_635_298 + 590_592),
        ),
        pytest.param(
            biggan,
            512,
            160,
            {'width': 96, 'attention': (64,)},
            {},
            (82_468_068, 98_801_378 + 590_592 + 9_312),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            biggan, 128, 120, {'width': 64, 'attention': (64,)}, {}, (31_978_628, 39_448_258), marks=pytest.mark.slow
        ),
        pytest.param(
            biggan, 64, 120, {'width': 64, 'attention': (32,)}, {}, (31_969_540, 20_571_842), marks=pytest.mark.slow
        ),
        (biggan, 64, 120, {'width': 96, 'attention': (32,)}, {}, (70_377_348, 45_511_970)),
        pytest.param(
            biggan_deep,
            128,
            128,
            {'width': 128, 'attention': (64,)},
            {},
            (50_244_484, 34_590_210),
            marks=pytest.mark.slow,
        ),
        (biggan_deep, 64, 128, {'width': 128, 'attention': (32,)}, {}, (49_829_636, 20_951_554)),
    ],
)
def test_networks_for_imagenet_have_the_published_number_of_parameters(
    family, size, latents, generator, discriminator, counts
):
    assert sizes(family, size, latents, generator, {**generator, **discriminator}, num_classes=1000) == counts


@pytest.mark.parametrize(
    ('family', 'latents', 'generator', 'discriminator', 'counts'),
    [
        (biggan, 128, {'width': 64, 'shared_size': 0, 'hierarchical': False}, {}, (4_304_387, 4_207_361)),
        (biggan_deep, 128, {'attention': (16,)}, {'attention': (16, 8)}, (7_762_948, 3_564_292)),
        # of StudioGAN, with half as wide a discriminator
        (
            biggan,
            80,
            {'width': 96, 'attention': (16,)},
            {'widths': (192,) * 4, 'attention': (16,)},
            (9_416_196, 2_415_170),
        ),
        (
            biggan,
            80,
            {'width': 96, 'attention': (16,)},
            {'widths': (192,) * 4, 'attention': (16,), 'conditioning': 'contrastive'},
            (9_416_196, 2_517_186),
        ),
    ],
)
def test_networks_for_cifar_have_the_published_number_of_parameters(family, latents, generator, discriminator, counts):
    assert sizes(family, 32, latents, generator, discriminator, num_classes=10) == counts


def sizes(family, size, latents, generator, discriminator, num_classes):
    """The numbers of parameters of both players."""
    options = {'num_classes': num_classes, 'conditioning': 'normalization'}
    made = family.Generator((size, size, 3), **options, **generator)
    module = family.Discriminator(**options | {'conditioning': 'projection'} | discriminator)
    labels = jax.ShapeDtypeStruct((1,), jnp.int32)

    def count(module, *shape):
        inputs = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        variables = jax.eval_shape(functools.partial(module.init, train=False), jax.random.key(0), inputs, labels)
        return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))

    return count(made, latents), count(module, size, size, 3)


def test_both_networks_make_a_config_that_they_fit():
    generator, discriminator = (
        state_dict(golden_files.read(name), net) for name, net in (('biggan_g32_hier', 'G'), ('biggan_d32_attn16', 'D'))
    )
    converted = biggan_pytorch.networks(generator, discriminator)
    config = converted.config
    assert (config.latents.size, config.data.size, converted.num_classes) == (20, 32, 5)
    made = jax.eval_shape(build.make_game(config, (32, 32, 3), num_classes=5).init, jax.random.key(0))
    for role, (params, variables) in made.items():
        shapes = jax.tree.map(np.shape, {'params': params, **variables})
        assert shapes == jax.tree.map(np.shape, converted.variables[role])
    deep = state_dict(golden_files.read('biggan_deep_g32'), 'G')
    with pytest.raises(UserError, match='biggan_deep for 5 classes, but the discriminator a biggan for 5'):
        biggan_pytorch.networks(deep, discriminator)


def test_a_mixture_of_one_class_is_that_class():
    _, read, module, (latents, labels) = a_generator('biggan_g32_hier')
    apply = quickly(functools.partial(module.apply, train=False))
    mixtures = jax.nn.one_hot(labels, read.num_classes)
    images = apply(read.variables, latents, labels)
    np.testing.assert_allclose(apply(read.variables, latents, mixtures), images, atol=1e-5)
    assert np.abs(apply(read.variables, latents, (labels + 1) % read.num_classes) - images).max() > 1e-2


def test_latents_are_divided_among_the_projection_and_the_blocks():
    latents, classes = jnp.arange(11.0)[None], [jnp.array([[-1.0]])]
    parts = biggan.Generator((32, 32, 3)).divide(latents, classes, 3)
    assert [part[0].tolist() for part in parts] == [[0, 1, 2, 3, 4], [5, 6, -1], [7, 8, -1], [9, 10, -1]]
    whole = biggan_deep.Generator((32, 32, 3)).divide(latents, classes, 1)
    assert [part[0].tolist() for part in whole] == [[*range(11), -1]] * 2


@pytest.mark.parametrize(
    ('module', 'message'),
    [
        (biggan.Generator((32, 32, 3), attention=(64,)), r'generator.attention has 64.* are 32, 16, 8 pixels high'),
        (biggan.Generator((64, 64, 3), width=2), r'4 latents cannot be divided among the projection and 4 blocks'),
        (biggan.Generator((32, 32, 3), widths=(8, 8)), r'2 widths \(8, 8\) do not fit images .*: give 4'),
        (biggan.Generator((1024, 1024, 3)), r'BigGAN has no widths for images of shape \(1024, 1024, 3\)'),
        (biggan.Generator((2,)), r'BigGAN is for images of shape \(H, W, C\)'),
    ],
)
def test_what_is_impossible_is_refused(module, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 4)), train=False))


def test_few_widths_are_refused():
    module = biggan.Discriminator(widths=(8,))
    with pytest.raises(UserError, match='1 stages cannot halve images of shape'):
        jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False))
