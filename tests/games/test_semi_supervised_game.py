"""The semi-supervised game: its losses in closed form and as K+1 classes, its start from examples, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import steps
from gan_jax.errors import UserError
from gan_jax.games.semi_supervised import classifier_of, semi_supervised
from gan_jax.judgement import Judgement
from gan_jax.models import mlp
from gan_jax.models.semi_supervised import Discriminator, Generator
from gan_jax.networks import from_flax, pure

SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
CLASSES, BATCH, SIZE = 3, 16, 4
GENERATOR = pure(lambda key: jnp.array([0.7, -0.4, 1.1, 0.2]), lambda w, z: z * w)
LINEAR = pure(
    lambda key: jax.random.normal(key, (SIZE, CLASSES)),
    lambda w, x: Judgement(x[:, 0], x @ w, {'early': x, 'late': jnp.tanh(x @ w)}),
)


def batch_of(dtype=np.float32):
    rng = np.random.default_rng(0)
    real, labelled = rng.uniform(-1, 1, (2, BATCH, SIZE)).astype(dtype)
    return {'real': real, 'labelled': labelled, 'labelled_label': rng.integers(0, CLASSES, BATCH)}


def values_of(game, name, batch):
    """The value, gradient and metrics of a player's loss at the start, and the state."""
    state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))
    key, places = jax.random.key(3), jnp.arange(BATCH)

    def loss(params):
        return game.turn(name).loss(params, state, batch, key, places)

    (value, outcome), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(state.players[name].params)
    return value, gradient, outcome.metrics, state


def with_known_latents(latents, **options):
    return semi_supervised(GENERATOR, LINEAR, latents=lambda key, positions: latents, **options)


def test_the_discriminators_loss_is_that_of_k_plus_1_classes():
    with jax.enable_x64(True):
        batch, latents = batch_of(np.float64), np.random.default_rng(1).normal(size=(BATCH, SIZE))
        value, gradient, metrics, state = values_of(
            with_known_latents(latents, unlabelled_weight=0.6), 'discriminator', batch
        )
        made, places = latents * np.asarray(state.generator.params), np.arange(BATCH)

        def by_probabilities(w):  # Salimans et al. 2016, section 5; the last class is 'generated'
            def probabilities(x):
                return jax.nn.softmax(jnp.concatenate([x @ w, jnp.zeros((BATCH, 1))], axis=1))

            known = probabilities(batch['labelled'])
            of_class = known[places, batch['labelled_label']] / (1 - known[:, -1])
            real, fake = 1 - probabilities(batch['real'])[:, -1], probabilities(made)[:, -1]
            return -jnp.log(of_class).mean() - 0.6 * (jnp.log(real).mean() + jnp.log(fake).mean()) / 2

        def by_logits(w):  # as the authors' code has it
            labelled, real, fake = batch['labelled'] @ w, batch['real'] @ w, made @ w
            sums = [jax.nn.logsumexp(logits, axis=1) for logits in (labelled, real, fake)]
            unlabelled = -sums[1].mean() + jax.nn.softplus(sums[1]).mean() + jax.nn.softplus(sums[2]).mean()
            return (sums[0] - labelled[places, batch['labelled_label']]).mean() + 0.6 * unlabelled / 2

        for formula in (by_probabilities, by_logits):
            wanted = jax.value_and_grad(formula)(state.discriminator.params)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), (value, gradient), wanted)
        named = (batch['labelled'] @ np.asarray(state.discriminator.params)).argmax(1)
        assert metrics['class_error'] == (named != batch['labelled_label']).mean() > 0
        assert metrics['class_loss'] < value


@pytest.mark.parametrize(
    ('distance', 'formula'),
    [
        ('mean_squared', lambda difference: (difference**2).sum() / CLASSES),
        ('mean_absolute', lambda difference: jnp.abs(difference).sum() / CLASSES),
        ('squared', lambda difference: (difference**2).sum()),
    ],
)
def test_the_generator_matches_the_mean_of_the_last_features_and_nothing_else(distance, formula):
    batch, latents = batch_of(), np.random.default_rng(1).normal(size=(BATCH, SIZE))
    value, gradient, _, state = values_of(with_known_latents(latents, distance=distance), 'generator', batch)
    w = state.discriminator.params

    def by_hand(scale):
        return formula(jnp.tanh(batch['real'] @ w).mean(0) - jnp.tanh(latents * scale @ w).mean(0))

    wanted = jax.value_and_grad(by_hand)(state.generator.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), (value, gradient), wanted)


def networks(axis_name=None):
    """Small published networks."""
    generator = Generator((SIZE,), widths=(6, 6), axis_name=axis_name)
    return from_flax(generator, (5,)), from_flax(Discriminator(CLASSES, (8, 6), axis_name=axis_name), (SIZE,))


def test_the_discriminator_starts_from_the_examples():
    examples = batch_of()['real']
    discriminator = from_flax(Discriminator(CLASSES, (8, 6), input_noise=0.0, noise=0.0), (SIZE,))
    game = semi_supervised(networks()[0], discriminator, latents=5, examples=examples)
    logits = classifier_of(discriminator)(*jax.jit(game.init)(jax.random.key(0))['discriminator'], examples)
    np.testing.assert_allclose(logits.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(logits.std(0), 1, rtol=1e-4)


def test_eight_devices_play_the_game_of_one_and_averages_are_kept_of_both_players():
    batch, places = batch_of(), jnp.arange(BATCH)

    def after_one_step(axis_name):
        game = semi_supervised(*networks(axis_name), latents=5, examples=batch['real'], axis_name=axis_name)
        step = steps.make_train_step(game, SGD, ema_decay=lambda step: 0.5, axis_name=axis_name)
        state = jax.jit(lambda key: steps.init_state(game, SGD, key, ema=True))(jax.random.key(0))
        if axis_name is None:
            return jax.jit(step)(state, batch, places)
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (batch, places))
        state, metrics = jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared)
        return jax.tree.map(lambda leaf: leaf[0], (state, metrics))

    (one, metrics), (eight, _) = after_one_step(None), after_one_step('devices')
    assert {'discriminator/class_loss', 'discriminator/class_error'} <= set(metrics)
    for name in ('generator', 'discriminator'):
        (a, b) = ((state.players[name].params, state.players[name].ema) for state in (one, eight))
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), a, b)
        assert a[1] is not None


def test_the_classifier_has_no_noise_and_the_class_logits_of_any_family_will_do():
    discriminator = from_flax(mlp.Discriminator(widths=(8,), num_classes=CLASSES, conditioning='auxiliary'), (SIZE,))
    game = semi_supervised(GENERATOR, discriminator, latents=SIZE)
    value, _, metrics, state = values_of(game, 'discriminator', batch_of())
    assert 0 < metrics['class_loss'] < value
    for network, (params, variables) in (
        (discriminator, state.discriminator[:2]),
        (networks()[1], jax.jit(networks()[1].init)(jax.random.key(1))),
    ):
        logits = classifier_of(network)(params, variables, batch_of()['real'])
        assert logits.shape == (BATCH, CLASSES)
        wanted = network.apply(params, variables, batch_of()['real'], None, False)[0].classes
        assert np.array_equal(logits, wanted)


def test_what_is_refused():
    for field in ('labelled', 'labelled_label'):
        batch = {name: value for name, value in batch_of().items() if name != field}
        with pytest.raises(UserError, match=f'but this game needs {field!r}'):
            values_of(semi_supervised(GENERATOR, LINEAR, latents=SIZE), 'discriminator', batch)
    no_classes = pure(lambda key: jnp.ones(()), lambda w, x: x.sum(1) * w)
    with pytest.raises(UserError, match='needs class logits in the Judgement'):
        values_of(semi_supervised(GENERATOR, no_classes, latents=SIZE), 'discriminator', batch_of())
    with pytest.raises(UserError, match='unlabelled_weight is -1; it must be at least 0'):
        semi_supervised(GENERATOR, LINEAR, latents=SIZE, unlabelled_weight=-1)
    with pytest.raises(UserError, match='The number of discriminators is 2; it must be 1'):
        semi_supervised(GENERATOR, LINEAR, latents=SIZE, discriminators=2)
    with pytest.raises(UserError, match="There is no distance of feature matching 'mean'"):
        semi_supervised(GENERATOR, LINEAR, latents=SIZE, distance='mean')
