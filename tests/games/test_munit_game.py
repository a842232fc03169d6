"""MUNIT and UNIT: their losses by hand, what they sample, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, steps
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.munit import munit
from gan_jax.games.unit import unit
from gan_jax.networks import pure
from gan_jax.two_domains import Coder
from tests import compiled

SHAPE, BATCH = (2, 2, 1), 3
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
PLACES, KEY = jnp.arange(BATCH), jax.random.key(3)
START = {
    'generator': {'a_to_b': {'c': 0.7, 's': 0.3, 'd': -0.5}, 'b_to_a': {'c': -1.2, 's': 0.9, 'd': 0.4}},
    'discriminator': {'a': 0.4, 'b': 0.3},
}


def images(seed):
    return jax.random.normal(jax.random.key(seed), (BATCH, *SHAPE))


BATCHES = {'a': images(1), 'b': images(2)}


def numbers(start):
    return lambda key: (jax.tree.map(jnp.float32, start), {})


def style(p, x):
    return p['s'] * x.mean((1, 2))


def plus(p, content, style):
    return p['d'] * content + style[:, None, None]


def coders(styles):
    """Encoders and decoders that multiply by a number; a decoder adds the style, a multiple of an image's mean."""
    return {
        direction: Coder(
            numbers(start),
            lambda p, x: p['c'] * x,
            plus if styles else lambda p, content: p['d'] * content,
            style if styles else None,
        )
        for direction, start in START['generator'].items()
    }


def two_scales(start):
    """A discriminator with a logit for each pixel, and one for each image."""
    return pure(lambda key: jnp.float32(start), lambda w, x: (w * x[..., 0], w * x.mean((1, 2))))


JUDGES = {domain: two_scales(start) for domain, start in START['discriminator'].items()}
OPTIONS = {'shapes': {'a': SHAPE, 'b': SHAPE}}


def values_of(game, name):
    state = compiled.init_state(game, SGD, jax.random.key(0))
    loss = game.turn(name).loss
    return jax.value_and_grad(lambda params: loss(params, state, BATCHES, KEY, PLACES)[0])(state.players[name].params)


def assert_equal(found, by_hand, start):
    value, gradient = found
    expected, slopes = jax.value_and_grad(by_hand)(jax.tree.map(jnp.float32, start))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4), gradient, slopes)


def squares(v, x, target):
    """The sum over both scales of the mean square of the logits' differences from a target."""
    return jnp.mean((v * x - target) ** 2) + jnp.mean((v * x.mean((1, 2)) - target) ** 2)


def l1(x, y):
    return jnp.abs(x - y).mean()


def decay(params):
    return sum(leaf**2 for leaf in jax.tree.leaves(params)) / 2


def drawn(game, direction):
    key = stream(stream(KEY, direction), 'latents')
    return game.latents(key, PLACES)


def test_munit_is_both_adversaries_at_all_scales_and_four_reconstructions():
    weights = {'image': 10.0, 'content': 2.0, 'style': 3.0, 'cycle': 5.0}
    game = munit(coders(True), JUDGES, style_size=1, decay=0.1, **weights, **OPTIONS)

    def generator(p):
        total = 0.1 * decay(p)
        for source, target in ('ab', 'ba'):
            own, other = p[f'{source}_to_{target}'], p[f'{target}_to_{source}']
            x, s = BATCHES[source], drawn(game, f'{source}_to_{target}')
            content, its_style = own['c'] * x, style(other, x)
            made = plus(own, content, s)
            total += squares(START['discriminator'][target], made, 1)
            total += weights['image'] * l1(plus(other, content, its_style), x)
            total += weights['content'] * l1(other['c'] * made, content)
            total += weights['style'] * l1(style(own, made), s)
            total += weights['cycle'] * l1(plus(other, other['c'] * made, its_style), x)
        return total

    def discriminator(v):
        total = 0.05 * decay(v)
        for source, target in ('ab', 'ba'):
            own = START['generator'][f'{source}_to_{target}']
            made = plus(own, own['c'] * BATCHES[source], drawn(game, f'{source}_to_{target}'))
            total += (squares(v[target], BATCHES[target], 1) + squares(v[target], made, 0)) / 2
        return total

    assert_equal(values_of(game, 'generator'), generator, START['generator'])
    assert_equal(values_of(game, 'discriminator'), discriminator, START['discriminator'])


def test_unit_is_two_autoencoders_with_noise_in_a_shared_space():
    weights = {'image': 10.0, 'divergence': 0.5, 'cycle': 7.0, 'cycle_divergence': 0.25}
    game = unit(coders(False), JUDGES, **weights, **OPTIONS)
    assert game.latents(KEY, PLACES).shape == (BATCH, 0)

    def noise(direction, name):
        whole = stream(KEY, direction)
        key = stream(whole, 'latents') if name == 'latents' else stream(whole, 'cycle')
        return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), SHAPE))(PLACES)

    def generator(p):
        total = 0
        for source, target in ('ab', 'ba'):
            direction = f'{source}_to_{target}'
            own, other, x = p[direction], p[f'{target}_to_{source}'], BATCHES[source]
            code, n = own['c'] * x, noise(direction, 'latents')
            made = own['d'] * (code + n)
            again = other['c'] * made
            total += squares(START['discriminator'][target], made, 1)
            total += weights['image'] * l1(other['d'] * (code + n), x)
            total += weights['divergence'] * jnp.mean(code**2)
            total += weights['cycle'] * l1(other['d'] * (again + noise(direction, 'cycle')), x)
            total += weights['cycle_divergence'] * jnp.mean(again**2)
        return total

    assert_equal(values_of(game, 'generator'), generator, START['generator'])
    made = game.sample(START['generator'], {}, None, BATCHES['b'], direction='b_to_a')
    np.testing.assert_allclose(made, 0.4 * -1.2 * BATCHES['b'], rtol=1e-5)


def test_styles_are_drawn_or_those_of_examples():
    game = munit(coders(True), JUDGES, style_size=1, **OPTIONS)
    params, styles = START['generator'], game.latents(KEY, PLACES)
    made = game.sample(params, {}, styles, BATCHES['a'])
    np.testing.assert_allclose(made, -0.35 * BATCHES['a'] + styles[:, None, None], rtol=1e-5, atol=1e-6)
    shown = game.show(params, {}, styles, BATCHES)
    assert list(shown) == ['a', 'a to b', 'another style', 'a third', 'b', 'a like b', 'b to a']
    np.testing.assert_allclose(shown['a to b'], made, rtol=1e-5)
    assert not np.allclose(shown['another style'], made)
    like = game.sample(params, {}, game.style_of(params, {}, BATCHES['b']), BATCHES['a'])
    np.testing.assert_allclose(shown['a like b'], like, rtol=1e-5)
    means = [batch.mean((1, 2)) for batch in (BATCHES['a'], BATCHES['b'])]
    np.testing.assert_allclose(like.mean((1, 2)), -0.35 * means[0] + 0.3 * means[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', ['munit', 'unit'])
def test_a_config_has_its_game(name):
    config = configs.load(f'configs/{name}.py', ['generator.width=2', 'discriminator.width=2'])
    channels = 1 if name == 'munit' else 3
    shapes = {'a': (16, 16, channels)}
    game = build.make_game(config, (16, 16, 3), shapes=shapes)
    optimizers = build.make_optimizers(config, game)
    state = jax.eval_shape(lambda: steps.init_state(game, optimizers, jax.random.key(0)))
    batch = {'a': jnp.zeros((2, *shapes['a'])), 'real': jnp.zeros((2, 16, 16, 3))}
    after, metrics = jax.eval_shape(build.make_step(config, game), state, batch)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    terms = {'munit': {'image', 'content', 'style', 'decay'}, 'unit': {'image', 'divergence', 'cycle', 'decay'}}
    assert {f'generator/{term}' for term in terms[name]} <= set(metrics)
    assert (game.given, game.style_of is None) == ('a', name == 'unit')


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: munit(coders(True), {}, **OPTIONS), r"discriminators of two domains are a dict of 'a' and 'b'"),
        (lambda: munit(coders(True), JUDGES, content=-1, **OPTIONS), r'The weight of content is -1; it must be'),
        (
            lambda: munit(coders(False), JUDGES, **OPTIONS),
            r'MUNIT needs a generator with styles, and this one has none',
        ),
        (
            lambda: build.make_game(
                configs.load('configs/unit.py', ['generator.family=cyclegan']), (16, 16, 1), shapes={'a': (16, 16, 1)}
            ),
            r'a generator with the methods content and decode, and gan_jax.models.cyclegan has none',
        ),
        (
            lambda: build.make_game(
                configs.load('configs/unit.py', ['discriminators.number=2']), (16, 16, 1), shapes={'a': (16, 16, 1)}
            ),
            r"discriminators.number is 'several'; it must be 1 for each of two domains",
        ),
    ],
)
def test_what_makes_no_game_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
