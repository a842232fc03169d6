"""CAN: the ambiguity in closed form and its gradient, who learns what, and what is refused."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.can import AMBIGUITIES, binary_ambiguity, can, uniform_ambiguity
from gan_jax.layers.heads import Classifying
from gan_jax.losses import Loss
from gan_jax.models import mlp
from gan_jax.networks import from_flax, pure
from gan_jax.training.run import count_classes

SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
BATCH, SIZE, CLASSES = 16, 4, 3
SILENT = Loss(lambda real, fake, key=None: jnp.zeros(()), lambda fake, real=None: jnp.zeros(()))
RNG = np.random.default_rng(0)
DATA = {'real': RNG.uniform(-1, 1, (BATCH, SIZE)).astype(np.float32), 'label': RNG.integers(0, CLASSES, BATCH)}
PLACES = jnp.arange(BATCH)


def test_the_ambiguity_is_the_sum_of_binary_cross_entropies_with_1_over_k():
    p = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    by_hand = -(np.log(p) / 3 + 2 / 3 * np.log(1 - p)).sum(1).mean()
    assert binary_ambiguity(jnp.log(p) + 5) == pytest.approx(by_hand, rel=1e-6)
    assert uniform_ambiguity(jnp.log(p) + 5) == pytest.approx(-np.log(p).mean(), rel=1e-6)


@pytest.mark.parametrize('name', AMBIGUITIES)
def test_it_is_smallest_where_all_classes_are_equally_likely(name):
    measure, count = AMBIGUITIES[name], 10
    entropy = -np.log(1 / count) if name == 'uniform' else np.log(count) - (count - 1) * np.log(1 - 1 / count)
    value, gradient = jax.value_and_grad(measure)(jnp.full((2, count), 3.0))
    assert value == pytest.approx(entropy, rel=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    others = jax.vmap(measure)(jax.random.normal(jax.random.key(0), (50, 2, count)))
    assert others.min() > value


@pytest.mark.parametrize('name', AMBIGUITIES)
def test_its_gradient_is_that_of_finite_differences_and_finite_where_a_class_is_certain(name):
    measure = AMBIGUITIES[name]
    with jax.enable_x64(True):
        logits = jnp.asarray(RNG.normal(size=(2, CLASSES)))
        gradient = jax.grad(measure)(logits)
        for place in np.ndindex(2, CLASSES):
            step = jnp.zeros_like(logits).at[place].set(1e-6)
            difference = (measure(logits + step) - measure(logits - step)) / 2e-6
            assert gradient[place] == pytest.approx(float(difference), rel=1e-6, abs=1e-9)
    value, gradient = jax.value_and_grad(measure)(jnp.array([[200.0, 0.0, 0.0]]))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0] > 0.3  # away from that class


def networks(axis_name=None):
    generator = from_flax(mlp.Generator((SIZE,), widths=(6,)), (5,))
    body = mlp.Discriminator(widths=(6,), axis_name=axis_name)
    return generator, from_flax(Classifying(body, CLASSES, (7,)), (SIZE,))


def gradient_of(game, name, batch=DATA):
    """The value, gradient and metrics of a player's loss at the start, and the state."""
    state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))

    def loss(params):
        return game.turn(name).loss(params, state, batch, jax.random.key(3), PLACES)

    (value, outcome), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(state.players[name].params)
    return value, gradient, outcome.metrics, state


def size(tree):
    return sum(float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(tree))


def test_the_discriminator_classifies_real_examples_alone():
    game = can(*networks(), SILENT, 5, class_weight=2.0)
    value, gradient, metrics, state = gradient_of(game, 'discriminator')
    network = networks()[1]

    def by_hand(params):
        logits = network.apply(params, {}, DATA['real'], jax.random.key(0), True)[0].classes
        return 2 * optax.softmax_cross_entropy_with_integer_labels(logits, DATA['label']).mean()

    wanted = jax.value_and_grad(by_hand)(state.discriminator.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), (value, gradient), wanted)
    assert value == pytest.approx(2 * float(metrics['class_loss']), rel=1e-6)
    assert size(gradient['classes']) > 0


def test_the_generators_examples_should_be_ambiguous_and_it_knows_no_label():
    game = can(*networks(), SILENT, 5, generator_weight=0.5)
    value, gradient, metrics, state = gradient_of(game, 'generator')
    latents = game.latents(stream(jax.random.key(3), 'latents'), PLACES)
    made = networks()[0].apply(state.generator.params, {}, latents, None, True)[0]
    logits = networks()[1].apply(state.discriminator.params, {}, made, None, True)[0].classes
    assert metrics['ambiguity'] == pytest.approx(float(binary_ambiguity(logits)), rel=1e-5)
    assert value == pytest.approx(0.5 * float(metrics['ambiguity']), rel=1e-6)
    assert min(map(size, gradient.values())) > 0
    other = gradient_of(game, 'generator', {**DATA, 'label': (DATA['label'] + 1) % CLASSES})
    jax.tree.map(np.testing.assert_array_equal, gradient, other[1])
    assert game.given == ''
    assert game.classify(*state.discriminator[:2], DATA['real']).shape == (BATCH, CLASSES)


@pytest.mark.slow
def test_eight_devices_play_the_game_of_one():
    def after_one_step(axis_name):
        game = can(*networks(axis_name), losses.non_saturating(), 5, axis_name=axis_name)
        step = steps.make_train_step(game, SGD, axis_name=axis_name)
        state = jax.jit(lambda key: steps.init_state(game, SGD, key))(jax.random.key(0))
        if axis_name is None:
            return jax.jit(step)(state, DATA, PLACES)[0]
        shared = jax.tree.map(lambda leaf: leaf.reshape(8, 2, *leaf.shape[1:]), (DATA, PLACES))
        state, _ = jax.pmap(step, axis_name, in_axes=(None, 0, 0))(state, *shared)
        return jax.tree.map(lambda leaf: leaf[0], state)

    one, eight = ([player.params for player in after_one_step(axis).players.values()] for axis in (None, 'devices'))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), one, eight)


def test_the_published_head_reads_the_last_features():
    network = from_flax(Classifying(mlp.Discriminator(widths=(8, 6)), 25, (1024, 512)), (SIZE,))
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    shapes = [params[name]['kernel'].shape for name in ('hidden0', 'hidden1', 'classes')]
    assert shapes == [(6, 1024), (1024, 512), (512, 25)]


class Blind(nn.Module):
    """A discriminator without features."""

    @nn.compact
    def __call__(self, examples, *, train):
        return nn.Dense(1)(examples)[:, 0]


def test_what_is_refused():
    no_classes = pure(lambda key: jnp.ones(()), lambda w, x: x.sum(1) * w)
    for name in SGD:
        with pytest.raises(UserError, match='needs class logits in the Judgement of its discriminator'):
            gradient_of(can(networks()[0], no_classes, SILENT, 5), name)
    with pytest.raises(UserError, match="add 'label'"):
        gradient_of(can(*networks(), SILENT, 5), 'discriminator', {'real': DATA['real']})
    with pytest.raises(UserError, match="There is no target of ambiguity 'equal'"):
        can(*networks(), SILENT, 5, target='equal')
    with pytest.raises(UserError, match='The number of discriminators is 2; it must be 1'):
        can(*networks(), SILENT, 5, discriminators=2)
    with pytest.raises(UserError, match='Classes are recognised from features'):
        from_flax(Classifying(Blind(), CLASSES), (SIZE,)).init(jax.random.key(0))


def test_a_config_needs_labelled_data_and_players_without_a_condition():
    config = configs.load('can:debug')
    with pytest.raises(UserError, match=r'The game can needs the class of every example, but .* without a label'):
        count_classes(config, dataclasses.replace(load('digits'), labels=None, num_classes=None, class_names=None))
    conditional = configs.load('can:debug', {'discriminator.conditioning': 'auxiliary'})
    with pytest.raises(
        UserError, match=r"discriminator\.conditioning is 'auxiliary'; it must be 'none' in the game can"
    ):
        build.make_game(conditional, (16, 16, 1), num_classes=10)
    with pytest.raises(UserError, match='The number of classes is 1; it must be at least 2'):
        build.make_game(config, (16, 16, 1), num_classes=1)
    found = build.step_metrics(config, (16, 16, 1), 10)
    assert {'generator/ambiguity', 'discriminator/class_loss'} <= set(found)
