"""InfoGAN: codes in the latents, the bounds in closed form, who learns from them, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import config as configs
from gan_jax import losses, steps
from gan_jax.build import make_game
from gan_jax.codes import Codes
from gan_jax.errors import UserError
from gan_jax.game import uniform_latents
from gan_jax.games.infogan import categorical_information, continuous_information, infogan
from gan_jax.judgement import Judgement
from gan_jax.losses import Loss
from gan_jax.models import mlp
from gan_jax.models.infogan import Recognizing
from gan_jax.networks import from_flax
from tests import compiled

SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
CODES = Codes((3, 2), 2)
BATCH, SIZE, LATENTS = 16, 4, 10
SILENT = Loss(lambda real, fake, key=None: jnp.zeros(()), lambda fake, real=None: jnp.zeros(()))
REAL = np.random.default_rng(0).uniform(-1, 1, (BATCH, SIZE)).astype(np.float32)


def networks(codes=CODES, axis_name=None):
    generator = from_flax(mlp.Generator((SIZE,), widths=(6,)), (LATENTS,))
    body = mlp.Discriminator(widths=(6,), axis_name=axis_name)
    return generator, from_flax(Recognizing(body, codes.outputs, 5, axis_name=axis_name), (SIZE,))


def game_of(loss=SILENT, codes=CODES, axis_name=None, **options):
    return infogan(*networks(codes, axis_name), loss, LATENTS, codes=codes, axis_name=axis_name, **options)


def gradient_of(game, name):
    """The gradient and the metrics of a player's loss at the start, and the state."""
    state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))

    def loss(params):
        return game.turn(name).loss(params, state, {'real': REAL}, jax.random.key(3), jnp.arange(BATCH))

    (value, outcome), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(state.players[name].params)
    return value, gradient, outcome.metrics, state


def size(tree):
    return sum(float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(tree))


def test_latents_are_noise_then_one_hot_categories_then_continuous_codes():
    draw = jax.jit(CODES.latents(uniform_latents(LATENTS)))
    drawn = draw(jax.random.key(0), jnp.arange(4000))
    np.testing.assert_array_equal(drawn[:, :3], uniform_latents(LATENTS)(jax.random.key(0), jnp.arange(4000))[:, :3])
    (first, second), continuous = CODES.of_latents(drawn)
    np.testing.assert_array_equal(jnp.concatenate([first, second, continuous], 1), drawn[:, 3:])
    for one_hot, count in ((first, 3), (second, 2)):
        np.testing.assert_array_equal(np.sort(one_hot, 1), np.tile([0] * (count - 1) + [1], (4000, 1)))
        np.testing.assert_allclose(one_hot.mean(0), 1 / count, atol=0.03)
    assert -1 <= continuous.min() < -0.99 < 0.99 < continuous.max() < 1
    np.testing.assert_allclose(
        np.cov(np.c_[first[:, :2], second[:, :1], continuous].T)[np.triu_indices(5, 2)], 0, atol=0.03
    )
    np.testing.assert_array_equal(draw(jax.random.key(0), jnp.arange(1990, 2000)), drawn[1990:2000])


def test_outputs_are_logits_means_and_deviations():
    outputs = np.arange(18.0).reshape(2, 9)
    (first, second), means, deviations = CODES._replace(learnt_deviations=True).of_outputs(outputs)
    np.testing.assert_array_equal(jnp.concatenate([first, second, means, deviations], 1), outputs)
    assert [part.shape[1] for part in (first, second, means, deviations)] == [3, 2, 2, 2]
    *_, fixed = CODES.of_outputs(outputs[:, :7])
    np.testing.assert_array_equal(fixed, np.zeros((2, 2)))
    assert (CODES.size, CODES.outputs, CODES._replace(learnt_deviations=True).outputs) == (7, 7, 9)


def test_latents_in_each_category_differ_in_nothing_else():
    latents = np.random.default_rng(0).normal(size=(2, LATENTS))
    copies = CODES.in_each_category(latents)
    assert copies.shape == (3, 2, LATENTS)
    np.testing.assert_array_equal(copies[:, 0, 3:6], np.eye(3))
    np.testing.assert_array_equal(np.delete(copies, [3, 4, 5], 2), np.tile(np.delete(latents, [3, 4, 5], 1), (3, 1, 1)))
    np.testing.assert_array_equal(Codes((), 2).in_each_category(latents), latents[None])


def test_the_information_of_categories_in_closed_form():
    codes = jnp.eye(10)[np.tile(np.arange(10), 3)]
    assert categorical_information(codes, 50 * codes) == pytest.approx(np.log(10), rel=1e-6)
    assert categorical_information(codes, jnp.ones((30, 10))) == pytest.approx(0, abs=1e-6)
    # Q names the right one of two pairs of five: log 10 - log 5
    halves = 50 * jnp.repeat(jnp.eye(2)[(codes.argmax(1) < 5).astype(int)][:, ::-1], 5, axis=1)
    assert categorical_information(codes, halves) == pytest.approx(np.log(2), rel=1e-5)


def test_the_information_of_continuous_codes_in_closed_form():
    codes = jnp.array([[0.5, -1.0], [0.0, 1.0]])
    best = continuous_information(codes, codes, jnp.zeros((2, 2)))
    assert best == pytest.approx(2 * (np.log(2) - np.log(2 * np.pi) / 2), rel=1e-6)
    means, deviations = codes + jnp.array([0.3, -0.2]), jnp.array([0.5, 2.0])
    by_hand = -0.5 * np.log(2 * np.pi * np.array([0.25, 4.0])) - np.array([0.09, 0.04]) / (2 * np.array([0.25, 4.0]))
    found = continuous_information(codes, means, jnp.log(jnp.tile(deviations, (2, 1))))
    assert found == pytest.approx(2 * np.log(2) + by_hand.sum(), rel=1e-6)


@pytest.mark.parametrize('name', ['generator', 'discriminator'])
def test_the_information_is_subtracted_from_both_losses_and_reaches_all_but_the_logit(name):
    value, gradient, metrics, state = gradient_of(game_of(categorical_weight=0.5, continuous_weight=3.0), name)
    wanted = -0.5 * metrics['categorical_information'] - 3 * metrics['continuous_information']
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    if name == 'generator':
        assert min(map(size, gradient.values())) > 0
        return
    body = gradient.pop('discriminator')
    logit = body.pop('Dense_1')
    assert state.discriminator.params['discriminator']['Dense_1']['kernel'].shape == (6, 1)
    assert size(logit) == 0
    assert min(size(body), *map(size, gradient.values())) > 0


def test_the_adversarial_loss_does_not_move_the_recognition_head():
    weights = {'categorical_weight': 0.0, 'continuous_weight': 0.0}
    _, gradient, metrics, _ = gradient_of(game_of(losses.non_saturating(), **weights), 'discriminator')
    assert size(gradient.pop('discriminator')) > 0
    assert size(gradient) == 0
    assert not {'categorical_information', 'continuous_information'} & set(metrics)


def test_the_bounds_are_those_of_the_codes_that_made_the_examples():
    """A discriminator that reads the codes from the examples, which are the latents."""
    codes = Codes((3,), 1)
    generator = networks()[0]._replace(init=lambda key: (jnp.ones(()), {}), apply=lambda w, v, z, *rest: (z * w, v))
    reader = generator._replace(
        apply=lambda w, v, x, *rest: (Judgement(x[:, 0] * w, codes=jnp.c_[60 * x[:, -4:-1], x[:, -1:]]), v)
    )
    game = infogan(generator, reader, SILENT, LATENTS, codes=codes)
    state = compiled.init_state(game, SGD, jax.random.key(0))
    for name in ('generator', 'discriminator'):
        batch = {'real': np.ones((BATCH, LATENTS), np.float32)}
        _, outcome = game.turn(name).loss(jnp.ones(()), state, batch, jax.random.key(1), jnp.arange(BATCH))
        assert outcome.metrics['categorical_information'] == pytest.approx(np.log(3), rel=1e-6)
        assert outcome.metrics['continuous_information'] == pytest.approx(np.log(2) - np.log(2 * np.pi) / 2, rel=1e-6)
    images = np.random.default_rng(0).normal(size=(5, LATENTS))
    np.testing.assert_allclose(game.classify(jnp.ones(()), {}, images), 60 * images[:, -4:-1], rtol=1e-6)


def test_eight_devices_play_the_game_of_one():
    def after_one_step(axis_name):
        game = game_of(losses.non_saturating(), axis_name=axis_name)
        step = steps.make_train_step(game, SGD, axis_name=axis_name)
        state, batch = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0)), {'real': REAL}
        if axis_name is None:
            return jax.jit(step)(state, batch, jnp.arange(BATCH))
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (batch, jnp.arange(BATCH)))
        return jax.tree.map(lambda leaf: leaf[0], jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared))

    (one, metrics), (eight, others) = after_one_step(None), after_one_step('devices')
    for name in ('generator/categorical_information', 'discriminator/continuous_information'):
        np.testing.assert_allclose(metrics[name], others[name], rtol=1e-4)
    for name in SGD:
        trees = [state.players[name].params for state in (one, eight)]
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), *trees)


def test_what_is_refused():
    for options, sentence in (
        ({'discriminators': 2}, 'The number of discriminators is 2; it must be 1'),
        ({'replay': 32}, 'replay is 32; it must be 0, since replayed examples have no codes'),
        ({'categorical_weight': -1.0}, 'The weight of categorical_information is -1.0; it must be at least 0'),
        ({'codes': Codes((), 0)}, 'The number of codes is 0; it must be at least 1'),
    ):
        with pytest.raises(UserError, match=sentence):
            game_of(**options)
    without = from_flax(mlp.Discriminator(widths=(6,)), (SIZE,))
    with pytest.raises(UserError, match='needs codes in the Judgement'):
        gradient_of(infogan(networks()[0], without, SILENT, LATENTS, codes=CODES), 'generator')
    with pytest.raises(UserError, match=r'latents\.size is 12; it must be above 12'):
        make_game(configs.load('configs/infogan.py', {'latents.size': '12'}), (16, 16, 1))


def test_any_family_can_be_the_body_of_the_recognition_head():
    overrides = {'model': 'dcgan', 'game.categories': '(4,3)', 'game.continuous': '0', 'dtype': 'bfloat16'}
    game = make_game(configs.load('configs/infogan.py:mnist', overrides), (28, 28, 1))
    params, variables = jax.eval_shape(game.init, jax.random.key(0))['discriminator']
    assert params['codes']['kernel'].shape == (128, 7)
    assert params['hidden']['kernel'].shape == (7 * 7 * 128, 128)
    assert jax.eval_shape(game.classify, params, variables, jnp.zeros((5, 28, 28, 1))).shape == (5, 4)
