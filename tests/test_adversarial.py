"""The adversarial game: what each player is shown, what it learns from, and what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, penalties, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Pair, normal_latents
from gan_jax.judgement import Judgement
from gan_jax.networks import Network, pure
from gan_jax.passes import learn_from_best
from gan_jax.runtime import snapshot
from tests import compiled

LATENT, BATCH = 3, 6
PLACES = jnp.arange(BATCH)
CLASSES = jax.ShapeDtypeStruct((), jnp.int32)


def linear_generator():
    return pure(lambda key: jax.random.normal(key, (LATENT, 2)), lambda w, z: jnp.tanh(z @ w))


def linear_discriminator():
    return pure(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)


def game_of(loss=None, generator=None, discriminator=None, latents=None, **options):
    return adversarial(
        generator or linear_generator(),
        discriminator or linear_discriminator(),
        loss or losses.non_saturating(),
        latents or repeated_latents,
        **options,
    )


def repeated_latents(key, positions):
    """Latents that are the same for every key, so that all passes have the same fake examples."""
    del key
    return normal_latents(LATENT)(jax.random.key(2), positions)


def seen_by(apply):
    """A discriminator of `apply(params, inputs)` and the list of the inputs it was called with."""
    seen = []

    def record(params, inputs, condition=None):
        seen.append((inputs, condition))
        return apply(params, inputs)

    return pure(lambda key: jax.random.normal(key, (2,)), record), seen


def start(game, optimizers=None, **options):
    return compiled.init_state(
        game, optimizers or Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict(), jax.random.key(0), **options
    )


def batch_of(shape=(2,), **entries):
    return {'real': jnp.tanh(jax.random.normal(jax.random.key(7), (BATCH, *shape))), **entries}


def fakes(state):
    return jnp.tanh(repeated_latents(None, PLACES) @ state.generator.params)


def discriminator_loss(game, state, batch, key=None):
    key = jax.random.key(3) if key is None else key
    return game.turn('discriminator').loss(state.discriminator.params, state, batch, key, PLACES)


def generator_loss(game, state, batch):
    return game.turn('generator').loss(state.generator.params, state, batch, jax.random.key(3), PLACES)


def identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)


def test_both_players_are_told_the_conditions_of_the_batch():
    told = []

    def remember(name, network):
        def apply(params, inputs, condition):
            told.append((name, condition))
            return network.apply(params, {}, inputs, None, True)[0]

        return pure(lambda key: network.init(key)[0], apply)

    game = game_of(
        generator=remember('generator', linear_generator()),
        discriminator=remember('discriminator', linear_discriminator()),
        condition=CLASSES,
    )
    batch = batch_of(label=jnp.array([2, 0, 1, 1, 0, 2]))
    state = start(game)
    discriminator_loss(game, state, batch)
    generator_loss(game, state, batch)
    assert [name for name, _ in told] == ['generator', *['discriminator'] * 2, 'generator', 'discriminator']
    assert all(np.array_equal(labels, batch['label']) for _, labels in told)


def test_a_conditional_game_without_labels_is_refused():
    game = game_of(
        generator=pure(lambda key: jnp.ones((LATENT, 2)), lambda w, z, condition: z @ w),
        discriminator=pure(lambda key: jnp.ones(2), lambda w, x, condition: x @ w),
        condition=CLASSES,
    )
    for loss in (discriminator_loss, generator_loss):
        with pytest.raises(
            UserError, match=r"needs the conditions of its examples: add 'label' \[B, \.\.\.\] to the batches\."
        ):
            loss(game, start(game), batch_of())


def of_several(tree):
    """Each discriminator's own, in order."""
    return [tree[name] for name in sorted(tree)]


def test_each_of_several_discriminators_learns_by_itself():
    """The common loss is the sum of theirs, so each has the gradient of its own game."""
    several, single = game_of(discriminators=3), game_of()
    state, batch = start(several), batch_of()
    each = of_several(state.discriminator.params)
    assert len(each) == 3
    assert not any(np.array_equal(a, b) for a, b in ((each[0], each[1]), (each[1], each[2]), (each[0], each[2])))

    value, _ = discriminator_loss(several, state, batch)
    gradients = jax.grad(
        lambda params: several.turn('discriminator').loss(params, state, batch, jax.random.key(3), PLACES)[0]
    )
    own = start(single).with_player('generator', **state.generator._asdict())
    grad = jax.value_and_grad(
        lambda params: single.turn('discriminator').loss(params, own, batch, state.key, PLACES)[0]
    )
    values, expected = zip(*map(grad, each), strict=True)
    np.testing.assert_allclose(value, sum(values), rtol=1e-6)
    close(of_several(gradients(state.discriminator.params)), list(expected))


@pytest.mark.parametrize('combine', ['mean', 'max', 'softmax'])
def test_the_generators_losses_against_several_discriminators_are_combined(combine):
    game = game_of(discriminators=3, combine=combine)
    state = start(game)
    values = np.array([np.log1p(np.exp(-(fakes(state) @ w))).mean() for w in of_several(state.discriminator.params)])
    share = np.exp(values) / np.exp(values).sum()
    expected = {'mean': values.mean(), 'max': values.max(), 'softmax': (share * values).sum()}[combine]
    np.testing.assert_allclose(generator_loss(game, state, batch_of())[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'combine': 'median'}, r"no way to combine discriminators 'median': did you mean 'mean'"),
        ({'discriminators': 0}, r'The number of discriminators is 0; it must be at least 1'),
        ({'flip_labels': 1.5}, r'flip_labels is 1\.5; it must be a probability'),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        game_of(**options)


@pytest.mark.parametrize(('share', 'best'), [(1.0, 5), (0.6, 3), (0.5, 3), (0.2, 1)])
def test_only_the_best_examples_teach_the_generator(share, best):
    """Of five logits the k = ceil(5 share) highest; their values stay."""
    logits = jnp.array([0.3, -1.0, 2.0, 0.9, -0.2])
    assert np.array_equal(learn_from_best(logits, share), logits)
    gradient = jax.grad(lambda logits: jax.nn.softplus(-learn_from_best(logits, share)).mean())(logits)
    chosen = np.argsort(-np.asarray(logits))[:best]
    expected = np.zeros(5)
    expected[chosen] = -jax.nn.sigmoid(-logits[chosen]) / best
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_top_k_training_follows_its_share_of_the_step():
    game = game_of(top_share=lambda step: jnp.where(step < 10, 1.0, 0.5))
    state, batch = start(game), batch_of()
    w, z = state.discriminator.params, repeated_latents(None, PLACES)
    best = jnp.argsort(-(fakes(state) @ w))[:3]
    for step, latents in ((0, z), (10, z[best])):
        now = state.replace(step=jnp.int32(step))
        gradient = jax.grad(lambda g, now=now: game.turn('generator').loss(g, now, batch, state.key, PLACES)[0])
        expected = jax.grad(lambda g, latents=latents: jax.nn.softplus(-(jnp.tanh(latents @ g) @ w)).mean())
        close(gradient(state.generator.params), expected(state.generator.params))


def test_instance_noise_fades_from_all_that_the_discriminator_is_shown():
    discriminator, seen = seen_by(lambda w, x: x @ w)
    game = game_of(discriminator=discriminator, noise=lambda step: jnp.maximum(0.0, 1 - step / 10))
    state, places = start(game), jnp.arange(400)
    fake = jnp.tanh(repeated_latents(None, places) @ state.generator.params)
    clean = [jnp.zeros((400, 2)), fake, fake]
    deviations = []
    for step in (0, 5, 10, 11):
        seen.clear()
        shared = state.replace(step=jnp.int32(step)), {'real': clean[0]}, jax.random.key(3), places
        game.turn('discriminator').loss(state.discriminator.params, *shared)
        game.turn('generator').loss(state.generator.params, *shared)
        noise = [shown - example for (shown, _), example in zip(seen, clean, strict=True)]
        deviations.append(np.std(noise))
        assert step >= 10 or not np.allclose(noise[0], noise[1])  # real and fake have noise of their own
    np.testing.assert_allclose(deviations[0] / deviations[1], 2, rtol=1e-4)  # the same draws, half as large
    assert 0.9 < deviations[0] < 1.1
    assert deviations[2:] == [0, 0]


def test_labels_flipped_always_are_the_loss_with_the_examples_exchanged():
    loss, batch = losses.least_squares(a=-1.0, b=2.0), batch_of()
    game = game_of(loss, flip_labels=1.0)
    state = start(game)
    real, fake = batch['real'] @ state.discriminator.params, fakes(state) @ state.discriminator.params
    value, outcome = discriminator_loss(game, state, batch)
    np.testing.assert_allclose(value, loss.discriminator(fake, real), rtol=1e-6)
    assert not np.allclose(value, loss.discriminator(real, fake))
    assert outcome.metrics['accuracy'] == discriminator_loss(game_of(loss), state, batch)[1].metrics['accuracy']


def test_an_augmentation_is_applied_to_real_and_fake_in_both_players_steps_and_learnt_through():
    tripled = augment.Augmentation(lambda images, key, positions, probability: 3 * images + probability, None, 0.25)
    discriminator, seen = seen_by(lambda w, x: x @ w)
    game = game_of(losses.relativistic(), discriminator=discriminator, augmentation=tripled)
    state, batch = start(game), batch_of()
    discriminator_loss(game, state, batch)
    generator_loss(game, state, batch)
    real, fake = 3 * batch['real'] + 0.25, 3 * fakes(state) + 0.25
    close([shown for shown, _ in seen], [real, fake, fake, real])

    w = state.discriminator.params
    gradient = jax.grad(lambda g: game.turn('generator').loss(g, state, batch, state.key, PLACES)[0])(
        state.generator.params
    )
    expected = jax.grad(
        lambda g: jax.nn.softplus(((real - 0.25) - 3 * jnp.tanh(repeated_latents(None, PLACES) @ g)) @ w).mean()
    )
    close(gradient, expected(state.generator.params))


@pytest.mark.parametrize(('bias', 'direction'), [(1000.0, 1), (-1000.0, -1)])
def test_the_controller_augments_more_while_the_discriminator_is_sure_of_real_images(bias, direction):
    """ADA: the sign of D on real images against the target 0.6; 6 images of the 100 it takes to go from 0 to 1."""
    ada = augment.adaptive(('flip', 'brightness'), adjust_kimg=0.1, initial=0.5)
    shape = (4, 4, 1)
    game = game_of(
        generator=pure(lambda key: jnp.ones((LATENT, 16)), lambda w, z: jnp.tanh(z @ w).reshape(-1, *shape)),
        discriminator=pure(lambda key: jnp.ones(()), lambda w, x: w * x.sum((1, 2, 3)) + bias),
        augmentation=ada,
    )
    optimizers = Pair(optax.sgd(0.1), optax.sgd(0.1))._asdict()
    state, step = start(game, optimizers), jax.jit(steps.make_train_step(game, optimizers))
    for i in range(1, 3):
        state, metrics = step(state, batch_of(shape))
        np.testing.assert_allclose(state.memory['augmentation'], 0.5 + direction * i * BATCH / 100, rtol=1e-6)
        np.testing.assert_allclose(metrics['discriminator/augmentation'], 0.5 + direction * (i - 1) * BATCH / 100)
    restored = snapshot.unpack(state, *snapshot.pack(state))
    assert restored.memory['augmentation'] == state.memory['augmentation']


def test_a_relativistic_generator_plays_against_the_real_logits():
    game = game_of(losses.relativistic_average())
    state, batch = start(game), batch_of()
    w = state.discriminator.params

    def expected(g):
        real, fake = batch['real'] @ w, jnp.tanh(repeated_latents(None, PLACES) @ g) @ w
        return jax.nn.softplus(real.mean() - fake).mean() + jax.nn.softplus(real - fake.mean()).mean()

    value, gradient = jax.value_and_grad(lambda g: game.turn('generator').loss(g, state, batch, state.key, PLACES)[0])(
        state.generator.params
    )
    close((value, gradient), jax.value_and_grad(expected)(state.generator.params))


def test_penalties_see_the_critic_in_float32_whatever_the_discriminators_arithmetic():
    def logits(dtype):
        return lambda w, x: (jnp.sin(x.astype(dtype) @ w.astype(dtype)) * 1.001).astype(dtype)

    def network(dtype):
        return pure(lambda key: jax.random.normal(key, (2,)), logits(dtype))

    game = game_of(
        discriminator=network(jnp.bfloat16), critic=network(jnp.float32), terms=terms.joined([terms.r1(1.0)])
    )
    state, batch = start(game), batch_of()
    _, outcome = discriminator_loss(game, state, batch)
    w = state.discriminator.params
    precise = penalties.r1(lambda x: logits(jnp.float32)(w, x), batch['real'])
    coarse = penalties.r1(lambda x: logits(jnp.bfloat16)(w, x), batch['real'])
    assert outcome.metrics['r1'].dtype == jnp.float32
    np.testing.assert_allclose(outcome.metrics['r1'], precise, rtol=1e-6)
    assert abs(coarse / precise - 1) > 1e-4


def all_terms():
    return terms.joined(
        [
            terms.gradient_penalty(10.0),
            terms.zero_centered(1.0),
            terms.dragan(1.0),
            terms.r1(1.0),
            terms.r2(1.0),
            terms.drift(0.1),
            terms.lecam(0.3),
            terms.consistency(1.0, 1.0, 1.0, 0.5),
            terms.orthogonal(0.1, 0.1),
            terms.historical(0.1, 0.1),
            terms.path_length(2.0),
            terms.feature_matching(1.0),
        ]
    )


def counting_game(**options):
    """A game on images of networks that count their passes in training, with every term."""
    shape = (8, 8, 1)

    def counting(init, apply):
        def count(params, variables, inputs, key, train, condition=None):
            del key, condition
            return apply(params, inputs), {'passes': variables['passes'] + train}

        return Network(lambda key: (init(key), {'passes': jnp.zeros((), jnp.int32)}), count)

    def discriminate(params, images):
        hidden = jnp.tanh(images.reshape(len(images), -1) @ params['in'])
        return Judgement(hidden @ params['out'], features={'hidden': hidden})

    return game_of(
        losses.relativistic(),
        counting(lambda key: jax.random.normal(key, (LATENT, 64)), lambda w, z: jnp.tanh(z @ w).reshape(-1, *shape)),
        counting(lambda key: {'in': jax.random.normal(key, (64, 4)) / 8, 'out': jnp.arange(1.0, 5.0)}, discriminate),
        terms=all_terms(),
        replay=12,
        noise=lambda step: 0.1,
        augmentation=augment.diff_augment(),
        **options,
    )


@pytest.fixture(scope='module')
def counted():
    """The game with every term, its state, and `step(state, moves)` where `moves` are factors of the updates."""
    game = counting_game(lazy=Pair(1, 2))
    optimizers = Pair(optax.adam(1e-3), optax.adam(1e-3))._asdict()

    def scaled(moves):
        return {name: optax.chain(one, optax.scale(getattr(moves, name))) for name, one in optimizers.items()}

    state = start(game, scaled(Pair(1.0, 1.0)))
    step = jax.jit(lambda state, moves: steps.make_train_step(game, scaled(moves))(state, batch_of((8, 8, 1))))
    return game, state, step


def test_passes_of_penalties_update_no_variables(counted):
    _, state, step = counted
    after, metrics = step(state, Pair(1.0, 1.0))
    assert after.generator.variables['passes'] == 1
    assert after.discriminator.variables['passes'] == 2
    assert all(np.isfinite(value) for value in metrics.values())
    assert {'discriminator/gradient_penalty', 'generator/path_length', 'generator/feature_matching'} <= set(metrics)


@pytest.mark.parametrize('still', Pair._fields)
def test_with_every_term_a_players_step_leaves_every_bit_of_its_opponent(counted, still):
    _, state, step = counted
    after, _ = step(state, Pair(1.0, 1.0)._replace(**{still: 0.0}))
    moved = next(name for name in Pair._fields if name != still)
    assert identical(getattr(state, still).params, getattr(after, still).params)
    assert not identical(getattr(state, moved).params, getattr(after, moved).params)
