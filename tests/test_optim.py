"""Optimisers and schedules: closed forms, optax's own bits where an option is off, and a sentence for each mistake."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import optim
from gan_jax.errors import UserError
from gan_jax.optim import OPTIMIZERS, SCHEDULES

PARAMS = {'kernel': jnp.array([[0.5, -2.0], [1.0, 0.25]]), 'bias': jnp.array([0.75, -0.5])}
GRADIENTS = {'kernel': jnp.array([[3.0, -1.0], [0.5, 2.0]]), 'bias': jnp.array([-4.0, 0.125])}


def run(optimizer, updates=1, params=PARAMS, gradients=GRADIENTS):
    """The parameters after some updates by the same gradients."""

    @jax.jit
    def update(params, state):
        step, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, step), state

    state = optimizer.init(params)
    for _ in range(updates):
        params, state = update(params, state)
    return params


def same(tree, expected):
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


def close(tree, expected):
    """Equal up to the rounding of float32 parameters near 1, from which small ones come by subtraction."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1.2e-7), tree, expected)


@pytest.mark.parametrize(
    ('ours', 'plain'),
    [
        (optim.adam(1e-3, 0.4, 0.95, 1e-6), optax.adam(1e-3, b1=0.4, b2=0.95, eps=1e-6)),
        (optim.adam(1e-3, eps_root=1e-4), optax.adam(1e-3, b1=0.5, b2=0.999, eps_root=1e-4)),
        (optim.rmsprop(1e-3, 0.8, 1e-6), optax.rmsprop(1e-3, decay=0.8, eps=1e-6)),
        (optim.sgd(1e-2), optax.sgd(1e-2)),
        (optim.sgd(1e-2, 0.9), optax.sgd(1e-2, momentum=0.9)),
        (optim.sgd(1e-2, -0.5), optax.sgd(1e-2, momentum=-0.5)),
    ],
    ids=['adam', 'adam eps_root', 'rmsprop', 'sgd', 'momentum', 'negative momentum'],
)
def test_with_every_option_off_the_bits_are_optaxs(ours, plain):
    same(run(ours, updates=3), run(plain, updates=3))


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_a_schedule_multiplies_the_learning_rate_by_the_count_of_updates(name):
    optimizer = OPTIMIZERS[name](schedule=lambda count: jnp.where(count == 1, 0.0, 2.0))
    rate = {'adam': 4e-4, 'rmsprop': 1e-4, 'sgd': 2e-2}[name]
    once, twice = run(optimizer, 1), run(optimizer, 2)
    close(once, run(OPTIMIZERS[name](rate), 1))
    same(twice, once)  # the second update's factor is 0


FIELD = np.array([[0.3, 1.0], [-1.0, 0.2]])  # of a game of two numbers


def played(optimizer, rounds):
    """The points of a game played at once, from (1, -2)."""
    points, params = [], jnp.array([1.0, -2.0])
    state = optimizer.init(params)
    for _ in range(rounds):
        points.append(np.asarray(params))
        updates, state = optimizer.update(FIELD @ params, state, params)
        params = optax.apply_updates(params, updates)
    return np.stack(points)


def test_optimism_is_extrapolation_from_the_past():
    """Gidel et al. 2019: v_t = w_t - a F(v_(t-1)), w_(t+1) = w_t - a F(v_t); the parameters are the v_t."""
    with jax.enable_x64(True):
        found = played(optim.sgd(0.1, optimism=1.0), 6)
    ahead, point = found[0], found[0] + 0.1 * FIELD @ found[0]  # so that the first point ahead is the start
    expected = []
    for _ in range(6):
        expected.append(ahead)
        point = point - 0.1 * FIELD @ ahead
        ahead = point - 0.1 * FIELD @ ahead
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize('b1', [0.5, -0.5])
def test_optimistic_adam_is_that_of_the_paper(b1):
    """Daskalakis et al. 2018, algorithm 1: minus 2 a m_t / sqrt(v_t), plus a m_(t-1) / sqrt(v_(t-1))."""
    rate, b2, eps = 0.1, 0.9, 1e-8
    with jax.enable_x64(True):
        found = played(optim.adam(rate, b1, b2, eps, optimism=1.0), 6)
    point, mean, square, before, expected = found[0], np.zeros(2), np.zeros(2), None, []
    for count in range(1, 7):
        expected.append(point)
        gradient = FIELD @ point
        mean, square = b1 * mean + (1 - b1) * gradient, b2 * square + (1 - b2) * gradient**2
        direction = mean / (1 - b1**count) / (np.sqrt(square / (1 - b2**count)) + eps)
        before = direction if before is None else before
        point, before = point - 2 * rate * direction + rate * before, direction
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_gradients_are_clipped_by_their_global_norm():
    norm = np.sqrt(sum((g**2).sum() for g in map(np.asarray, GRADIENTS.values())))
    close(
        run(optim.sgd(0.1, clip_norm=2.0)),
        jax.tree.map(lambda p, g: p - 0.1 * g * 2.0 / norm, PARAMS, GRADIENTS),
    )
    same(run(optim.sgd(0.1, clip_norm=100.0)), run(optim.sgd(0.1)))
    # Before Adam's moments: two updates are those of the gradients of norm 2.
    clipped = jax.tree.map(lambda g: g * 2.0 / norm, GRADIENTS)
    close(run(optim.adam(0.1, eps=0.5, clip_norm=2.0), 2), run(optim.adam(0.1, eps=0.5), 2, gradients=clipped))


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_weight_decay_is_decoupled_and_spares_biases(name):
    """The first update of AdamW: p - rate (direction + decay p), the direction that of the optimiser without decay."""
    params = {'kernel': np.asarray(PARAMS['kernel'], np.float64), 'bias': np.asarray(PARAMS['bias'], np.float64)}
    plain, decayed = run(OPTIMIZERS[name](0.1)), run(OPTIMIZERS[name](0.1, weight_decay=0.2))
    same(decayed['bias'], plain['bias'])
    close(decayed['kernel'], plain['kernel'] - 0.1 * 0.2 * params['kernel'])
    half = run(OPTIMIZERS[name](0.1, weight_decay=0.2, schedule=lambda count: 0.5))
    close(half['kernel'], run(OPTIMIZERS[name](0.05))['kernel'] - 0.05 * 0.2 * params['kernel'])


def test_adamw_in_closed_form():
    """Loshchilov and Hutter 2019, algorithm 2, by hand in float64: with one gradient, m/c1 = g and v/c2 = g^2."""
    kernel, gradient = np.asarray(PARAMS['kernel'], np.float64), np.asarray(GRADIENTS['kernel'], np.float64)
    for _ in range(3):
        kernel = kernel - 0.01 * (gradient / (np.abs(gradient) + 1e-8) + 0.3 * kernel)
    close(run(optim.adam(0.01, weight_decay=0.3), 3)['kernel'], kernel)


def test_weights_are_clipped_exactly():
    params = {'w': jnp.array([0.0, 0.0099, -0.0099, 0.01, 0.02, -0.5])}
    gradients = {'w': jnp.array([0.5, -1.0, 1.0, 1.0, 0.0, 0.0])}
    clipped = run(optim.sgd(1e-3, clip_weights=0.01), params=params, gradients=gradients)['w']
    np.testing.assert_allclose(clipped, [-0.0005, 0.01, -0.01, 0.009, 0.01, -0.01], rtol=1e-6)
    np.testing.assert_array_equal(clipped[jnp.array([1, 2, 4])], jnp.array([0.01, -0.01, 0.01]))
    # From far away up to the rounding of the parameter that came, and to the bit from the next update on.
    many = {'w': jax.random.normal(jax.random.key(0), (1000,))}
    away = {'w': jax.random.normal(jax.random.key(1), (1000,))}
    optimizer, limit = optim.sgd(1e-3, clip_weights=0.01), np.float32(0.01)
    first = run(optimizer, params=many, gradients=away)['w']
    assert np.all(np.abs(first) <= limit + np.spacing(np.abs(many['w'])))
    second = run(optimizer, updates=2, params=many, gradients=away)['w']
    assert np.abs(second).max() == limit


def test_weights_are_clipped_after_weight_decay_and_learning_rate():
    params, gradients = {'w': jnp.array([[1.0, -1.0]])}, {'w': jnp.array([[-1.0, 1.0]])}
    # p + rate - rate decay p: 1 + 0.1 - 0.1 would be 1, and with half the decay 1.05, beyond the limit.
    for decay, expected in ((1.0, 1.0), (0.5, 1.04)):
        moved = run(optim.sgd(0.1, weight_decay=decay, clip_weights=1.04), params=params, gradients=gradients)
        np.testing.assert_allclose(moved['w'], [[expected, -expected]], rtol=1e-6)


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_a_learning_rate_of_0_is_a_player_that_stands_still(name):
    optimizer = OPTIMIZERS[name](learning_rate=0.0)
    updates, _ = optimizer.update(2.0, optimizer.init(1.0))
    assert updates == 0.0


def factors(schedule, *counts):
    return [float(schedule(jnp.int32(count))) for count in counts]


@pytest.mark.parametrize(
    ('scheduler', 'values'),
    [
        (optim.constant(), {0: 1, 50: 1, 200: 1}),
        (optim.constant(warm_up=0.1), {0: 0, 1: 0.1, 5: 0.5, 10: 1, 11: 1, 100: 1}),
        (optim.linear(), {0: 1, 25: 0.75, 99: 0.01, 100: 0, 150: 0}),
        (optim.linear(begin=0.5), {0: 1, 50: 1, 75: 0.5, 100: 0, 101: 0}),
        (optim.linear(begin=0.2, end=0.2), {20: 1, 60: 0.6, 100: 0.2, 200: 0.2}),
        (optim.linear(begin=1.0, end=0.2), {0: 1, 99: 1}),
        (optim.linear(warm_up=0.5), {0: 0, 25: 0.5 * 0.75, 50: 0.5, 75: 0.25}),
        (optim.cosine(), {0: 1, 25: (1 + np.sqrt(0.5)) / 2, 50: 0.5, 75: (1 - np.sqrt(0.5)) / 2, 100: 0, 120: 0}),
        (optim.cosine(begin=0.5, end=0.1), {49: 1, 50: 1, 75: 0.55, 100: 0.1, 120: 0.1}),
        (optim.cosine(begin=1.0), {0: 1, 99: 1}),
        (optim.inverse(), {0: 1, 10: 2**-0.75, 50: 6**-0.75, 100: 11**-0.75}),
        (optim.inverse(gamma=3.0, power=2.0), {0: 1, 50: 0.16, 100: 1 / 16}),
        (optim.exponential(), {0: 1, 50: 0.1, 75: 0.01**0.75, 100: 0.01, 150: 0.01}),
        (optim.exponential(begin=0.5, end=0.25), {50: 1, 75: 0.5, 100: 0.25}),
        (optim.step(), {0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 100: 0.01}),
        (optim.step(at=(0.3,), factor=0.5, warm_up=0.02), {0: 0, 1: 0.5, 2: 1, 29: 1, 30: 0.5}),
        (optim.step(at=(0.5, 0.501), factor=0.5), {49: 1, 50: 0.25}),  # two places that round to one update
        (optim.step(at=()), {0: 1, 100: 1}),
    ],
)
def test_schedules_at_chosen_updates_of_a_hundred(scheduler, values):
    np.testing.assert_allclose(factors(scheduler(100), *values), list(values.values()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('name', SCHEDULES)
def test_every_schedule_scales_with_the_run_and_survives_the_shortest(name):
    scheduler = SCHEDULES[name](warm_up=0.1)
    np.testing.assert_allclose(
        factors(scheduler(1000), 50, 600, 800), factors(scheduler(10000), 500, 6000, 8000), rtol=1e-5
    )
    assert all(0 <= factor <= 1 for factor in factors(scheduler(1), 0, 1))


def test_a_schedule_inside_an_optimiser():
    rates = np.array([0, 0.05, 0.1 * 0.8, 0.1 * 0.7]) + np.array([0, -0.05 * 0.1, 0, 0])
    moved = run(optim.sgd(0.1, schedule=optim.linear(warm_up=0.2)(10)), 4)
    close(moved, jax.tree.map(lambda p, g: p - rates.sum() * g, PARAMS, GRADIENTS))


def test_lazy_regularisation_corrects_the_rate_and_adams_betas():
    options = {'name': 'adam', 'learning_rate': 0.002, 'b1': 0.0, 'b2': 0.99, 'eps': 1e-8}
    lazy = optim.lazy_adam_options(options, 16)
    expected = {'learning_rate': 0.002 * 16 / 17, 'b1': 0.0, 'b2': 0.99 ** (16 / 17)}
    assert lazy == {**options, **{name: pytest.approx(value, rel=1e-12) for name, value in expected.items()}}
    assert options['b2'] == 0.99  # what was given stays
    assert optim.lazy_adam_options(options, 1) == options  # nothing is lazy
    others = {'learning_rate': 0.3, 'momentum': 0.9, 'decay': 0.99}
    assert optim.lazy_adam_options(others, 2) == {**others, 'learning_rate': pytest.approx(0.2)}
    with pytest.raises(UserError, match=r"^The b1 of a player's optimizer with lazy penalties is -0\.5; it must be at"):
        optim.lazy_adam_options({**options, 'b1': -0.5}, 16)
    with pytest.raises(UserError) as error:
        optim.lazy_adam_options(options, 0)
    assert str(error.value) == 'The number of steps from one lazy penalty to the next is 0; it must be at least 1.'


@pytest.mark.parametrize(
    ('name', 'option', 'value', 'wanted'),
    [
        *(
            (name, option, value, wanted)
            for name in OPTIMIZERS
            for option, wanted in (
                ('learning_rate', 'from 0 to 1e+38'),
                ('clip_norm', 'from 0 to 1000000'),
                ('weight_decay', 'from 0 to 1000000'),
                ('clip_weights', 'from 0 to 1000000'),
            )
            for value in (-1.0, float('inf'), float('nan'))
        ),
        *(
            (name, 'eps', value, 'above 0 and at most 1')
            for name in ('adam', 'rmsprop')
            for value in (-1e-8, 0.0, 1e38)
        ),
        *(
            (name, option, value, 'at least 0 and below 1')
            for name, option in (('adam', 'b2'), ('rmsprop', 'decay'))
            for value in (2.0, 1.0, -0.5)
        ),
        *(
            (name, option, value, 'above -1 and below 1')
            for name, option in (('adam', 'b1'), ('sgd', 'momentum'))
            for value in (2.0, 1.0, -1.0)
        ),
    ],
)
def test_an_impossible_option_gets_one_sentence(name, option, value, wanted):
    with pytest.raises(UserError) as error:
        OPTIMIZERS[name](**{option: value})
    assert str(error.value) == f"{name}'s {option} is {value!r}; it must be {wanted}."


@pytest.mark.parametrize(
    ('name', 'options', 'sentence'),
    [
        *((name, {'warm_up': 1.5}, 'warm_up is 1.5; it must be from 0 to 1') for name in SCHEDULES),
        *(
            (name, {'begin': -0.1}, 'begin is -0.1; it must be from 0 to 1')
            for name in ('linear', 'cosine', 'exponential')
        ),
        *((name, {'end': -1.0}, 'end is -1.0; it must be from 0 to 1000000') for name in ('linear', 'cosine')),
        ('exponential', {'end': 0.0}, 'end is 0.0; it must be above 0 and at most 1000000'),
        ('step', {'at': (0.5, 75)}, 'at is (0.5, 75); it must be from 0 to 1'),
        ('step', {'factor': -0.1}, 'factor is -0.1; it must be from 0 to 1000000'),
    ],
)
def test_an_impossible_schedule_gets_one_sentence(name, options, sentence):
    with pytest.raises(UserError) as error:
        SCHEDULES[name](**options)
    assert str(error.value) == f"{name}'s {sentence}."


def test_ema_decay_halves_in_its_half_life_and_follows_closely_at_first():
    plain = optim.ema_decay(10.0, 0.0, batch_size=100)
    np.testing.assert_allclose(plain(jnp.int32(0)) ** 100, 0.5, rtol=1e-5)  # 100 batches are 10 kimg
    ramped = optim.ema_decay(10.0, 0.05, batch_size=100)
    assert ramped(jnp.int32(0)) == 0
    np.testing.assert_allclose(ramped(jnp.int32(200)), 0.5 ** (100 / 1000), rtol=1e-6)  # 5 % of 20,000 images
    assert ramped(jnp.int32(100000)) == plain(jnp.int32(100000))
