"""f-AnoGAN: the encoder's loss in closed form and its gradient by differences, what never moves, phases, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, steps
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.game import normal_latents
from gan_jax.games.anogan import ROLES, anogan
from gan_jax.judgement import Judgement
from gan_jax.models.mlp import Discriminator, Encoder, Generator
from gan_jax.networks import from_flax, pure
from tests import compiled

SGD = {'encoder': optax.sgd(0.1)}
BATCH, SIZE, CODE, KAPPA = 8, 3, 2, 0.7
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (BATCH, SIZE))
WEIGHTS = {
    'generator': RNG.normal(size=(CODE, SIZE)) / 2,
    'discriminator': RNG.normal(size=(SIZE, 4)),
    'encoder': RNG.normal(size=(SIZE, CODE)) / 2,
}


def linear(role, outputs=lambda values: values):
    return pure(lambda key: jnp.asarray(WEIGHTS[role]), lambda w, x: outputs(x @ w))


def judged(values):
    return Judgement(values.sum(-1), features={'first': 0 * values, 'last': jnp.tanh(values)})


def of_linear(**options):
    networks = linear('generator'), linear('discriminator', judged), linear('encoder')
    return anogan(*networks, CODE, kappa=KAPPA, **options)


def start(game):
    return compiled.init_state(game, SGD, jax.random.key(0))


def residuals(encoder):
    """The residuals of each image, in NumPy."""
    again = IMAGES @ encoder @ WEIGHTS['generator']
    features = [np.tanh(x @ WEIGHTS['discriminator']) for x in (IMAGES, again)]
    return again, ((IMAGES - again) ** 2).mean(1), ((features[0] - features[1]) ** 2).mean(1)


def test_the_encoder_minimises_both_residuals():
    with jax.enable_x64(True):
        game = of_linear()
        state, batch = start(game), {'real': jnp.asarray(IMAGES)}
        loss = jax.jit(lambda w: game.turn('encoder').loss(w, state, batch, state.key, jnp.arange(BATCH)))
        weights = WEIGHTS['encoder']
        (value, outcome), gradient = jax.value_and_grad(loss, has_aux=True)(jnp.asarray(weights))
        _, image, feature = residuals(weights)
        np.testing.assert_allclose(value, image.mean() + KAPPA * feature.mean(), rtol=1e-6)
        found = [outcome.metrics[name] for name in ('image_residual', 'feature_residual')]
        np.testing.assert_allclose(found, [image.mean(), feature.mean()], rtol=1e-6)
        for place in np.ndindex(weights.shape):
            step = np.zeros_like(weights)
            step[place] = 1e-5
            ends = [residuals(weights + sign * step) for sign in (1, -1)]
            above, below = (image.mean() + KAPPA * feature.mean() for _, image, feature in ends)
            np.testing.assert_allclose(gradient[place], (above - below) / 2e-5, rtol=1e-4, atol=1e-8)


def test_the_score_of_an_image_is_its_share_of_the_loss():
    game = of_linear()
    found = game.score({role: (jnp.asarray(WEIGHTS[role]), {}) for role in ROLES}, jnp.asarray(IMAGES))
    again, image, feature = residuals(WEIGHTS['encoder'])
    for value, wanted in zip(found, (again, image, feature, image + KAPPA * feature), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(game.encode(WEIGHTS['encoder'], {}, IMAGES).codes, IMAGES @ WEIGHTS['encoder'])
    np.testing.assert_allclose(game.sample(WEIGHTS['generator'], {}, np.eye(CODE)), WEIGHTS['generator'])


def test_generator_and_discriminator_never_move():
    game = of_linear()
    before = start(game)
    after, metrics = jax.jit(steps.make_train_step(game, SGD))(before, {'real': jnp.asarray(IMAGES)})
    for role in ('generator', 'discriminator'):
        np.testing.assert_array_equal(after.players[role].params, before.players[role].params)
    assert (after.players['encoder'].params != before.players['encoder'].params).all()
    assert set(metrics) >= {'encoder/loss', 'encoder/image_residual', 'encoder/feature_residual'}


def test_the_phases_of_the_config_have_the_same_generator_and_discriminator():
    first, second = configs.split(configs.load('anogan'))
    assert (first.game.name, second.game.name) == ('adversarial', 'anogan')
    shapes = [
        jax.eval_shape(build.initializer(phase, build.make_game(phase, (8, 8, 1))), jax.random.key(0)).players
        for phase in (first, second)
    ]
    for role in ('generator', 'discriminator'):
        assert shapes[0][role].params == shapes[1][role].params
        assert shapes[0][role].variables == shapes[1][role].variables
    assert set(shapes[1]) - set(shapes[0]) == {'encoder'}
    assert (first.evaluate, second.evaluate, first.data) == ((), ('auroc',), second.data)


def networks_of_a_family(axis_name=None):
    options = {'widths': (6, 4), 'axis_name': axis_name}
    return anogan(
        from_flax(Generator((SIZE,), **options), (CODE,)),
        from_flax(Discriminator(**options), (SIZE,)),
        from_flax(Encoder((CODE,), **options), (SIZE,)),
        normal_latents(CODE),
    )


def test_eight_devices_train_the_encoder_of_one():
    batch, places = {'real': np.tile(IMAGES, (2, 1)).astype(np.float32)}, jnp.arange(16)

    def after_one_step(axis_name):
        game = networks_of_a_family(axis_name)
        step = steps.make_train_step(game, SGD, axis_name=axis_name)
        state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))
        if axis_name is None:
            return jax.jit(step)(state, batch, places)[0]
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (batch, places))
        after, _ = jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared)
        return jax.tree.map(lambda leaf: leaf[0], after)

    one, eight = (after_one_step(axis_name).players['encoder'] for axis_name in (None, 'devices'))
    for x, y in zip(jax.tree.leaves(one[:2]), jax.tree.leaves(eight[:2]), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_what_is_refused():
    networks = linear('generator'), linear('discriminator', lambda values: values.sum(-1)), linear('encoder')
    with pytest.raises(UserError, match=r'kappa is -1\.0; it must be at least 0'):
        anogan(*networks, CODE, kappa=-1.0)
    game = anogan(*networks, CODE)
    with pytest.raises(UserError, match='compares features, and this discriminator returns none'):
        game.score({role: (jnp.asarray(WEIGHTS[role]), {}) for role in ROLES}, IMAGES)
    with pytest.raises(UserError, match='has no class Encoder, which the game needs'):
        configs.base('dcgan', game='anogan')


@pytest.mark.parametrize('key', ['generator_steps', 'discriminator_steps', 'discriminator_schedule.steps'])
def test_steps_of_the_players_that_do_not_move_are_refused(key):
    config = configs.load('anogan', {key: '3'})
    with pytest.raises(UserError, match=f'^{key}=3 has no effect in this phase, in which neither .*: unset it here'):
        build.make_game(config, (8, 8, 1))
