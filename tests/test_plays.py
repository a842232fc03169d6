"""Plays: each is the method of its paper in closed form, on parts of batches, on devices and in populations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from gan_jax import build, losses, plays, steps, terms
from gan_jax import config as configs
from gan_jax.adversarial import adversarial
from gan_jax.balance import Balance
from gan_jax.config import files
from gan_jax.errors import UserError
from gan_jax.game import Pair, normal_latents
from gan_jax.networks import pure
from tests import compiled
from tests.quadratic_games import PLACES, blocks, join, quadratic_game, random_matrix

RATE, GAMMA = 0.1, 0.3
MATRIX, OFFSET, START = random_matrix(), np.linspace(-1, 1, 6), np.linspace(1, -0.5, 6)


def field(point):
    return MATRIX @ point + OFFSET * 2.0  # the batch's mean


def in_turn(point):
    for own in PLACES.values():
        point = point.copy()
        point[own] -= RATE * field(point)[own]
    return point


def along(direction):
    return START - RATE * direction


ROTATION, GRADIENT = (MATRIX - MATRIX.T) / 2, MATRIX.T @ field(START)
ALIGNED = np.sign((field(START) @ GRADIENT) * (ROTATION.T @ field(START) @ GRADIENT) / 6 + 0.1)
EXPECTED = {
    'alternating': (plays.alternating(), in_turn(START)),
    'simultaneous': (plays.simultaneous(), along(field(START))),
    'extragradient': (plays.extragradient(), along(field(along(field(START))))),
    'consensus': (plays.consensus(GAMMA), along(field(START) + GAMMA * GRADIENT)),
    'symplectic': (plays.symplectic(GAMMA, align=False), along(field(START) + GAMMA * ROTATION.T @ field(START))),
    'aligned': (plays.symplectic(GAMMA), along(field(START) + ALIGNED * GAMMA * ROTATION.T @ field(START))),
    'competitive': (
        plays.competitive(RATE),
        along(np.linalg.solve(np.eye(6) + RATE * (MATRIX - blocks(MATRIX)), field(START))),
    ),
}


def after_a_round(play, **options):
    """The parameters after a round of a quadratic game, and its metrics."""
    game, optimizers = quadratic_game(MATRIX, OFFSET, START), dict.fromkeys(PLACES, optax.sgd(RATE))
    state = compiled.init_state(game, optimizers, jax.random.key(0))
    step, batch = steps.make_train_step(game, optimizers, play=play, **options), {'real': jnp.linspace(1.0, 3.0, 8)}
    if 'axis_name' in options:
        step = jax.shard_map(
            step,
            mesh=jax.sharding.Mesh(np.array(jax.devices()), ('devices',)),
            in_specs=(P(), P('devices'), P('devices')),
            out_specs=P(),
        )
    after, metrics = jax.jit(step)(state, batch, jnp.arange(8))
    assert after.step == 1
    return join({name: player.params for name, player in after.players.items()}), metrics


@pytest.mark.parametrize('name', EXPECTED)
def test_a_round_of_a_quadratic_game_is_that_worked_out_by_hand(name):
    play, expected = EXPECTED[name]
    with jax.enable_x64(True):
        found, metrics = after_a_round(play)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    first = expected[PLACES['x']] - START[PLACES['x']]
    np.testing.assert_allclose(metrics['x/gradient_norm'], np.linalg.norm(first) / RATE, rtol=1e-6)


@pytest.mark.parametrize('options', [{'accumulate': 4}, {'axis_name': 'devices'}], ids=['parts', 'devices'])
@pytest.mark.parametrize('name', ['extragradient', 'consensus', 'competitive'])
def test_so_it_is_on_parts_of_the_batch_and_on_devices(name, options):
    play, expected = EXPECTED[name]
    with jax.enable_x64(True):
        found, _ = after_a_round(play, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_sign_of_an_aligned_adjustment_turns_from_an_unstable_point():
    """In a one-player game there is no rotation; in F = (x + 4 y, -4 x + y) times -1 the point 0 is unstable."""
    unstable = -np.array([[1.0, 4.0], [-4.0, 1.0]])
    at = plays.Linearization(
        unstable @ START[:2],
        lambda v: unstable @ v,
        lambda v: unstable.T @ v,
        lambda v: (unstable - np.diag(np.diag(unstable))) @ v,
    )
    plain, aligned = (plays.symplectic(1.0, align).direct(at) for align in (False, True))
    adjustment = -(unstable - unstable.T) / 2 @ at.value
    np.testing.assert_allclose(plain, at.value + adjustment)
    np.testing.assert_allclose(aligned, at.value - adjustment)


def test_extragradient_with_adam_is_extra_adam():
    """Gidel et al. 2019, algorithm 4: moments are updated by both gradients, parameters by the second alone."""
    rate, b1, b2, eps, rounds = 0.05, 0.5, 0.9, 1e-8, 3
    with jax.enable_x64(True):
        game, optimizers = quadratic_game(MATRIX, OFFSET, START), dict.fromkeys(PLACES, optax.adam(rate, b1, b2, eps))
        state = compiled.init_state(game, optimizers, jax.random.key(0))
        step = jax.jit(steps.make_train_step(game, optimizers, play=plays.extragradient()))
        for _ in range(rounds):
            state, _ = step(state, {'real': jnp.full(4, 2.0)})

    point, mean, square, count = START, np.zeros(6), np.zeros(6), 0

    def update(gradient):
        nonlocal mean, square, count
        mean, square, count = b1 * mean + (1 - b1) * gradient, b2 * square + (1 - b2) * gradient**2, count + 1
        return -rate * mean / (1 - b1**count) / (np.sqrt(square / (1 - b2**count)) + eps)

    for _ in range(rounds):
        point = point + update(field(point + update(field(point))))
    np.testing.assert_allclose(join({name: player.params for name, player in state.players.items()}), point, rtol=1e-9)


def repeated_latents(key, positions):
    """Latents that are the same for every key."""
    del key
    return normal_latents(3)(jax.random.key(2), positions)


def game_of_points(loss=None, **options):
    return adversarial(
        pure(lambda key: jax.random.normal(key, (3, 2)), lambda w, z: jnp.tanh(z @ w)),
        pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: jnp.sin(x @ w) + x @ w),
        loss or losses.non_saturating(),
        repeated_latents,
        **options,
    )


OPTIMIZERS = Pair(optax.adam(0.1), optax.sgd(0.1))._asdict()
DIRECTED = {name: EXPECTED[name][0] for name in ('extragradient', 'consensus', 'aligned', 'competitive')}
SAME_TIME = {**DIRECTED, 'simultaneous': plays.simultaneous()}
BATCH = {'real': np.random.default_rng(1).normal(size=(16, 2)) + 1}


def rounds(game, plays_, count=2, **options):
    """(state, batch, positions) -> the state after some rounds of each play, and the last metrics."""

    def run(state, batch, positions):
        found = {}
        for name, play in plays_.items():
            step, now = steps.make_train_step(game, OPTIMIZERS, play=play, **options), state
            for _ in range(count):
                now, metrics = step(now, batch, positions)
            found[name] = now.players, now.memory, metrics
        return found

    return jax.jit(run)


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-9), a, b)


@pytest.mark.slow
def test_accumulated_parts_are_the_round_of_the_whole_batch_where_examples_do_not_mix():
    with jax.enable_x64(True):
        game = game_of_points()
        state = compiled.init_state(game, OPTIMIZERS, jax.random.key(0))
        whole, parts = (rounds(game, SAME_TIME, accumulate=count)(state, BATCH, jnp.arange(16)) for count in (1, 4))
        close({name: players for name, (players, _, _) in whole.items()},
              {name: players for name, (players, _, _) in parts.items()})  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('check_vma', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_under_shard_map_rounds_are_those_of_the_whole_batch(check_vma):
    """For a loss that compares the examples of all devices, with a penalty and a memory."""

    def game_over(axis_name):
        added = terms.joined([terms.r1(1.0)] if check_vma else [terms.r1(1.0), terms.lecam(0.3)])
        return game_of_points(losses.relativistic_average(), terms=added, axis_name=axis_name)

    with jax.enable_x64(True):
        state = compiled.init_state(game_over(None), OPTIMIZERS, jax.random.key(0))
        whole = rounds(game_over(None), SAME_TIME)(state, BATCH, jnp.arange(16))
        share = jax.shard_map(
            rounds(game_over('devices'), SAME_TIME, axis_name='devices'),
            mesh=jax.sharding.Mesh(np.array(jax.devices()), ('devices',)),
            in_specs=(P(), P('devices'), P('devices')),
            out_specs=P(),
            check_vma=check_vma,
        )
        close(jax.jit(share)(state, BATCH, jnp.arange(16)), whole)


def test_in_a_population_the_weight_of_a_play_can_vary():
    with jax.enable_x64(True):
        weights = jnp.array([0.0, GAMMA])
        game, optimizers = quadratic_game(MATRIX, OFFSET, START), dict.fromkeys(PLACES, optax.sgd(RATE))
        state = compiled.init_state(game, optimizers, jax.random.key(0))

        def after(weight):
            step = steps.make_train_step(game, optimizers, play=plays.consensus(weight))
            return step(state, {'real': jnp.full(4, 2.0)})[0].players

        together = jax.jit(jax.vmap(after))(weights)
    found = np.concatenate([together[name].params for name in PLACES], axis=1)
    np.testing.assert_allclose(found, [EXPECTED['simultaneous'][1], EXPECTED['consensus'][1]], rtol=1e-6)


@pytest.mark.slow
def test_simultaneous_turns_of_several_moves_see_the_opponents_of_the_beginning():
    """A discriminator that moves twice and a lazy penalty: each player's moves add up, against a frozen opponent."""
    game = game_of_points(terms=terms.r1(1.0), lazy=Pair(1, 2), discriminator_steps=2)
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    state = compiled.init_state(game, optimizers, jax.random.key(0))
    batch = {'real': np.stack([BATCH['real'], BATCH['real'] + 1])}
    together, _ = jax.jit(steps.make_train_step(game, optimizers, play=plays.simultaneous()))(state, batch)
    for name in Pair._fields:
        frozen = {one: optimizers[one] if one == name else optax.set_to_zero() for one in optimizers}
        alone = state.replace(players={**state.players, **{
            one: player._replace(opt_state=frozen[one].init(player.params)) for one, player in state.players.items()
        }})  # fmt: skip
        alone, _ = jax.jit(steps.make_train_step(game, frozen))(alone, batch)
        close(together.players[name].params, alone.players[name].params)


def convolutional(name):
    """The step of a directed play of small DCGANs, a function to its first state, and a batch."""
    overrides = ['data.size=8', 'generator.width=2', 'discriminator.width=2', 'latents.size=4', 'batch_size=4']
    game = build.make_game(configs.load('dcgan', overrides), (8, 8, 1))
    optimizers = Pair(optax.sgd(1e-3), optax.sgd(1e-3))._asdict()
    step = steps.make_train_step(game, optimizers, play=DIRECTED[name])
    return step, lambda: compiled.init_state(game, optimizers, jax.random.key(0)), {'real': jnp.zeros((4, 8, 8, 1))}


def test_competitive_play_differentiates_through_convolutions_which_have_reverse_mode_only():
    step, start, batch = convolutional('competitive')
    _, metrics = jax.eval_shape(step, jax.eval_shape(start), batch)
    assert metrics['generator/gradient_norm'].shape == ()


@pytest.mark.slow
@pytest.mark.parametrize('name', DIRECTED)
def test_a_step_of_convolutions_goes_along_the_directions(name):
    step, start, batch = convolutional(name)
    before = start()
    after, metrics = jax.jit(step)(before, batch)
    for player in Pair._fields:
        moved = jax.tree.map(lambda a, b: a - b, after.players[player].params, before.players[player].params)
        np.testing.assert_allclose(optax.tree.norm(moved), 1e-3 * metrics[f'{player}/gradient_norm'], rtol=1e-2)


@pytest.mark.parametrize(
    'options',
    [
        {'discriminator_steps': 2},
        {'generator_steps': 2},
        {'terms': terms.r1(1.0), 'lazy': Pair(1, 4)},
        {'balance': Balance('accuracy', 0.9)},
        {'unrolled_steps': 1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_game_whose_moves_do_not_fit_gets_one_sentence(options):
    game = game_of_points(**options)
    with pytest.raises(UserError, match=r"^This play moves all players together, once in every round, but the turn '"):
        steps.make_train_step(game, OPTIMIZERS, play=plays.consensus())
    steps.make_train_step(game, OPTIMIZERS, play=plays.simultaneous())


def test_a_config_names_a_play():
    toy = files.recipes()['toy']
    config = configs.load(str(toy), ['play.name=extragradient', 'schedule.name=linear', 'duration=10 steps'])
    game = build.make_game(config, (2,))
    state = build.init_state(config, game)
    step = jax.jit(build.make_step(config, game))
    batch = {'real': jnp.zeros((config.batch_size, 2))}
    for _ in range(10):  # of two updates each: the schedule ends with the run
        before, (state, _) = state, step(state, batch)
    assert optax.tree.get(state.generator.opt_state, 'count', filtering=lambda path, _: 'Schedule' in str(path)) == 20
    assert (
        float(jnp.abs(before.generator.params['Dense_0']['kernel'] - state.generator.params['Dense_0']['kernel']).max())
        > 0
    )
    with pytest.raises(UserError, match=r"^play\.name is 'extra'; choose one of alternating, simultaneous"):
        configs.load(str(toy), ['play.name=extra'])
    with pytest.raises(UserError, match=r'^play\.weight is -1\.0; it must be from 0'):
        configs.load(str(toy), ['play.name=consensus', 'play.weight=-1.0'])
