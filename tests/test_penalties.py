"""Penalties against critics with known gradients, closed forms, and finite differences in float64."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax import penalties
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.linear import Conv, Dense

KEY = jax.random.key(0)
WEIGHTS = np.array([[2.0, -1.0], [0.0, 2.0]])  # of a linear critic of examples [B, 2, 2]; their norm is 3


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def linear(examples):
    return jnp.sum(examples * WEIGHTS, axis=(1, 2))


def quadratic(examples):
    """Its gradient is the example itself."""
    return jnp.sum(examples**2, axis=range(1, examples.ndim)) / 2


def network(seed=0):
    return {'hidden': draw(4, 5, seed=seed), 'bias': draw(5, seed=seed + 1), 'out': draw(5, seed=seed + 2)}


def critic(params):
    """A smooth critic of examples [B, 2, 2]."""
    return lambda examples: jnp.tanh(examples.reshape(-1, 4) @ params['hidden'] + params['bias']) @ params['out']


def generator(params):
    """A smooth generator of images [B, 2, 2, 1] from latents [B, 4]."""
    return lambda latents: (jnp.tanh(latents @ params['hidden']) @ params['hidden'].T).reshape(-1, 2, 2, 1)


REAL, FAKE, LATENTS = draw(8, 2, 2, seed=7), draw(8, 2, 2, seed=8), draw(8, 4, seed=9)
POSITIONS = np.arange(8)

# Each as a function of (parameters, real, fake, latents, positions, axis name). The last has a constant average.
OF_PARAMS = {
    'gradient_penalty': lambda p, x, y, z, at, axis: penalties.gradient_penalty(critic(p), x, y, KEY, at),
    'one_sided': lambda p, x, y, z, at, axis: penalties.gradient_penalty(
        critic(p), x, y, KEY, at, target=0.5, one_sided=True
    ),
    'zero_centered': lambda p, x, y, z, at, axis: penalties.zero_centered_penalty(critic(p), x, y, KEY, at),
    'dragan': lambda p, x, y, z, at, axis: penalties.dragan(critic(p), x, KEY, at, axis_name=axis),
    'r1': lambda p, x, y, z, at, axis: penalties.r1(critic(p), x),
    'r2': lambda p, x, y, z, at, axis: penalties.r2(critic(p), y),
    'approximate': lambda p, x, y, z, at, axis: penalties.approximate_gradients(critic(p), x, KEY, at, deviation=0.1),
    'path_length': lambda p, x, y, z, at, axis: penalties.path_length(
        generator(p), z, 0.5, KEY, at, decay=0.0, axis_name=axis
    )[0],
}


def test_every_penalty_of_a_linear_critic_is_that_of_its_weights():
    for wanted, penalty in (
        (4.0, penalties.gradient_penalty(linear, REAL, FAKE, KEY)),
        (1.0, penalties.gradient_penalty(linear, REAL, FAKE, KEY, target=4.0)),
        (1.0, penalties.gradient_penalty(linear, REAL, FAKE, KEY, target=2.0, one_sided=True)),
        (0.0, penalties.gradient_penalty(linear, REAL, FAKE, KEY, target=4.0, one_sided=True)),
        (9.0, penalties.zero_centered_penalty(linear, REAL, FAKE, KEY)),
        (4.0, penalties.dragan(linear, REAL, KEY)),
        (0.25, penalties.dragan(linear, REAL, KEY, target=2.5)),
        (4.5, penalties.r1(linear, REAL)),
        (4.5, penalties.r2(linear, FAKE)),
    ):
        np.testing.assert_allclose(penalty, wanted, rtol=1e-6)


def test_approximate_gradients_of_a_linear_critic_are_right_in_the_mean():
    count, directions = 20_000, np.asarray(jax.random.normal(KEY, (5, 2, 2)))
    # A slope is N(0, 9): half its square has mean 4.5 and deviation 9 / sqrt(2).
    measured = penalties.approximate_gradients(linear, np.zeros((count, 2, 2)), KEY)
    np.testing.assert_allclose(measured, 4.5, atol=4 * 9 / (2 * count) ** 0.5)
    # One noise for each position, whatever the deviation.
    places = np.array([3, 1])
    noise = np.stack([jax.random.normal(jax.random.fold_in(KEY, place), (2, 2)) for place in places])
    for deviation in (0.01, 2.0):
        measured = penalties.approximate_gradients(linear, directions[:2], KEY, places, deviation=deviation)
        np.testing.assert_allclose(measured, (linear(noise) ** 2).mean() / 2, rtol=1e-3)
    known = penalties.approximate_gradients(linear, directions, KEY, logits=linear(directions))
    np.testing.assert_allclose(known, penalties.approximate_gradients(linear, directions, KEY), rtol=1e-3)


def test_approximate_gradients_of_a_smooth_critic_approach_those_of_r1(float64):
    real = np.repeat(REAL, 4000, axis=0)
    measured = penalties.approximate_gradients(critic(network()), real, KEY, deviation=1e-4)
    np.testing.assert_allclose(measured, penalties.r1(critic(network()), REAL), rtol=0.03)


def test_consistency_of_stages_by_hand():
    stages = np.stack([np.full((2, 3), value) for value in (1.0, 3.0, 0.0, 2.0)], axis=1)
    np.testing.assert_allclose(penalties.stage_consistency(stages), (1 / 3 + 1 / 2 + 4) / 3, rtol=1e-6)
    assert penalties.stage_consistency(np.ones((2, 4, 3))) == 0
    slope = jax.grad(lambda last: penalties.stage_consistency(jnp.array([[0.0, last]])))(3.0)
    np.testing.assert_allclose(slope, 6.0)  # no constant: the last stage is drawn towards the early ones too


def test_gradients_of_a_quadratic_critic_are_the_examples():
    np.testing.assert_allclose(penalties.input_gradients(quadratic, REAL), REAL, rtol=1e-6)
    norms = np.sqrt((REAL**2).sum(axis=(1, 2)))
    np.testing.assert_allclose(penalties.gradient_norms(quadratic, REAL), norms, rtol=1e-6)
    np.testing.assert_allclose(penalties.r1(quadratic, REAL), (norms**2).mean() / 2, rtol=1e-6)
    # Real and fake alike leave nothing to draw.
    np.testing.assert_allclose(
        penalties.gradient_penalty(quadratic, REAL, REAL, KEY), ((norms - 1) ** 2).mean(), rtol=1e-5
    )


def test_points_lie_on_the_lines_between_one_for_each_position():
    real, fake = jnp.array([[1.0, 0.0, 2.0]]), jnp.array([[0.0, 1.0, 0.0]])

    @functools.partial(jax.vmap, in_axes=(None, 0))
    @functools.partial(jax.vmap, in_axes=(0, None))
    def coordinates(axis, position):
        square = penalties.zero_centered_penalty(lambda x: x[:, axis] ** 2 / 2, real, fake, KEY, position[None])
        return jnp.sqrt(square)

    points = np.array(coordinates(jnp.arange(3), jnp.arange(2000)))
    share = points[:, 0]
    np.testing.assert_allclose(points[:, 1], 1 - share, atol=1e-6)
    np.testing.assert_allclose(points[:, 2], 2 * share, rtol=1e-5)
    # Uniform: the greatest distance to the diagonal, of 2000 draws, stays under the 1 percent bound 1.63 / sqrt(2000).
    assert np.abs(np.sort(share) - np.linspace(0, 1, 2000)).max() < 1.63 / 2000**0.5
    assert abs(np.corrcoef(share[1:], share[:-1])[0, 1]) < 0.1


def test_dragan_adds_uniform_noise_scaled_by_the_deviation_of_the_batch():
    real = np.repeat([[-3.0], [1.0]], 5000, axis=0)  # of mean -1 and deviation 2
    # The critic's gradient is the example: mean (x + s u)^2 with s = 0.5 * 2 is E x^2 + 2 s E x E u + s^2 E u^2.
    scaled = {scale: penalties.dragan(quadratic, real, KEY, target=0.0, scale=scale) for scale in (0.0, 0.5)}
    np.testing.assert_allclose(scaled[0.0], 5.0, rtol=1e-6)
    np.testing.assert_allclose(scaled[0.5], 5 - 1 + 1 / 3, rtol=0.01)
    # A constant batch has no deviation, so no noise.
    np.testing.assert_allclose(penalties.dragan(quadratic, np.full((4, 1), 3.0), KEY), 4.0, rtol=1e-6)


@pytest.mark.parametrize('name', list(OF_PARAMS))
def test_second_order_gradients_match_finite_differences(name, float64):
    params, direction = network(), network(seed=20)
    penalty = jax.jit(lambda params: OF_PARAMS[name](params, REAL, FAKE, LATENTS, POSITIONS, None))
    value, gradient = jax.value_and_grad(penalty)(params)
    assert value.dtype == jnp.float64
    slope = sum(np.sum(gradient[leaf] * direction[leaf]) for leaf in params)
    step = 1e-5
    above, below = (
        penalty({leaf: params[leaf] + sign * step * direction[leaf] for leaf in params}) for sign in (1, -1)
    )
    assert abs(slope) > 1e-3
    np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=1e-7)


def test_noise_belongs_to_positions():
    names = ('gradient_penalty', 'one_sided', 'zero_centered', 'path_length', 'approximate')

    @jax.jit
    def measured(real, fake, latents, positions):
        return [OF_PARAMS[name](network(), real, fake, latents, positions, None) for name in names]

    def part(places):
        return measured(REAL[places], FAKE[places], LATENTS[places], POSITIONS[places])

    whole, halves = part(slice(8)), (part(slice(4)), part(slice(4, 8)))
    np.testing.assert_allclose(whole, np.mean(halves, axis=0), rtol=1e-5)
    moved = measured(REAL[4:], FAKE[4:], LATENTS[4:], POSITIONS[:4])
    assert np.abs(np.subtract(moved, halves[1])).min() > 1e-5
    default = penalties.zero_centered_penalty(critic(network()), REAL, FAKE, KEY)
    np.testing.assert_allclose(default, whole[2], rtol=1e-5)


def test_codes_are_pulled_away_by_the_squared_cosines_of_all_pairs():
    """Angles of 0, 60 and 90 degrees, of codes of any length and shape."""
    codes = jnp.array([[2.0, 0.0], [0.5, np.sqrt(0.75)], [0.0, -3.0]])
    expected = (0.25 + 0.0 + 0.75) / 3
    np.testing.assert_allclose(penalties.pulling_away(codes), expected, rtol=1e-6)
    np.testing.assert_allclose(penalties.pulling_away(codes.reshape(3, 1, 2, 1)), expected, rtol=1e-6)
    np.testing.assert_allclose(penalties.pulling_away(-codes[jnp.array([0, 0])]), 1, rtol=1e-6)
    # cos^2 of the angle t between two unit vectors has the slope -sin 2t; here t = 60 degrees
    slope = jax.grad(lambda t: penalties.pulling_away(jnp.stack([codes[0], jnp.array([jnp.cos(t), jnp.sin(t)])])))
    np.testing.assert_allclose(slope(np.pi / 3), -np.sqrt(0.75), rtol=1e-5)
    assert np.all(np.isfinite(jax.grad(penalties.pulling_away)(jnp.zeros((3, 2)))))
    with pytest.raises(UserError, match='batch size of the pulling-away term is 1; it must be at least 2'):
        penalties.pulling_away(codes[:1])


def test_pairs_of_different_shapes_are_refused_and_so_are_critics_without_logits():
    logits, shapes = linear(draw(3, 2, 2)), r'The shape of compared values is \(3,\); it must be that .*, \(3, 1\)'
    for values in (
        lambda: penalties.consistency(logits[:, None], logits),
        lambda: penalties.centring(logits[:, None], logits),
        lambda: penalties.approximate_gradients(linear, draw(3, 2, 2), KEY, logits=logits[:, None]),
    ):
        with pytest.raises(UserError, match=shapes):
            values()
    for penalty in (penalties.r1, functools.partial(penalties.approximate_gradients, key=KEY)):
        with pytest.raises(UserError, match=r'The critic returns a Judgement; it must return logits \[B\] alone'):
            penalty(lambda examples: Judgement(linear(examples)), draw(3, 2, 2))


def test_eight_devices_make_the_penalties_of_the_whole_batch():
    """Values, gradients by the parameters, and the moved average of path lengths."""

    def measured(params, real, fake, latents, positions, axis_name):
        def total(params):
            parts = [
                OF_PARAMS[name](params, real, fake, latents, positions, axis_name)
                for name in ('gradient_penalty', 'dragan')
            ]
            bend, average = penalties.path_length(
                generator(params), latents, jnp.float32(0.5), KEY, positions, decay=0.3, axis_name=axis_name
            )
            return sum(parts) + bend, (*parts, bend, average)

        results = jax.grad(total, has_aux=True)(params)
        return results if axis_name is None else lax.pmean(results, axis_name)

    params = jax.tree.map(jnp.float32, network())
    batch = [array.astype(np.float32) for array in (REAL, FAKE, LATENTS)] + [POSITIONS]
    whole = jax.jit(functools.partial(measured, axis_name=None))(params, *batch)
    shares = [array.reshape(8, 1, *array.shape[1:]) for array in batch]
    spread = jax.pmap(
        functools.partial(measured, axis_name='batch'), 'batch', in_axes=(None, 0, 0, 0, 0), out_axes=None
    )(params, *shares)
    for got, wanted in zip(jax.tree.leaves(spread), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_zero_is_safe_to_the_second_derivative():
    def total(scale):
        flat = lambda examples: scale * linear(examples)  # noqa: E731
        still = lambda latents: scale * generator(network())(latents)  # noqa: E731
        return (
            penalties.gradient_penalty(flat, REAL, FAKE, KEY)
            + penalties.dragan(flat, REAL, KEY)
            + penalties.gradient_norms(flat, REAL).sum()
            + penalties.path_length(still, LATENTS, 1.0, KEY, decay=0.0)[0]
        )

    assert total(0.0) == 3.0
    assert jax.grad(total)(0.0) == 0.0
    assert jnp.isfinite(jax.grad(jax.grad(total))(0.0))


def test_arithmetic_is_float32_for_narrow_inputs_and_float64_stays(float64):
    def narrow(examples):
        return critic(network())(examples).astype(jnp.bfloat16)

    real, fake, latents = (jnp.asarray(array, jnp.bfloat16) for array in (REAL, FAKE, LATENTS))
    assert penalties.gradient_norms(narrow, real).dtype == jnp.float32
    assert penalties.gradient_penalty(narrow, real, fake, KEY).dtype == jnp.float32
    assert penalties.dragan(narrow, real, KEY).dtype == jnp.float32
    assert penalties.path_lengths(lambda latents: 2 * latents, latents, KEY).dtype == jnp.float32
    # The squares' mean has more digits than a bfloat16.
    assert penalties.drift(jnp.array([16, 16.125], jnp.bfloat16)) == (256 + 16.125**2) / 2
    assert penalties.orthogonal(jnp.ones((2, 2), jnp.bfloat16)).dtype == jnp.float32
    assert penalties.gradient_norms(critic(network()), REAL).dtype == jnp.float64


def test_terms_of_logits_by_hand():
    real, fake = jnp.array([1.0, 3.0]), jnp.array([-2.0, 0.0, 1.0])
    assert penalties.drift(real) == 5.0
    # (1 + 1)^2, (3 + 1)^2 and (-2 - 2)^2, (0 - 2)^2, (1 - 2)^2
    assert penalties.lecam(real, fake, 2.0, -1.0) == 20 / 2 + 21 / 3
    assert jax.grad(penalties.lecam, argnums=(2, 3))(real, fake, 2.0, -1.0) == (0.0, 0.0)
    assert penalties.consistency(real, jnp.array([2.0, 0.0])) == 5.0
    assert penalties.latent_diversity(jnp.ones((2, 1, 1, 2)), jnp.full((2, 1, 1, 2), 3.0)) == -4.0
    np.testing.assert_allclose(jax.grad(penalties.consistency, argnums=1)(real, jnp.array([2.0, 0.0])), [1.0, -3.0])


def test_logits_are_centred_by_hand():
    assert penalties.centring(jnp.array([1.0, 3.0]), jnp.array([-2.0, 1.0])) == (1 + 16) / 2


def test_modes_are_sought_by_the_ratio_of_distances():
    latents, others = jnp.array([[0.0, 2.0], [1.0, 1.0]]), jnp.array([[1.0, 2.0], [1.0, 4.0]])  # 1 apart
    value, slope = jax.value_and_grad(
        lambda size: penalties.mode_seeking(size * latents, size * others, latents, others)
    )(2.0)
    np.testing.assert_allclose((value, slope), (1 / 2.00001, -1 / 2.00001**2), rtol=1e-6)


def test_orthogonal_by_hand():
    shear = {'kernel': jnp.array([[1.0, 1.0], [0.0, 1.0]]), 'bias': jnp.array([5.0, 5.0])}  # W^T W = [[1, 1], [1, 2]]
    assert penalties.orthogonal(shear) == 3.0
    assert penalties.orthogonal(shear, off_diagonal=True) == 2.0
    assert penalties.orthogonal({'one': shear, 'two': shear}) == 6.0
    assert penalties.orthogonal({'bias': jnp.ones(3)}) == 0.0
    assert penalties.orthogonal({'shared': {'table': jnp.ones((3, 2))}, 'dense': shear}) == 3.0


def test_the_gradient_of_orthogonal_regularisation_is_the_published_one():
    """With a weight of PyTorch's shape, W [D, C], that of ||W W^T M||_F^2 is 4 (W W^T M) W, M being 1 - I."""
    kernel = draw(3, 3, 2, 5)
    matrix = kernel.reshape(-1, 5).T
    published = 4 * ((matrix @ matrix.T) * (1 - np.eye(5))) @ matrix
    gradient = jax.grad(functools.partial(penalties.orthogonal, off_diagonal=True))({'kernel': jnp.asarray(kernel)})
    np.testing.assert_allclose(np.asarray(gradient['kernel']).reshape(-1, 5).T, published, rtol=1e-4, atol=1e-4)


def test_kernels_with_orthonormal_outputs_cost_nothing():
    columns = np.linalg.qr(draw(18, 3))[0].astype(np.float32).reshape(3, 3, 2, 3)  # [h, w, C, D]
    np.testing.assert_allclose(penalties.orthogonal(columns), 0.0, atol=1e-10)
    # Columns of length 2: the diagonal is off by 3 three times, and nothing else.
    np.testing.assert_allclose(penalties.orthogonal(2 * columns), 27.0, rtol=1e-5)
    np.testing.assert_allclose(penalties.orthogonal(2 * columns, off_diagonal=True), 0.0, atol=1e-10)


def test_path_lengths_of_a_linear_generator():
    matrix = draw(5, 2 * 3 * 2)

    def generate(latents):
        return (latents @ matrix).reshape(-1, 2, 3, 2)

    lengths = jax.jit(lambda latents: penalties.path_lengths(generate, latents, KEY))(np.zeros((20000, 5)))
    # E ||A y||^2 = ||A||_F^2 var(y), with 6 pixels.
    np.testing.assert_allclose(np.mean(np.square(lengths)), (matrix**2).sum() / 6, rtol=0.02)
    layered = penalties.path_lengths(lambda latents: generate(latents.sum(axis=1)), jnp.zeros((4, 3, 5)), KEY)
    np.testing.assert_allclose(layered, lengths[:4], rtol=1e-5)


def test_path_length_compares_with_the_moved_average_held_constant():
    def scaled(size):
        return lambda latents: size * latents[:, None, None]

    unit = np.asarray(penalties.path_lengths(scaled(1.0), LATENTS, KEY))

    def penalty(size):
        return penalties.path_length(scaled(size), LATENTS, 0.5, KEY, decay=0.25)

    (value, average), slope = jax.value_and_grad(penalty, has_aux=True)(3.0)
    moved = 0.5 + 0.25 * (3 * unit.mean() - 0.5)
    np.testing.assert_allclose(average, moved, rtol=1e-6)
    np.testing.assert_allclose(value, ((3 * unit - moved) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(slope, (2 * (3 * unit - moved) * unit).mean(), rtol=1e-5)


def test_historical_average_by_hand():
    params, average = (
        {'a': jnp.array([1.0, 2.0]), 'b': jnp.array(3.0)},
        {'a': jnp.array([0.0, 4.0]), 'b': jnp.zeros(())},
    )
    assert penalties.historical_average(params, average) == 14.0
    np.testing.assert_allclose(jax.grad(penalties.historical_average)(params, average)['a'], [2.0, -4.0])


@pytest.mark.parametrize(
    ('normalization', 'mixes'),
    [(nn.BatchNorm(use_running_average=False), True), (nn.LayerNorm(), False), (lambda hidden: hidden, False)],
    ids=['batch', 'layer', 'none'],
)
def test_mixing_discriminators_are_found(normalization, mixes):
    module = nn.Sequential([nn.Dense(8), normalization, nn.leaky_relu, nn.Dense(1)])
    examples = REAL.reshape(8, 4)
    variables = module.init(KEY, examples)
    critic = lambda x: module.apply(variables, x, mutable='batch_stats')[0]  # noqa: E731
    assert bool(penalties.mixes_examples(critic, examples)) is mixes


def test_mixing_is_also_found_in_a_minibatch_layer_and_needs_two_examples():
    assert penalties.mixes_examples(lambda x: linear(x) + jnp.std(x, axis=0).mean(), REAL)
    message = re.escape('The number of examples is 1; it must be at least 2.')
    with pytest.raises(UserError, match=message):
        penalties.mixes_examples(linear, REAL[:1])
    assert penalties.MIXING_WARNING.format(penalty='penalties.r1').startswith('penalties.r1 differentiates each logit')


def test_our_layers_have_the_second_derivatives_of_plain_ones(float64):
    """A penalty's gradients through our convolutions and dense layers are those through XLA's, in float64."""
    kernels = {'down': draw(4, 4, 1, 3), 'same': draw(3, 3, 3, 2, seed=1), 'dense': draw(18, 1, seed=2)}
    real, fake = draw(3, 6, 6, 1, seed=3), draw(3, 6, 6, 1, seed=4)

    def ours(kernels):
        def applied(layer, name, inputs):
            return layer.apply({'params': {'kernel': kernels[name]}}, inputs)

        options = {'use_bias': False, 'dtype': jnp.float64}

        def logits(images):
            hidden = jnp.tanh(applied(Conv(3, kernel_size=4, stride=2, **options), 'down', images))
            hidden = jnp.tanh(applied(Conv(2, **options), 'same', hidden))
            return applied(Dense(1, **options), 'dense', hidden.reshape(len(images), -1))[:, 0]

        return logits

    def plain(kernels):
        convolve = functools.partial(
            lax.conv_general_dilated, padding='SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )

        def logits(images):
            hidden = jnp.tanh(convolve(images, kernels['down'], (2, 2)))
            hidden = jnp.tanh(convolve(hidden, kernels['same'], (1, 1)))
            return (hidden.reshape(len(images), -1) @ kernels['dense'])[:, 0]

        return logits

    def penalty(network, kernels):
        return penalties.gradient_penalty(network(kernels), real, fake, KEY) + penalties.r1(network(kernels), real)

    got, wanted = (
        jax.jit(jax.value_and_grad(functools.partial(penalty, network)))(kernels) for network in (ours, plain)
    )
    for mine, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        assert mine.dtype == jnp.float64
        assert jnp.all(jnp.isfinite(mine))
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
