"""LOGAN's step of the latents, against its closed form in a bilinear game."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.adversarial import adversarial
from gan_jax.codes import Codes
from gan_jax.errors import UserError
from gan_jax.game import Pair, normal_latents
from gan_jax.games.bigan import bigan
from gan_jax.games.infogan import infogan
from gan_jax.latent_step import LatentStep
from gan_jax.networks import pure
from gan_jax.parts import Parts
from gan_jax.runtime import snapshot
from tests import compiled

LATENT, BATCH = 3, 8
OPTIMIZERS = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
STEPS = {'natural': LatentStep(0.9, damping=0.5), 'plain': LatentStep(0.3, natural=False)}


def latents(key, positions):
    """The same latents for every key."""
    del key
    return normal_latents(LATENT)(jax.random.key(2), positions)


def game_of(step, **options):
    return adversarial(
        pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: z @ w),
        pure(lambda key: jax.random.normal(key, (2,)), lambda v, x: x @ v),
        losses.wasserstein(),
        latents,
        latent_step=step,
        **options,
    )


def start(game):
    return compiled.init_state(game, OPTIMIZERS, jax.random.key(0))


@pytest.mark.parametrize('name', STEPS)
def test_both_players_learn_from_the_moved_latents_and_through_their_step(name):
    """The gradient of z w v by the latents z is w v, so the step adds its squared length, scaled, to each logit."""
    game, real = game_of(STEPS[name]), jax.random.normal(jax.random.key(7), (BATCH, 2))
    state = start(game)

    def fake_logit(w, v):
        squared = jnp.sum((w @ v) ** 2)
        gain = 0.9 * squared / (0.5 + squared) if name == 'natural' else 0.3 * squared
        return (latents(None, jnp.arange(BATCH)) @ w @ v).mean() + gain

    w, v = state.generator.params, state.discriminator.params
    for player, at, expected in (
        ('generator', w, lambda w: -fake_logit(w, v)),
        ('discriminator', v, lambda v: fake_logit(w, v) - (real @ v).mean()),
    ):
        turn = game.turn(player)

        def loss(params, turn=turn):
            return turn.loss(params, state, {'real': real}, state.key, jnp.arange(BATCH))[0]

        value, gradient = jax.jit(jax.value_and_grad(loss))(at)
        wanted, slope = jax.value_and_grad(expected)(at)
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
        np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-6)


def test_moved_latents_are_clipped():
    moved = LatentStep(1.0, natural=False, bound=1.0).moved(
        jnp.array([[0.5, -0.9]]), lambda z: z @ jnp.array([0.2, -3])
    )
    np.testing.assert_allclose(moved, [[0.7, -1.0]], rtol=1e-6)


def test_samples_are_made_of_latents_as_they_are_drawn():
    game, z = game_of(STEPS['natural']), latents(None, jnp.arange(4))
    w = start(game).generator.params
    np.testing.assert_array_equal(game.sample(w, {}, z), z @ w)


def test_eight_devices_move_the_latents_of_one():
    state, batch = start(game_of(STEPS['natural'])), {'real': jax.random.normal(jax.random.key(7), (BATCH, 2))}

    def step_of(axis_name):
        game = game_of(STEPS['natural'], axis_name=axis_name)
        return steps.make_train_step(game, OPTIMIZERS, axis_name=axis_name)

    shares, positions = {'real': batch['real'].reshape(8, -1, 2)}, jnp.arange(BATCH).reshape(8, -1)
    whole, metrics = jax.jit(step_of(None))(state, batch)
    other, again = jax.pmap(step_of('batch'), 'batch', in_axes=(None, 0, 0), out_axes=None)(state, shares, positions)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), again, metrics)
    np.testing.assert_allclose(other.generator.params, whole.generator.params, rtol=1e-5)


def test_a_config_takes_the_step_and_clips_uniform_latents():
    config = configs.load('toy', {'latent_step.size': '0.9', 'latents.distribution': 'uniform'})
    assert Parts(config, {'real': (2,)}).options['latent_step'] == LatentStep(0.9, True, 5.0, 1.0)
    plain = configs.load('toy', {'latent_step.size': '0.9', 'latent_step.natural': 'False'})
    assert Parts(plain, {'real': (2,)}).options['latent_step'] == LatentStep(0.9, False, 5.0, None)
    assert Parts(configs.load('toy'), {'real': (2,)}).options['latent_step'] is None


@pytest.mark.parametrize(
    ('step', 'sentence'),
    [(LatentStep(0.0), r'latent_step\.size is 0\.0'), (LatentStep(0.9, damping=0.0), r'latent_step\.damping is 0\.0')],
)
def test_impossible_steps_are_refused(step, sentence):
    with pytest.raises(UserError, match=sentence):
        game_of(step)


def test_the_size_can_change_during_a_run():
    config = configs.load(
        'toy', {'latent_step.size': '0.9', 'schedules': "('latent_step.size: linear to 0 in 4 steps',)"}
    )
    game = build.make_game(config, (2,))
    state, step = build.init_state(config, game), jax.jit(build.make_step(config, game))
    batch, sizes = {'real': jnp.ones((4, 2))}, []
    for _ in range(3):
        state, metrics = step(state, batch)
        sizes.append(metrics['latent_step/size'])
    np.testing.assert_allclose(sizes, [0.9, 0.675, 0.45], rtol=1e-6)


@pytest.mark.parametrize('name', ['bigan', 'infogan', 'pix2pix'])
def test_games_with_other_latents_refuse_the_step(name):
    config = configs.load(name, {'latent_step.size': '0.9'})
    with pytest.raises(UserError, match=f'moves the latents of the game adversarial, not those of {name}: set its'):
        build.make_game(config, (16, 16, 1), shapes={'input': (16, 16, 1)})


def test_latents_that_are_codes_or_half_of_a_pair_are_not_moved():
    network = pure(lambda key: jnp.zeros(1), lambda params, x: x)
    networks = network, network, losses.wasserstein()
    with pytest.raises(UserError, match=r'latent_step is .*; it must be None, since it moves codes'):
        infogan(*networks, LATENT, codes=Codes((2,)), latent_step=STEPS['plain'])
    with pytest.raises(UserError, match='BiGAN does not support latent_step'):
        bigan(network, *networks, LATENT, shape=(2,), latent_step=STEPS['plain'])


def test_a_resumed_run_moves_the_same_latents():
    game, batch = game_of(STEPS['natural']), {'real': jax.random.normal(jax.random.key(7), (BATCH, 2))}
    step = jax.jit(steps.make_train_step(game, OPTIMIZERS))
    states = [start(game)]
    for _ in range(3):
        states.append(step(states[-1], batch)[0])
    resumed = snapshot.unpack(states[1], *snapshot.pack(states[1]))
    for _ in range(2):
        resumed, _ = step(resumed, batch)
    jax.tree.map(np.testing.assert_array_equal, resumed.players, states[3].players)
