"""AttnGAN's game: its losses by hand, what moves, pictures, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses
from gan_jax import config as configs
from gan_jax.encoding import kullback_leibler
from gan_jax.errors import UserError
from gan_jax.game import stream
from gan_jax.games.attngan import attngan, mosaic
from gan_jax.judgement import Judgement
from gan_jax.networks import Network, pure
from gan_jax.readers import Reader, Text, of_embeddings
from tests import compiled

SHAPE, BATCH, WORDS, BRANCHES = (2, 2, 1), 3, 5, 2
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
CAPTIONS = jnp.array([[1, 2], [3, 0], [4, 4]])
BATCH_OF = {'input': CAPTIONS, 'real': jax.random.normal(jax.random.key(1), (BATCH, *SHAPE))}


def reader():
    """Sentences are the sums of words times a parameter; images match that are small, by the parameter and by words."""

    def read(params, captions):
        words = captions[..., None].astype(jnp.float32)
        return Text(params * words.sum(1), words, captions > 0)

    def compare(params, images, text):
        return params * (text.words * text.is_word[..., None]).mean() * jnp.square(images).mean(), {}

    return Reader(lambda key: jnp.float32(0.5), read, lambda *_: None, compare, WORDS)


def maker():
    """Images that are constant: a parameter times the sentence plus the latent, times the number of the branch."""

    def apply(w, variables, latents, key, train, text):
        branches = jnp.arange(1, BRANCHES + 1) * (w * text.sentence + latents)
        images = jnp.broadcast_to(branches[..., None, None, None], (len(latents), BRANCHES, *SHAPE))
        return images if train else images[:, -1], variables

    return Network(lambda key: (jnp.float32(0.7), {}), apply)


def critic():
    """Logits of a branch: a parameter times the image's mean times its sentence, and times the mean alone."""

    def apply(v, images, text):
        if images.ndim == 4:
            images = jnp.stack([images] * BRANCHES, axis=1)
        means, told = v * images.mean((2, 3, 4)), text.sentence
        logits = jnp.stack([means * told, means], axis=-1).reshape(len(images), -1)
        return Judgement(logits, features={'wrong': means * jnp.roll(told, -1, axis=0)})

    return pure(lambda key: jnp.float32(0.4), apply)


def moments(params, text):
    return jnp.stack([params * text.sentence, 0 * text.sentence], axis=1)


def game(**options):
    options = {'loss': losses.non_saturating(), 'reader': reader(), 'captions': (2,), **options}
    return attngan(maker(), critic(), latents=1, moments=moments, branches=BRANCHES, **options)


def test_losses_are_sums_over_branches_and_the_last_images_match_their_texts():
    made = game()
    state = compiled.init_state(made, SGD, jax.random.key(0))
    told = 0.5 * CAPTIONS.sum(-1)

    def value(name, params):
        return made.turn(name).loss(params, state, BATCH_OF, jax.random.key(3), jnp.arange(BATCH))

    drawn = made.latents(stream(jax.random.key(3), 'latents'), jnp.arange(BATCH))[:, 0]
    real, bce = BATCH_OF['real'].mean((1, 2, 3)), losses.binary_cross_entropy

    def by_generator(w):
        fake = w * told + drawn
        adversary = sum(bce(0.4 * i * fake * told, 1.0) + bce(0.4 * i * fake, 1.0) for i in (1, 2))
        matching = 0.5 * CAPTIONS.mean() * jnp.square(2 * fake).mean()
        return adversary + kullback_leibler(moments(w, Text(told[:, None]))) + 5 * matching

    graded = jax.jit(jax.value_and_grad(lambda params: value('generator', params)[0]))
    loss, gradients = graded(state.generator.params)
    np.testing.assert_allclose(
        (loss, gradients['generator']), jax.value_and_grad(by_generator)(jnp.float32(0.7)), rtol=1e-5
    )
    assert gradients['reader'] == 0

    def by_discriminator(v):
        total = 0.0
        for i in (1, 2):
            fake = i * (0.7 * told + drawn)
            refused = bce(v * fake * told, 0.0) + bce(v * fake, 0.0) + bce(v * real * jnp.roll(told, -1), 0.0)
            total += (bce(v * real * told, 1.0) + bce(v * real, 1.0)) / 2 + refused / 3
        return total

    np.testing.assert_allclose(
        jax.jit(jax.value_and_grad(lambda v: value('discriminator', v)[0]))(jnp.float32(0.4)),
        jax.value_and_grad(by_discriminator)(jnp.float32(0.4)),
        rtol=1e-5,
    )


def test_samples_are_the_last_images_of_captions():
    made, params = game(), {'generator': jnp.float32(0.7), 'reader': jnp.float32(0.5)}
    images = made.sample(params, {'generator': {}}, jnp.ones((BATCH, 1)), CAPTIONS)
    np.testing.assert_allclose(images[:, 0, 0, 0], 2 * (0.35 * CAPTIONS.sum(-1) + 1), rtol=1e-6)
    assert (made.given, made.captions) == ('input', WORDS)


def test_attention_is_shown_word_by_word_in_rows():
    maps = jax.random.uniform(jax.random.key(0), (2, 3, 3, 5)) * jnp.array([1, 0.1, 1, 1, 0])
    picture = mosaic(maps)
    assert picture.shape == (2, 12, 12, 1)
    for word, (row, column) in enumerate([(0, 0), (0, 3), (0, 6), (0, 9), (3, 0)]):
        cell = picture[1, row : row + 3, column : column + 3, 0]
        np.testing.assert_allclose(cell, 2 * maps[1, ..., word] / max(maps[1, ..., word].max(), 1e-9) - 1, atol=1e-6)
    assert (picture[:, 3:, 3:] == -1).all()


def test_what_is_impossible_is_refused():
    with pytest.raises(UserError, match='attends to the words of captions, and these data have embeddings'):
        game(reader=of_embeddings())
    with pytest.raises(UserError, match='several images of each caption, of which replay stores one: set replay=0'):
        game(replay=4)
    with pytest.raises(UserError, match='The weight of matching is -1'):
        game(matching=-1.0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'latents.size': '60'}, 'latents.size is 60; it must be above 64'),
        ({'generator_optimizer.weight_decay': '1e-4'}, 'would change the text encoder, which does not move'),
        ({'discriminator.branches': '1'}, 'discriminator.branches is 1; it must be 2, as generator.branches'),
        ({'game.image_side': '24'}, 'game.image_side is 24; it must be a divisor of 32'),
        ({'game.sentence_width': '5'}, 'game.sentence_width is 5; it must be even'),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build.make_game(configs.load('attngan', changes), (32, 32, 3), num_classes=25, shapes={'input': (14,)})


def test_embeddings_are_refused_in_either_phase():
    for pretrain in ('True', 'False'):
        with pytest.raises(UserError, match='have embeddings of captions instead: use captions'):
            build.make_game(configs.load('attngan', {'game.pretrain': pretrain}), (32, 32, 3), shapes={'input': (14,)})


def test_the_second_phase_takes_the_encoders_of_the_first_at_the_published_size():
    made = []
    for phase in configs.split(configs.load('attngan:captioned:/data')):
        side = phase.data.size
        game = build.make_game(phase, (side, side, 3), num_classes=25, shapes={'input': (18,)})
        state = jax.eval_shape(build.initializer(phase, game), jax.random.key(0))
        made.append((side, game.turns, state.generator.params['reader'], state.generator.params['generator']['first']))
    (first, texts, reader, branch), (last, turns, same, again) = made
    assert (first, last, len(texts), len(turns)) == (64, 256, 1, 2)
    assert reader['whole']['kernel'].shape == (16 * 16 * 128, 256)
    assert jax.tree.map(lambda leaf: leaf.shape, (reader, branch)) == jax.tree.map(
        lambda leaf: leaf.shape, (same, again)
    )
