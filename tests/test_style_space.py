"""Styles as arrays, their statistics and noise, and the inversion into W, in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.models import stylegan, stylegan2
from gan_jax.sampling import styles
from gan_jax.sampling.semantics import semantic_directions, style_kernel
from gan_jax.sampling.style_inversion import autocorrelation, invert_styles

RANDOM = np.random.default_rng(0)


def test_a_mixture_has_the_layers_of_the_other():
    a, b = RANDOM.normal(size=(2, 6, 3)), RANDOM.normal(size=(5, 1, 6, 3))
    mixed = styles.mix(a, b, (0, 4))
    assert mixed.shape == (5, 2, 6, 3)
    for layer in range(6):
        np.testing.assert_array_equal(mixed[3, 1, layer], b[3, 0, layer] if layer in (0, 4) else a[1, layer])
    np.testing.assert_array_equal(styles.mix(a, b[0], range(6)), np.broadcast_to(b[0], a.shape))
    with pytest.raises(UserError, match=r'There is no layer 6: layers with a style are numbered from 0 to 5\.'):
        styles.mix(a, b, (6,))


def test_coarse_middle_and_fine_layers_are_the_published_ones_where_there_are_such():
    assert styles.ranges_of_layers(18) == {'coarse': (0, 1, 2, 3), 'middle': (4, 5, 6, 7), 'fine': tuple(range(8, 18))}
    assert styles.ranges_of_layers(8) == {'coarse': (0, 1, 2), 'middle': (3, 4, 5), 'fine': (6, 7)}
    assert styles.ranges_of_layers(2) == {'coarse': (0,), 'middle': (1,), 'fine': ()}


def test_the_mean_and_the_deviation_of_w():
    latents, matrix = RANDOM.normal(size=(50, 3)), RANDOM.normal(size=(3, 4))
    found = styles.style_statistics(lambda z: jnp.stack([z @ matrix, z[:, :1] * jnp.ones(4)], 1), latents, 16)
    w = latents @ matrix
    np.testing.assert_allclose(found.mean, w.mean(0), rtol=1e-5)
    assert found.deviation == pytest.approx(np.sqrt(((w - w.mean(0)) ** 2).sum() / 50), rel=1e-5)


def test_the_deviation_over_draws_of_noise():
    images = jnp.asarray(RANDOM.normal(size=(2, 4, 4, 1)), jnp.float32)

    def synthesize(styles, key):
        return 1000 * images + styles[:, 0, :1, None, None] * jax.random.normal(key, images.shape)

    given, key = jnp.array([0.0, 0.5]).reshape(2, 1, 1), jax.random.key(0)
    one, other = (synthesize(given, jax.random.fold_in(key, i)) for i in (0, 1))
    np.testing.assert_allclose(styles.noise_deviation(synthesize, given, key, 2), abs(one - other) / 2, atol=1e-4)
    many = styles.noise_deviation(synthesize, given, key, 2000)
    assert (many[0] == 0).all()
    np.testing.assert_allclose(many[1], 0.5, rtol=0.1)


def synthesis(module):
    """The synthesis of a new generator of 8x8 images as a function, and its parameters."""
    variables = jax.jit(lambda key: module.init(key, jnp.zeros((1, 3)), train=False))(jax.random.key(0))
    return lambda ws: module.apply(variables, ws, train=False, method='synthesize'), variables['params']


@pytest.fixture(scope='module')
def first():
    return synthesis(stylegan.Generator((8, 8, 1), width=32, max_width=4, w_size=5, depth=1))


@pytest.fixture(scope='module')
def second():
    return synthesis(stylegan2.Generator((8, 8, 1), width=32, max_width=4, w_size=5, depth=1))


@pytest.mark.parametrize(
    ('version', 'layers', 'read_by'),
    [
        ('first', (1, 2), ('stage0_second', 'stage1_first')),
        ('second', (0,), ('stage0/second/convolution',)),
        ('second', (1, 2), ('stage0/image/convolution', 'stage1/first/convolution', 'stage1/second/convolution')),
        (
            'second',
            None,
            [f'stage{place}/convolution' for place in ('0/second', '0/image', '1/first', '1/second', '1/image')],
        ),
    ],
)
def test_directions_in_w_are_singular_vectors_of_the_style_weights_that_read_it(version, layers, read_by, request):
    synthesize, params = request.getfixturevalue(version)
    weights = []
    for place in read_by:
        layer = functools.reduce(lambda tree, name: tree[name], place.split('/'), params['synthesis'])
        weights.append(layer['style']['kernel'])
    weight = np.concatenate(weights, axis=1).astype(np.float64)
    left, values, _ = np.linalg.svd(weight / np.linalg.norm(weight, axis=0))
    found = semantic_directions(style_kernel(synthesize, params, (4, 5), layers), 3)
    np.testing.assert_allclose(found.gains, values[:3], rtol=1e-6)
    np.testing.assert_allclose(abs(found.vectors @ left[:, :3]), np.eye(3), atol=1e-5)


def test_layers_that_are_not_there_have_no_directions(second):
    synthesize, params = second
    with pytest.raises(UserError, match=r'There is no layer 4: layers with a style are numbered from 0 to 3\.'):
        style_kernel(synthesize, params, (4, 5), (4,))
    with pytest.raises(UserError, match='These layers have no affine layer for styles: choose'):
        style_kernel(lambda ws: ws, params, (4, 5))


WEIGHT = RANDOM.normal(size=(2, 3, 16)).astype(np.float32) / 2  # of two layers


def make(weight, strength, noise, ws):
    """4x4 images: tanh of a map that is linear in the styles, and noise."""
    hidden = jnp.einsum('bln,lnp->bp', ws, weight).reshape(-1, 4, 4, 1)
    return jnp.tanh(hidden + strength * (0 if noise is None else noise['constant'][..., None]))


TOY = jax.tree_util.Partial(make, WEIGHT, 0.5)
W = np.array([[0.4, -1.1, 0.8]], np.float32)
TWO = np.append(W, [[-0.5, 0.3, 0.9]], axis=0).astype(np.float32)


def search(target, start, generate=TOY, **options):
    return invert_styles(generate, target, start, 1.0, 2, jax.random.key(0), **{'iterations': 300, **options})


def test_a_generated_image_is_found_in_w():
    target = TOY(None, np.repeat(W, 2, 0)[None])[0]
    found = search(target, np.zeros((1, 3)))
    np.testing.assert_allclose(found.latent, np.repeat(W, 2, 0), atol=0.01)
    np.testing.assert_allclose(found.image, target, atol=0.01)
    assert (found.losses.shape, found.path.shape, found.noise) == ((301,), (301, 2, 3), None)
    np.testing.assert_array_equal(found.path[0], 0)
    np.testing.assert_array_equal(found.path[1], 0)  # as the rate rises from 0
    assert found.losses[-1] < 1e-4 < found.losses[0]


def test_w_plus_finds_what_w_has_not():
    target = TOY(None, TWO[None])[0]
    one, each = (search(target, np.zeros((layers, 3))) for layers in (1, 2))
    np.testing.assert_allclose(each.latent, TWO, atol=0.02)
    assert each.losses[-1] < 1e-4
    assert one.losses[-1] > 0.01
    np.testing.assert_array_equal(one.latent[0], one.latent[1])


def test_noise_inputs_are_found_too_and_stay_noise():
    constant = RANDOM.normal(size=(4, 4)).astype(np.float32)
    noise = {'constant': (constant - constant.mean()) / constant.std()}
    target = TOY(noise, np.repeat(W, 2, 0)[None])[0]
    free = search(target, np.zeros((1, 3)), noise={'constant': np.zeros((4, 4))}, noise_weight=0.0)
    assert free.noise['constant'].mean() == pytest.approx(0, abs=1e-5)
    assert np.mean(free.noise['constant'] ** 2) == pytest.approx(1, abs=1e-4)
    image = TOY(free.noise, free.latent[None])[0]
    np.testing.assert_allclose(free.image, image, atol=1e-5)


def test_noise_inputs_are_held_to_noise():
    smooth = np.array([[-1.0], [-1], [1], [1]], np.float32) * np.ones((1, 4), np.float32)
    noise_alone = jax.tree_util.Partial(make, 0 * WEIGHT, 0.5)
    target = noise_alone({'constant': smooth}, np.zeros((1, 2, 3)))[0]
    options = {'generate': noise_alone, 'noise': {'constant': smooth}}
    loose, held = (search(target, np.zeros((1, 3)), noise_weight=weight, **options) for weight in (0.0, 1e5))
    np.testing.assert_allclose(loose.noise['constant'], smooth, atol=0.01)
    assert float(autocorrelation(held.noise['constant'])) < 1e-3
    assert float(autocorrelation(jnp.asarray(smooth))) == 1


def test_the_autocorrelation_of_noise_at_all_scales():
    noise = RANDOM.normal(size=(32, 16))
    expected = 0
    for factor in (1, 2, 4):
        pooled = noise.reshape(32 // factor, factor, 16 // factor, factor).mean((1, 3))
        expected += sum(np.mean(pooled * np.roll(pooled, 1, axis)) ** 2 for axis in (0, 1))
    assert float(autocorrelation(jnp.asarray(noise, jnp.float32))) == pytest.approx(expected, rel=1e-4)
    assert float(autocorrelation(jnp.ones((8, 8)))) == 2
    assert float(autocorrelation(jnp.ones((16, 16)))) == 4


def test_impossible_searches_are_refused():
    for options, sentence in (
        ({'iterations': 0}, r'iterations is 0; it must be from 1 to 1000000\.'),
        ({'learning_rate': 0}, r'learning_rate is 0; it must be above 0 and at most 1000\.'),
        ({'noise_weight': -1}, r'noise_weight is -1; it must be from 0'),
    ):
        with pytest.raises(UserError, match=sentence):
            search(np.zeros((4, 4, 1)), np.zeros((1, 3)), **options)
    with pytest.raises(UserError, match=r'has shape \(4, 4, 3\), but the generator makes \(4, 4, 1\)'):
        search(np.zeros((4, 4, 3)), np.zeros((1, 3)))
