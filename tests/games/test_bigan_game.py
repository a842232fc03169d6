"""BiGAN: each player's loss in closed form and its gradients by differences, several devices, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.encoding import Encoding
from gan_jax.errors import UserError
from gan_jax.game import normal_latents
from gan_jax.games.bigan import ROLES, bigan
from gan_jax.models.bigan import Discriminator, Encoder, Generator
from gan_jax.networks import from_flax, pure
from tests import compiled

SGD = {role: optax.sgd(0.1) for role in ROLES}
BATCH, SIZE, CODE = 8, 3, 2
RNG = np.random.default_rng(0)
LATENTS, IMAGES = RNG.uniform(-1, 1, (BATCH, CODE)), RNG.uniform(-1, 1, (BATCH, SIZE))
WEIGHTS = {
    'generator': RNG.normal(size=(CODE, SIZE)) / 2,
    'encoder': RNG.normal(size=(SIZE, CODE)) / 2,
    'discriminator': RNG.normal(size=SIZE + CODE) / 2,
}


def linear(role, judged=lambda logits: logits):
    return pure(lambda key: jnp.asarray(WEIGHTS[role]), lambda w, x: judged(x @ w))


def of_linear(loss=None, judged=jnp.sinh, **options):
    return bigan(
        linear('generator'),
        linear('encoder'),
        linear('discriminator', judged),
        loss or losses.non_saturating(),
        lambda key, positions: jnp.asarray(LATENTS)[positions],
        shape=(SIZE,),
        **options,
    )


def loss_of(game, role):
    """The loss of a player at the start, as a function of its parameters, and its auxiliary outputs."""
    state = compiled.init_state(game, SGD, jax.random.key(0))
    batch, key, places = {'real': jnp.asarray(IMAGES)}, jax.random.key(3), jnp.arange(BATCH)
    return jax.jit(lambda params: game.turn(role).loss(params, state, batch, key, places))


def by_probabilities(role):
    """The losses of Donahue et al. 2017, section 3 and appendix C, in NumPy."""

    def value(params):
        weights = WEIGHTS | {role: np.asarray(params)}
        w = weights['discriminator']
        real = np.sinh(np.c_[IMAGES, IMAGES @ weights['encoder']] @ w)
        fake = np.sinh(np.c_[LATENTS @ weights['generator'], LATENTS] @ w)
        real, fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
        return {
            'discriminator': -np.log(real).mean() - np.log(1 - fake).mean(),
            'generator': -np.log(fake).mean(),
            'encoder': -np.log(1 - real).mean(),
        }[role]

    return value


@pytest.mark.parametrize('role', ROLES)
def test_each_player_has_the_published_loss_and_its_gradient(role):
    with jax.enable_x64(True):
        loss, wanted, weights = loss_of(of_linear(), role), by_probabilities(role), WEIGHTS[role]
        (value, outcome), gradient = jax.value_and_grad(loss, has_aux=True)(jnp.asarray(weights))
        np.testing.assert_allclose(value, wanted(weights), rtol=1e-9)
        differences = np.zeros_like(weights)
        for place in np.ndindex(weights.shape):
            step = np.zeros_like(weights)
            step[place] = 1e-5
            differences[place] = (wanted(weights + step) - wanted(weights - step)) / 2e-5
        assert np.abs(differences).min() > 1e-4
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-9)
        if role == 'encoder':
            again = IMAGES @ WEIGHTS['encoder'] @ WEIGHTS['generator']
            np.testing.assert_allclose(outcome.metrics['reconstruction'], ((again - IMAGES) ** 2).mean(), rtol=1e-6)


def test_at_the_equilibrium_of_equal_pairs_the_losses_are_log_4_and_log_2():
    game = of_linear(judged=lambda logits: 0 * logits)
    for role, wanted in (('discriminator', np.log(4)), ('generator', np.log(2)), ('encoder', np.log(2))):
        (value, _), gradient = jax.value_and_grad(loss_of(game, role), has_aux=True)(jnp.asarray(WEIGHTS[role]))
        assert value == pytest.approx(wanted)
        assert not gradient.any()


@pytest.mark.parametrize(
    ('loss', 'of_encoder'),
    [
        (losses.wasserstein(), lambda real, fake: real.mean()),
        (losses.hinge(), lambda real, fake: real.mean()),
        (losses.minimax(), lambda real, fake: -np.log1p(np.exp(-real)).mean()),
        (losses.relativistic_pairing(), lambda real, fake: np.log1p(np.exp(real - fake)).mean()),
    ],
)
def test_under_other_losses_the_encoder_has_the_generators_with_the_opposite_signs(loss, of_encoder):
    weights = WEIGHTS['discriminator']
    real = np.c_[IMAGES, IMAGES @ WEIGHTS['encoder']] @ weights
    fake = np.c_[LATENTS @ WEIGHTS['generator'], LATENTS] @ weights
    value, _ = loss_of(of_linear(loss, judged=lambda logits: logits), 'encoder')(jnp.asarray(WEIGHTS['encoder']))
    assert value == pytest.approx(of_encoder(real, fake), rel=1e-5)


@pytest.mark.parametrize('role', ['generator', 'encoder'])
def test_decay_adds_its_multiple_of_each_weight_to_the_gradient(role):
    def gradient(decay):
        loss = loss_of(of_linear(decay=decay), role)
        return jax.grad(lambda params: loss(params)[0])(jnp.asarray(WEIGHTS[role]))

    np.testing.assert_allclose(gradient(0.3) - gradient(0.0), 0.3 * WEIGHTS[role], rtol=1e-3, atol=1e-4)


def published(axis_name=None, code='gaussian'):
    """The published networks, small."""
    options = {'widths': (8, 6), 'axis_name': axis_name}
    return bigan(
        from_flax(Generator((SIZE,), **options), (CODE,)),
        from_flax(Encoder((CODE,), code=code, **options), (SIZE,)),
        from_flax(Discriminator((SIZE,), **options), (SIZE + CODE,)),
        losses.non_saturating(),
        normal_latents(CODE),
        shape=(SIZE,),
        axis_name=axis_name,
    )


def test_eight_devices_play_the_game_of_one():
    batch, places = {'real': np.tile(IMAGES, (2, 1)).astype(np.float32)}, jnp.arange(2 * BATCH)

    def after_one_step(axis_name):
        game = published(axis_name)
        step = steps.make_train_step(game, SGD, ema_decay=lambda step: 0.5, axis_name=axis_name)
        state = jax.jit(lambda key: steps.init_state(game, SGD, key, ema=True))(jax.random.key(0))
        if axis_name is None:
            return state, jax.jit(step)(state, batch, places)[0]
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (batch, places))
        after, _ = jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared)
        return state, jax.tree.map(lambda leaf: leaf[0], after)

    (start, one), (_, eight) = after_one_step(None), after_one_step('devices')
    for role in ROLES:
        kept = [(state.players[role].params, state.players[role].variables) for state in (start, one, eight)]
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), *kept[1:])
        assert all((x != y).any() for x, y in zip(*map(jax.tree.leaves, kept[:2]), strict=True))
    assert {role for role, player in one.players.items() if player.ema is not None} == {'generator', 'encoder'}


def test_codes_are_inferred_without_noise_or_the_batch():
    game = published()
    networks = jax.jit(game.init)(jax.random.key(0))
    found = game.encode(*networks['encoder'], IMAGES)
    assert isinstance(found, Encoding)
    assert found.codes.shape == (BATCH, CODE)
    np.testing.assert_allclose(game.encode(*networks['encoder'], IMAGES[:1]).codes, found.codes[:1], rtol=1e-5)
    assert game.sample(*networks['generator'], found.codes).shape == (BATCH, SIZE)


def test_what_is_refused():
    for options, sentence in (
        ({'decay': -1.0}, r'decay is -1\.0; it must be at least 0'),
        ({'augmentation': 1}, 'BiGAN does not support augmentation, because its discriminator sees pairs'),
        ({'real_fade': 1}, 'BiGAN does not support real_fade'),
    ):
        with pytest.raises(UserError, match=sentence):
            of_linear(**options)
    config = configs.base('bigan', game='bigan')
    config.loss = configs.section('loss', 'least_squares')
    with pytest.raises(UserError, match='least_squares does not treat real and generated pairs alike'):
        build.make_game(config, (8, 8, 1))
