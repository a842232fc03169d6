"""Games whose discriminators are autoencoders: the controller of BEGAN, and the pulling-away term of EBGAN."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, penalties, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Pair, normal_latents
from gan_jax.judgement import Judgement
from gan_jax.networks import pure
from gan_jax.runtime import snapshot
from tests import compiled

LATENT, BATCH = 3, 8
OPTIMIZERS = Pair(optax.sgd(0.05), optax.sgd(0.05))._asdict()
LOSS = losses.equilibrium(gamma=0.6, lambda_k=0.1)


def discriminate(params, examples):
    """A linear autoencoder of points in the plane, with one number as code."""
    code = examples @ params['encoder']
    return Judgement(-jnp.abs(code @ params['decoder'] - examples).mean(1), features={'code': code})


def latents(key, positions):
    """The same latents in every step, so that a test knows the fake examples."""
    del key
    return normal_latents(LATENT)(jax.random.key(2), positions)


def game_of(loss=LOSS, **options):
    def start(key):
        encoder, decoder = jax.random.split(key)
        return {'encoder': jax.random.normal(encoder, (2, 1)), 'decoder': jax.random.normal(decoder, (1, 2))}

    generator = pure(lambda key: jax.random.normal(key, (LATENT, 2)) / 2, lambda w, z: z @ w)
    return adversarial(generator, pure(start, discriminate), loss, latents, **options)


def start(game):
    return compiled.init_state(game, OPTIMIZERS, jax.random.key(0))


def batch_of(i):
    return {'real': 3 * jax.random.normal(jax.random.key(i), (BATCH, 2))}


def energies(params, state, i):
    """The mean energies of the real and of the fake examples of a step."""
    fake = latents(None, jnp.arange(BATCH)) @ state.generator.params
    return [-float(discriminate(params, examples).logits.mean()) for examples in (batch_of(i)['real'], fake)]


def test_the_controller_follows_the_energies_of_each_step():
    game = game_of()
    state, step, k = start(game), jax.jit(steps.make_train_step(game, OPTIMIZERS)), 0.0
    np.testing.assert_array_equal(state.memory['loss'], [0.0])
    for i in range(4):
        real, fake = energies(state.discriminator.params, state, i)
        state, metrics = step(state, batch_of(i))
        np.testing.assert_allclose(metrics['discriminator/loss'], real - k * fake, rtol=1e-5)
        np.testing.assert_allclose(metrics['discriminator/k'], k, rtol=1e-5)
        np.testing.assert_allclose(metrics['discriminator/convergence'], real + abs(0.6 * real - fake), rtol=1e-5)
        k = min(max(k + 0.1 * (0.6 * real - fake), 0.0), 1.0)
        np.testing.assert_allclose(state.memory['loss'], [k], rtol=1e-5, atol=1e-7)
    assert 0 < k < 1


def test_each_of_several_discriminators_has_its_own_controller():
    game = game_of(discriminators=2)
    state = start(game)
    each = [state.discriminator.params[name] for name in sorted(state.discriminator.params)]
    expected = [np.clip(0.1 * (0.6 * real - fake), 0, 1) for real, fake in (energies(one, state, 0) for one in each)]
    state, _ = jax.jit(steps.make_train_step(game, OPTIMIZERS))(state, batch_of(0))
    np.testing.assert_allclose(state.memory['loss'], expected, rtol=1e-5)
    assert expected[0] != expected[1]


def test_a_resumed_state_continues_with_the_number_bit_for_bit():
    game = game_of()
    step, state = jax.jit(steps.make_train_step(game, OPTIMIZERS)), start(game)
    for i in range(2):
        state, _ = step(state, batch_of(i))
    resumed = snapshot.unpack(start(game), *snapshot.pack(state))
    assert resumed.memory['loss'] == state.memory['loss'] != 0
    for i in range(2, 5):
        (state, metrics), (resumed, again) = step(state, batch_of(i)), step(resumed, batch_of(i))
        assert metrics == again
    assert resumed.memory['loss'] == state.memory['loss']


def test_the_generators_codes_are_pulled_away():
    game = game_of(losses.margin(2.0), terms=terms.pulling_away(0.1))
    state, plain = start(game), game_of(losses.margin(2.0))
    arguments = state.generator.params, state, batch_of(0), jax.random.key(3), jnp.arange(BATCH)
    value, outcome = game.turn('generator').loss(*arguments)
    codes = latents(None, jnp.arange(BATCH)) @ state.generator.params @ state.discriminator.params['encoder']
    np.testing.assert_allclose(outcome.metrics['pulling_away'], penalties.pulling_away(codes), rtol=1e-6)
    bare, _ = plain.turn('generator').loss(*arguments)
    np.testing.assert_allclose(value, bare + 0.1 * outcome.metrics['pulling_away'], rtol=1e-6)


def test_the_pulling_away_term_needs_features():
    without = pure(lambda key: jnp.ones(2), lambda w, x: x @ w)
    generator = pure(lambda key: jnp.ones((LATENT, 2)), lambda w, z: z @ w)
    game = adversarial(generator, without, losses.hinge(), LATENT, terms=terms.pulling_away(0.1))
    with pytest.raises(UserError, match='pulling-away term needs a discriminator that returns a Judgement with'):
        jax.eval_shape(steps.make_train_step(game, OPTIMIZERS), start(game), batch_of(0))


def test_eight_devices_play_the_game_of_one():
    """Energies, the controller and the pairs of codes are those of the global batch."""

    def step_of(axis_name):
        game = game_of(terms=terms.pulling_away(0.1), axis_name=axis_name)
        return steps.make_train_step(game, OPTIMIZERS, axis_name=axis_name)

    state, one = start(game_of(terms=terms.pulling_away(0.1))), jax.jit(step_of(None))
    spread = jax.pmap(step_of('batch'), 'batch', in_axes=(None, 0, 0), out_axes=None)
    other, positions = state, jnp.arange(BATCH).reshape(8, -1)
    for i in range(3):
        state, metrics = one(state, batch_of(i))
        other, again = spread(other, jax.tree.map(lambda leaf: leaf.reshape(8, -1, 2), batch_of(i)), positions)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
        jax.tree.map(close, again, metrics)
        jax.tree.map(close, other.memory, state.memory)
    assert 0 < state.memory['loss'][0] < 1
