"""SPADE's game: its losses by hand, its latents, what its pictures show, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.augmentation import augment
from gan_jax.data import Dataset
from gan_jax.encoding import kullback_leibler
from gan_jax.errors import UserError
from gan_jax.game import Player
from gan_jax.games.spade import coloured, edit, one_hot, spade
from gan_jax.judgement import Judgement
from gan_jax.networks import pure
from gan_jax.sampling.shown import of_inputs
from tests import compiled

CLASSES, SHAPE, BATCH = 3, (2, 2, 1), 2
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
MAPS = np.array([[[0, 1], [2, 0]], [[1, 1], [0, 2]]])[..., None]
COLOURS = np.array([0.5, -1.0, 2.0])


def as_images(maps):
    return jnp.asarray((2 * maps - 255) / 255, jnp.float32)


def batch():
    return {'input': as_images(MAPS), 'real': jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))}


def painter(latents=0):
    """Paints each class in its colour times a parameter, plus the mean latent."""

    def apply(w, z, maps):
        shift = z.mean(-1) if latents else jnp.zeros(len(z))
        return w * (maps @ COLOURS)[..., None] + shift[:, None, None, None]

    return pure(lambda key: jnp.float32(0.7), apply)


def discriminator():
    """Two scales with 4 and 1 logits: a parameter times the sums over the channels, and times that of all."""

    def apply(v, pairs):
        sums = v * pairs.sum(-1)
        return Judgement((sums, sums.sum((1, 2), keepdims=True)), features={'one': sums, 'two': pairs})

    return pure(lambda key: jnp.float32(0.4), apply)


def predictor():
    """Means and logarithms of variances of two latents, in proportion to a parameter and the image's first pixels."""
    return pure(lambda key: jnp.float32(0.3), lambda e, x: e * x.reshape(len(x), 2, 2))


def game(**options):
    options.setdefault('latents', 2 if 'encoder' in options else lambda key, places: jnp.zeros((len(places), 0)))
    made = painter(2 if 'encoder' in options else 0)
    return spade(made, discriminator(), classes=CLASSES, shape=SHAPE, **options)


def values_of(game, name, state):
    loss, places = game.turn(name).loss, jnp.arange(BATCH)

    def value(params):
        return loss(params, state, batch(), jax.random.key(3), places)[0]

    return jax.value_and_grad(value)(state.players[name].params)


def test_losses_are_means_over_scales_and_features_are_matched_layer_by_layer():
    made = game(l1=3.0, adversary=0.5)
    assert made.discriminate is None  # it does not judge examples alone
    state, of = compiled.init_state(made, SGD, jax.random.key(0)), batch()
    painted = (np.eye(CLASSES)[MAPS[..., 0]] @ COLOURS)[..., None]

    def logits(v, images):
        sums = v * (1 + images.sum(-1))  # of a map the channels sum to 1
        return sums, sums.sum((1, 2), keepdims=True)

    def generator(w):
        fake = w * painted
        adversary = sum(-one.mean() for one in logits(0.4, fake)) / 2
        features = 0.4 * jnp.abs(fake - of['real']).mean() + jnp.abs(fake - of['real']).mean() / (CLASSES + 1)
        return 0.5 * adversary + 10 * features / 2 + 3 * jnp.abs(fake - of['real']).mean()

    def discriminator(v):
        both = zip(logits(v, of['real']), logits(v, 0.7 * painted), strict=True)
        return sum(jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + fake).mean() for real, fake in both) / 2

    for name, by_hand, at in (('generator', generator, 0.7), ('discriminator', discriminator, 0.4)):
        np.testing.assert_allclose(values_of(made, name, state), jax.value_and_grad(by_hand)(jnp.float32(at)), 1e-5)


def test_a_loss_with_a_controller_is_a_mean_over_scales_too():
    made = game(loss=losses.equilibrium(), features=0.0, adversary=0.5)
    state, of = compiled.init_state(made, SGD, jax.random.key(0)), batch()
    state = state.with_memory({'loss': jnp.array([0.3])})
    painted = 0.7 * (np.eye(CLASSES)[MAPS[..., 0]] @ COLOURS)[..., None]
    real, fake = (0.4 * (1 + images.sum(-1)) for images in (of['real'], painted))  # of a map the channels sum to 1
    of_real, of_fake = ((one.mean() + one.sum((1, 2)).mean()) / 2 for one in (real, fake))
    np.testing.assert_allclose(values_of(made, 'discriminator', state)[0], 0.3 * of_fake - of_real, rtol=1e-5)
    np.testing.assert_allclose(values_of(made, 'generator', state)[0], -0.5 * of_fake, rtol=1e-5)


def test_an_encoder_draws_latents_around_its_means_and_pays_their_divergence():
    made = game(encoder=predictor(), features=0.0, adversary=0.0, l1=1.0)
    state, of = compiled.init_state(made, SGD, jax.random.key(0)), batch()
    value, gradient = values_of(made, 'generator', state)
    moments = 0.3 * of['real'].reshape(BATCH, 2, 2)
    loss = made.turn('generator').loss
    outcome = loss(state.generator.params, state, of, jax.random.key(3), jnp.arange(BATCH))[1]
    divergence = kullback_leibler(moments)
    np.testing.assert_allclose(outcome.metrics['divergence'], divergence, rtol=1e-6)
    np.testing.assert_allclose(value, outcome.metrics['l1'] + 0.05 * divergence, rtol=1e-5)
    assert gradient['encoder'] != 0
    painted = 0.7 * (np.eye(CLASSES)[MAPS[..., 0]] @ COLOURS)
    drawn = made.latents(jax.random.key(5), jnp.arange(BATCH))
    images = made.sample(state.generator.params, state.generator.variables, drawn, of['input'])
    np.testing.assert_allclose(images[..., 0], painted + drawn.mean(-1)[:, None, None], rtol=1e-5)


def test_images_of_encoded_latents_can_be_replayed():
    made = game(encoder=predictor(), replay=4)
    state = compiled.init_state(made, SGD, jax.random.key(0))
    assert state.memory['replay'].examples.shape == (4, *SHAPE)
    after, _ = steps.make_train_step(made, SGD)(state, batch())
    assert after.memory['replay'].filled.sum() == BATCH


def test_the_divergence_is_that_of_two_normal_distributions():
    moments = jnp.array([[[0.5, -1.0], [0.2, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    by_hand = 0.5 * (0.25 + np.exp(0.2) - 1 - 0.2 + 1.0) / 2
    np.testing.assert_allclose(kullback_leibler(moments), by_hand, rtol=1e-6)


def test_maps_survive_bytes_and_an_edit_changes_the_class_in_the_foreground():
    maps = np.arange(255).reshape(1, 15, 17, 1)
    np.testing.assert_array_equal(one_hot(as_images(maps), 255).argmax(-1), maps[..., 0])
    edited = one_hot(edit(as_images(MAPS), CLASSES), CLASSES).argmax(-1)
    np.testing.assert_array_equal(edited, [[[1, 1], [2, 1]], [[1, 1], [0, 0]]])
    shown = game().show(0.7, {}, jnp.zeros((BATCH, 0)), batch())
    assert list(shown) == ['map', 'output', 'real', 'edited map', 'its output']
    np.testing.assert_array_equal(shown['map'], coloured(as_images(MAPS), CLASSES))
    assert len(np.unique(np.reshape(shown['map'], (-1, 3)), axis=0)) == CLASSES
    np.testing.assert_allclose(shown['its output'][..., 0], 0.7 * COLOURS[np.asarray(edited)], rtol=1e-6)


def test_maps_of_ones_own_are_painted_in_the_colours_of_the_runs_pictures():
    dataset = Dataset('maps', 'train', np.zeros((BATCH, *SHAPE), np.uint8), None, CLASSES, '', inputs=np.uint8(MAPS))
    examples = of_inputs(game(), 4, 0, dataset)
    made = examples.images(game(), Player(jnp.float32(0.7), {}, None, (jnp.float32(0.7), {})))
    np.testing.assert_array_equal(made['input'], coloured(as_images(MAPS), CLASSES))
    np.testing.assert_allclose(made['output'][..., 0], 0.7 * COLOURS[MAPS[..., 0]], rtol=1e-6)


def test_what_is_impossible_is_refused():
    with pytest.raises(UserError, match='The weight of l1 is -1'):
        game(l1=-1.0)
    with pytest.raises(UserError, match='would move without its map'):
        game(augmentation=augment.diff_augment())
    config = configs.load('spade', {'data.name': 'edges:digits', 'data.size': '32'})
    with pytest.raises(UserError, match="needs label maps, and 'edges:digits' has none: choose scenes or maps:"):
        build.make_game(config, (32, 32, 1), shapes={'input': (32, 32, 1)})
