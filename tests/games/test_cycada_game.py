"""CyCADA: each stage's losses in closed form, both gates, what phases hand on, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.classification import Classification
from gan_jax.errors import UserError
from gan_jax.game import GanState, Player
from gan_jax.games.cycada import ROLES, cycada
from gan_jax.games.cyclegan import cyclegan
from gan_jax.networks import pure
from gan_jax.training import phases
from gan_jax.translators import over_fields
from tests import compiled

BATCH, CLASSES = 6, 3
SHAPE = (1, 1, 4)
SGD = {role: optax.sgd(0.1) for role in ROLES}
RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(2, BATCH, *SHAPE))
LABELS, TARGET_LABELS = RNG.integers(0, CLASSES, (2, BATCH))
BATCHES = {'a': SOURCE, 'a_label': LABELS, 'real': TARGET, 'label': TARGET_LABELS}
CLASSIFIER = pure(
    lambda key: jax.random.normal(key, (4, CLASSES)), lambda w, x: Classification(x[:, 0, 0] @ w, x[:, 0, 0])
)
JUDGE = pure(lambda key: jax.random.normal(key, (CLASSES,)), lambda w, logits: logits @ w)


def translation():
    network = pure(lambda key: jax.random.normal(key, (4,)), lambda w, x: x * w)
    critic = pure(lambda key: jax.random.normal(key, (4,)), lambda w, x: x @ w)
    game = cyclegan(
        {'a_to_b': network, 'b_to_a': network},
        {'a': critic, 'b': critic},
        losses.mean_squares(),
        shapes={'a': SHAPE, 'b': SHAPE},
        cycle=0.0,  # it is computed in float32
        replay=0,
    )
    return game._replace(turns=over_fields(game.turns, {'a': 'a', 'b': 'real'}))


def game_of(stage, **options):
    return cycada(translation(), CLASSIFIER, JUDGE, stage=stage, **options)


def start(game, **changes):
    """The state before the first step, in float64, with some values of turns in its memory."""
    state = compiled.init_state(game, SGD, jax.random.key(0))
    turns = {**state.memory.get('turns', {}), **changes}
    return state.with_memory({'turns': turns}) if turns else state


def value_and_gradient(game, title, state):
    turn = game.turn(title)
    params = state.players[turn.player].params
    (value, outcome), gradient = jax.jit(
        jax.value_and_grad(lambda params: turn.loss(params, state, BATCHES, state.key, jnp.arange(BATCH)), has_aux=True)
    )(params)
    return value, gradient, outcome.metrics


def cross_entropy(logits, labels):
    return -jax.nn.log_softmax(logits)[jnp.arange(BATCH), labels].mean()


def vectors(images):
    return images.reshape(BATCH, 4)


@pytest.mark.parametrize('class_loss', [0.99, 1.01])
def test_the_semantic_loss_keeps_labels_and_answers_while_the_classifier_is_good(class_loss):
    with jax.enable_x64(True):
        game = game_of('pixels', semantic=0.7)
        state = start(game, classifier={'class_loss': jnp.float64(class_loss)})
        value, gradient, metrics = value_and_gradient(game, 'generator', state)
        plain, plain_gradient, _ = value_and_gradient(translation(), 'generator', state)
        w = state.players['classifier'].params
        answers = (vectors(TARGET) @ w).argmax(1)

        def semantic(params):
            there, back = vectors(SOURCE * params['a_to_b']) @ w, vectors(TARGET * params['b_to_a']) @ w
            return 0.7 * (cross_entropy(there, LABELS) + cross_entropy(back, answers))

        wanted, wanted_gradient = jax.value_and_grad(semantic)(state.generator.params)
        factor = float(class_loss <= 1)
        np.testing.assert_allclose(value, plain + factor * wanted, rtol=1e-9)
        jax.tree.map(
            lambda found, one, other: np.testing.assert_allclose(found, one + factor * other, rtol=1e-7, atol=1e-12),
            gradient,
            plain_gradient,
            wanted_gradient,
        )
        assert metrics['semantic_on'] == factor
        np.testing.assert_allclose(metrics['semantic_loss'], wanted / 0.7, rtol=1e-6)


def test_the_weight_of_the_semantic_loss_can_be_traced():
    state = start(game_of('pixels'), classifier={'class_loss': jnp.float32(0.5)})

    def value(weight):
        turn = game_of('pixels', semantic=weight).turn('generator')
        return turn.loss(state.generator.params, state, BATCHES, state.key, jnp.arange(BATCH))[0]

    np.testing.assert_allclose(jax.jit(value)(0.7), value(0.7), rtol=1e-5)


def test_the_gate_sees_the_classifier_of_the_same_round():
    game = game_of('pixels', largest_loss=100.0)
    assert [turn.title for turn in game.turns] == ['classifier', 'discriminator', 'generator']
    _, metrics = jax.jit(steps.make_train_step(game, SGD))(start(game), BATCHES)
    assert metrics['generator/semantic_on'] == 1
    shut = game_of('pixels', largest_loss=0.0)
    _, metrics = jax.jit(steps.make_train_step(shut, SGD))(start(shut), BATCHES)
    assert metrics['generator/semantic_on'] == 0
    assert metrics['classifier/class_loss'] > 0


@pytest.mark.parametrize('learns_from', ['translations', 'source', 'target'])
def test_the_target_classifier_learns_from_translations_with_the_labels_of_the_source(learns_from):
    game = game_of('classes', learns_from=learns_from)
    assert [turn.title for turn in game.turns] == ['target_classifier']
    state = start(game)
    value, gradient, metrics = value_and_gradient(game, 'target_classifier', state)
    images, labels = {
        'translations': (SOURCE * np.asarray(state.generator.params['a_to_b']), LABELS),
        'source': (SOURCE, LABELS),
        'target': (TARGET, TARGET_LABELS),
    }[learns_from]
    w = state.players['target_classifier'].params
    wanted = jax.value_and_grad(lambda w: cross_entropy(vectors(images) @ w, labels))(w)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), (value, gradient), wanted)
    assert metrics['class_error'] == pytest.approx(((vectors(images) @ w).argmax(1) != labels).mean())


def test_features_are_logits_of_translated_source_and_of_target_images():
    game = game_of('features')
    state = start(game)
    source_w, target_w, opponent = (state.players[role].params for role in ROLES[2:])
    source = vectors(SOURCE * np.asarray(state.generator.params['a_to_b'])) @ source_w
    value, gradient, metrics = value_and_gradient(game, 'feature_discriminator', state)

    def by_probabilities(opponent, target_w=target_w):
        real, fake = jax.nn.sigmoid(source @ opponent), jax.nn.sigmoid(vectors(TARGET) @ target_w @ opponent)
        return -(jnp.log(real).mean() + jnp.log(1 - fake).mean()) / 2

    wanted = jax.value_and_grad(by_probabilities)(opponent)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), (value, gradient), wanted)
    judged = np.concatenate([source @ opponent > 0, vectors(TARGET) @ target_w @ opponent <= 0])
    assert metrics['accuracy'] == pytest.approx(judged.mean())
    value, gradient, _ = value_and_gradient(game, 'target_classifier', state)

    def fooled(target_w):
        return -jnp.log(jax.nn.sigmoid(vectors(TARGET) @ target_w @ opponent)).mean()

    wanted = jax.value_and_grad(fooled)(target_w)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), (value, gradient), wanted)


@pytest.mark.parametrize(('least', 'moves'), [(0.0, True), (1.0, False)])
def test_the_target_classifier_moves_while_the_discriminator_is_accurate(least, moves):
    game = game_of('features', least_accuracy=least)
    state = start(game)
    after, metrics = jax.jit(steps.make_train_step(game, SGD))(state, BATCHES)
    moved = {
        role: any((a != b).any() for a, b in zip(*map(jax.tree.leaves, pair), strict=True))
        for role in ROLES
        for pair in [(state.players[role].params, after.players[role].params)]
    }
    assert moved == dict.fromkeys(ROLES, False) | {'feature_discriminator': True, 'target_classifier': moves}
    assert metrics['target_classifier/moved'] == moves


def test_the_stage_of_features_starts_with_two_copies_of_the_classifier_before_it():
    def state(**players):
        return GanState(jnp.int32(0), jax.random.key(0), {name: Player(w, {}, ()) for name, w in players.items()}, {})

    before = state(classifier=jnp.ones(2), target_classifier=jnp.full(2, 5.0))
    fresh = state(classifier=jnp.zeros(2), target_classifier=jnp.zeros(2))
    inherits = dict(game_of('features').inherits)
    after = phases.carried(before, fresh, inherits=inherits)
    assert {name: float(player.params[0]) for name, player in after.players.items()} == {
        'classifier': 5.0,
        'target_classifier': 5.0,
    }
    after = phases.carried(before, fresh, inherits=dict(game_of('classes').inherits))
    assert [float(player.params[0]) for player in after.players.values()] == [1.0, 5.0]
    assert phases.count_carried(before, fresh, inherits) == 'classifier 2 of 2, target_classifier 2 of 2'


def test_who_classifies():
    images = SOURCE.astype(np.float32)
    for stage, player in (
        ('pixels', 'classifier'),
        ('classes', 'target_classifier'),
        ('features', 'target_classifier'),
    ):
        game = game_of(stage)
        assert game.classifier == player
        params, variables = game.init(jax.random.key(0))[player]
        np.testing.assert_allclose(game.classify(params, variables, images), vectors(images) @ params, rtol=1e-5)


def test_what_is_refused():
    with pytest.raises(UserError, match=r"game\.stage is 'pixel'; it must be one of pixels, classes, features"):
        game_of('pixel')
    with pytest.raises(UserError, match="There is no kind of images to learn from 'both'"):
        game_of('classes', learns_from='both')
    game = game_of('classes')
    state = start(game)
    batch = {name: field for name, field in BATCHES.items() if name != 'a_label'}
    with pytest.raises(UserError, match='but this game needs a and a_label'):
        game.turns[0].loss(state.players['target_classifier'].params, state, batch, state.key, None)
    config = configs.base('cycada', game='cycada')
    with pytest.raises(UserError, match=r'source are \(16, 16, 1\) and those of the target \(16, 16, 3\): set data'):
        build.make_game(config, (16, 16, 3), num_classes=3, shapes={'a': (16, 16, 1)})
    config.generator_steps, config.discriminator.receptive_field = 2, 16
    facts = {'num_classes': 3, 'shapes': {'a': (16, 16, 1)}}
    assert next(t for t in build.make_game(config, (16, 16, 1), **facts).turns if t.player == 'generator').times == 2
    for stage in ('classes', 'features'):
        config.game.stage = stage
        with pytest.raises(UserError, match=r'generator_steps=2 has no effect in this phase, in which neither'):
            build.make_game(config, (16, 16, 1), **facts)
