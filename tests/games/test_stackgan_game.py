"""StackGAN's game: its losses by hand, its first phase, captions, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.augmentation import augment
from gan_jax.captions import text_matching
from gan_jax.encoding import kullback_leibler
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.stackgan import sentence, stackgan
from gan_jax.judgement import Judgement
from gan_jax.networks import pure
from gan_jax.readers import Reader, Text, of_embeddings
from tests import compiled

SHAPE, BATCH, WORDS = (2, 2, 1), 3, 5
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
CAPTIONS = jnp.array([[1, 2], [3, 0], [4, 4]])


def batch():
    return {'input': CAPTIONS, 'real': jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))}


def reader():
    """Sentences are the sums of words times a parameter; the loss of matching is that parameter squared."""
    return Reader(
        lambda key: jnp.float32(0.5),
        lambda params, captions: Text(params * captions.sum(-1, keepdims=True).astype(jnp.float32)),
        lambda params, images, captions, key: (params**2 * images.shape[0], {'matched': jnp.float32(1)}),
        words=WORDS,
    )


def maker():
    """Images that are constant: a parameter times the sentence, plus the latent."""

    def apply(w, latents, sentences):
        return jnp.broadcast_to((w * sentences + latents)[..., None, None], (len(latents), *SHAPE))

    return pure(lambda key: jnp.float32(0.7), apply)


def critic(count):
    """Logits: a parameter times the image's mean times its sentence, and times the mean alone."""

    def apply(v, images, sentences):
        means, told = v * images.mean((1, 2, 3)), sentences[:, 0]
        logits = jnp.stack([means * told, means][:count], axis=-1)
        return Judgement(logits, features={'wrong': (means * jnp.roll(told, -1))[:, None]})

    return pure(lambda key: jnp.float32(0.4), apply)


def moments(params, sentences):
    return jnp.stack([params * sentences, 0 * sentences], axis=1)


def game(count=1, **options):
    begin = None if count == 1 else lambda params, variables, latents, sentences: jnp.zeros((len(latents), *SHAPE))
    options = {'loss': losses.non_saturating(), 'reader': reader(), 'captions': (2,), **options}
    return stackgan(maker(), critic(count), latents=1, moments=moments, begin=begin, **options)


@pytest.mark.parametrize('count', [1, 2])
def test_losses_are_those_of_the_authors_code(count):
    made, of = game(count), batch()
    state = compiled.init_state(made, SGD, jax.random.key(0))
    told = 0.5 * CAPTIONS.sum(-1)

    def value(name, params):
        return made.turn(name).loss(params, state, of, jax.random.key(3), jnp.arange(BATCH))

    _, outcome = value('generator', state.generator.params)
    drawn = made.latents(stream(jax.random.key(3), 'latents'), jnp.arange(BATCH))[:, 0]
    fake, real = 0.7 * told + drawn, of['real'].mean((1, 2, 3))
    bce = losses.binary_cross_entropy

    def logits(v, images, sentences):
        return [v * images * sentences, v * images][:count]

    by_generator = sum(bce(each, 1.0) for each in logits(0.4, fake, told))
    divergence = kullback_leibler(moments(0.7, told[:, None]))
    np.testing.assert_allclose(outcome.metrics['divergence'], divergence, rtol=1e-5)
    np.testing.assert_allclose(value('generator', state.generator.params)[0], by_generator + 2 * divergence, rtol=1e-5)

    def by_discriminator(v):
        of_real = sum(bce(each, 1.0) for each in logits(v, real, told)) / count
        wrong = v * real * jnp.roll(told, -1)
        refused = [*logits(v, fake, told), wrong]
        return of_real + sum(bce(each, 0.0) for each in refused) / len(refused)

    np.testing.assert_allclose(
        jax.value_and_grad(lambda v: value('discriminator', v)[0])(jnp.float32(0.4)),
        jax.value_and_grad(by_discriminator)(jnp.float32(0.4)),
        rtol=1e-5,
    )
    assert jax.grad(lambda params: value('generator', params)[0])(state.generator.params)['reader'] == 0


def test_the_first_phase_moves_the_reader_alone():
    made = text_matching(maker(), reader(), 1, sentence)
    state = compiled.init_state(made, {'generator': optax.sgd(0.1)}, jax.random.key(0))
    state, metrics = steps.make_train_step(made, {'generator': optax.sgd(0.1)})(state, batch())
    assert state.generator.params['generator'] == jnp.float32(0.7)
    np.testing.assert_allclose(state.generator.params['reader'], 0.5 - 0.1 * 3, rtol=1e-6)
    assert metrics['generator/matched'] == 1
    assert list(state.players) == ['generator']


def test_samples_and_pictures_are_of_captions():
    made, params = game(2), {'generator': jnp.float32(0.7), 'reader': jnp.float32(0.5)}
    latents, of = jnp.ones((BATCH, 1)), batch()
    images = made.sample(params, {'generator': {}}, latents, CAPTIONS)
    np.testing.assert_allclose(images[:, 0, 0, 0], 0.35 * CAPTIONS.sum(-1) + 1, rtol=1e-6)
    shown = made.show(params, {'generator': {}}, latents, of)
    assert list(shown) == ['first stage', 'output', 'real']
    assert list(game().show(params, {'generator': {}}, latents, of)) == ['output', 'real']
    assert (made.given, made.captions, game(reader=of_embeddings()).captions) == ('input', WORDS, None)


def test_what_is_impossible_is_refused():
    with pytest.raises(UserError, match='divergence is -1'):
        game(divergence=-1.0)
    with pytest.raises(UserError, match='would change without their captions'):
        game(augmentation=augment.diff_augment())
    with pytest.raises(UserError, match='needs a loss that is a sum over real and over generated'):
        game(loss=losses.relativistic())
    with pytest.raises(UserError, match='Embeddings of captions need no first phase: write the data as DATA,embedd'):
        text_matching(maker(), of_embeddings(), 1, sentence)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'latents.size': '60'}, 'latents.size is 60; it must be above 64'),
        ({'latents.distribution': 'uniform'}, "latents.distribution is 'uniform'"),
        ({'discriminator.stages': '1'}, 'discriminator.stages is 1; it must be 2, as generator.stages'),
        ({'game.sentence_width': '5'}, 'game.sentence_width is 5; it must be even'),
        ({'generator.factor': '3'}, 'generator.factor is 3'),
        ({'batch_size': '1'}, 'batch_size is 1; it must be at least 2'),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes, message):
    config = configs.load('stackgan', changes)
    with pytest.raises(UserError, match=message):
        build.make_game(config, (32, 32, 3), num_classes=25, shapes={'input': (14,)})


def test_data_without_captions_are_refused():
    with pytest.raises(UserError, match="needs captions, and 'digits' has none: choose captioned_shapes or captioned:"):
        build.make_game(configs.load('stackgan:digits'), (16, 16, 1))
