"""The networks of MUNIT and UNIT against outputs of the authors' code, and their sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from gan_jax.errors import UserError
from gan_jax.layers.resampling import pool_thirds
from gan_jax.models import munit, unit
from gan_jax.translators import over_scales
from tests import golden_files

NAMES = {'enc_content': 'contents', 'enc_style': 'styles', 'dec': 'decoder'}
GENERATOR = munit.Generator(width=4, blocks=2, style_size=3, style_width=8)
DISCRIMINATOR = munit.Discriminator(width=4, depth=3, scales=2)


@pytest.fixture(scope='module')
def arrays():
    return golden_files.read('munit_32')


def generator_params(arrays):
    """The published weights: the layers of each part in order."""
    params = {}
    for key, array in arrays.items():
        if key.startswith('p/G/') and 'running' not in key:
            part, *layer, leaf = key.removeprefix('p/G/').replace('norm.', '').replace('conv.', '').split('.')
            params.setdefault(part, {}).setdefault('.'.join(layer), {})[leaf] = array
    loaded = {f'mlp_{i}': linear(one) for i, one in enumerate(params.pop('mlp').values())}
    for part, layers in params.items():
        norms = [one for one in layers.values() if 'gamma' in one]
        kernels = layers.values()
        own = {f'Conv_{i}': linear(one) for i, one in enumerate(kernels)}
        if part == 'enc_style':  # its last layer is a 1x1 convolution of one pixel
            own['Dense_0'] = jax.tree.map(lambda x: x.reshape(x.shape[-2:]) if x.ndim == 4 else x, own.popitem()[1])
        own |= {f'LayerNorm_{i}': {'scale': one['gamma'], 'bias': one['beta']} for i, one in enumerate(norms)}
        loaded[NAMES[part]] = own
    return loaded


def linear(layer):
    return {'kernel': golden_files.kernel(layer['weight'], 'Conv'), 'bias': layer['bias']}


def apply(params, method, *arguments):
    return GENERATOR.apply({'params': params}, *arguments, method=method)


def test_codes_and_images_are_the_published_ones(arrays):
    params, images = generator_params(arrays), golden_files.nhwc(arrays['in/x'])
    shapes = jax.eval_shape(lambda: GENERATOR.init(jax.random.key(0), images, images))['params']
    jax.tree.map(lambda one, other: np.testing.assert_equal(one.shape, other.shape), shapes, params)
    content, style = (jax.jit(lambda x, m=m: apply(params, m, x))(images) for m in ('content', 'style'))
    golden_files.assert_close(content, golden_files.nhwc(arrays['out/content']), 2e-4)
    golden_files.assert_close(style, arrays['out/style_code'][..., 0, 0], 2e-5)
    cotangent, drawn = golden_files.nhwc(arrays['in/cotangent']), arrays['in/style'][..., 0, 0]

    @jax.jit
    def value(params):
        made = apply(params, 'decode', apply(params, 'content', images), drawn)
        again = apply(params, '__call__', images, images)
        return jnp.mean(made * cotangent), (made, again)

    gradients, (made, again) = jax.grad(value, has_aux=True)(params)
    golden_files.assert_close(again, golden_files.nhwc(arrays['out/recon']), 2e-4)
    golden_files.assert_close(made, golden_files.nhwc(arrays['out/decode_random_style']), 2e-4)
    for ours, theirs in (
        (gradients['contents']['Conv_0']['kernel'], 'enc_content.model.0.conv.weight'),
        (gradients['decoder']['Conv_0']['kernel'], 'dec.model.0.model.0.model.0.conv.weight'),
        (gradients['decoder']['LayerNorm_0']['scale'], 'dec.model.2.norm.gamma'),
        (gradients['mlp_0']['kernel'], 'mlp.model.0.fc.weight'),
        (gradients['mlp_2']['bias'], 'mlp.model.2.fc.bias'),
    ):
        golden_files.assert_close(ours, golden_files.kernel(arrays[f'out/vjp_grad/{theirs}'], 'Conv'), 5e-4)


def test_the_discriminator_judges_scales_and_sums_their_squares_as_published(arrays):
    real, fake = (golden_files.nhwc(arrays[f'in/{name}']) for name in ('x', 'x2'))
    shapes = jax.eval_shape(lambda: DISCRIMINATOR.init(jax.random.key(0), real))
    params = golden_files.load_in_order(shapes, arrays, 'p/D/')['params']
    discriminate = lambda params, images: DISCRIMINATOR.apply({'params': params}, images)  # noqa: E731
    for i, logits in enumerate(discriminate(params, real)):
        np.testing.assert_allclose(logits, arrays[f'out/D/scale{i}'][:, 0], atol=1e-4)
    rows = lambda scales: jnp.concatenate([one.reshape(2, -1) for one in scales], -1)  # noqa: E731
    loss = over_scales(losses.mean_squares(), (16, 4))

    @jax.jit
    def value(params):
        return 2 * loss.discriminator(rows(discriminate(params, real)), rows(discriminate(params, fake)))

    golden, gradients = jax.value_and_grad(value)(params)
    np.testing.assert_allclose(golden, arrays['out/D/dis_loss'], rtol=1e-5)
    np.testing.assert_allclose(loss.generator(rows(discriminate(params, fake))), arrays['out/D/gen_loss'], rtol=1e-5)
    for ours, theirs in (('Conv_0', 'cnns.0.0'), ('Conv_5', 'cnns.1.1')):
        kernel = golden_files.kernel(arrays[f'out/D/grad/{theirs}.conv.weight'], 'Conv')
        golden_files.assert_close(gradients[ours]['kernel'], kernel, 1e-4)


def test_losses_over_scales_keep_their_parts_and_controller():
    real, fake = jnp.array([[1.0, 3.0, 4.0]]), jnp.array([[0.0, 2.0, -1.0]])
    loss = over_scales(losses.hinge(), (2, 1))
    assert loss.discriminator(real, fake) == sum(loss.parts(real, fake)) == (1 + 3) / 2 + 0
    assert loss.generator(fake) == -1 + 1
    paired = over_scales(losses.relativistic('least_squares'), (2, 1))
    assert paired.generator(fake, real) == ((-1 - 1) ** 2 + (-1 - 1) ** 2) / 2 + (-5 - 1) ** 2
    controller = over_scales(losses.equilibrium(), (2, 1)).controller
    assert controller.at(0.5).discriminator(real, fake) == -2 - 4 + 0.5 * (1 - 1)


def test_pooling_by_thirds_does_not_count_the_border():
    images = jnp.arange(9.0).reshape(1, 3, 3, 1)
    np.testing.assert_allclose(pool_thirds(images)[0, ..., 0], [[2, 3], [5, 6]])
    assert pool_thirds(jnp.zeros((1, 8, 5, 2))).shape == (1, 4, 3, 2)


@pytest.mark.parametrize(
    ('module', 'arguments', 'parameters'),
    [
        (munit.Generator(), 2, 15_026_187),
        (munit.Discriminator(), 1, 8_271_171),
        (unit.Generator(), 1, 11_140_483),
    ],
)
def test_networks_have_the_published_number_of_parameters(module, arguments, parameters):
    images = [jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)] * arguments
    variables = jax.eval_shape(lambda *images: module.init(jax.random.key(0), *images), *images)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == parameters


@pytest.mark.parametrize(
    ('module', 'shape', 'message'),
    [
        (unit.Generator(), (30, 32, 3), r'impossible for 30x32 pixels: use sides that are multiples of 4\.'),
        (munit.Generator(), (8, 8, 3), r'impossible for 8x8 pixels: use .* multiples of 4 and at least 16'),
        (munit.Discriminator(), (32, 32, 3), r'The size of images is 32; it must be at least 64 for 4 layers at 3'),
        (munit.Generator(style_size=0), (16, 16, 3), r'generator.style_size is 0'),
    ],
)
def test_impossible_sizes_are_refused(module, shape, message):
    images = jnp.zeros((1, *shape))
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: module.init(jax.random.key(0), images, *[images] * isinstance(module, munit.Generator)))
