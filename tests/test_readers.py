"""Readers: what they read of captions, and how they compare texts with images of other sizes."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.text import Matcher
from gan_jax.readers import of_embeddings, of_words

CAPTIONS = jnp.array([[1, 2, 3], [4, 1, 0]])


def test_images_are_compared_at_the_size_that_the_encoder_sees():
    reader = of_words(Matcher(words=5, size=4, word_width=3, image_width=2, dropout=0.0), (8, 8, 1))
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    large = images.repeat(2, 1).repeat(2, 2) + jnp.tile(jnp.array([[1.0, -1], [-1, 1]]), (8, 8))[..., None]

    @jax.jit
    def compared(key):
        params = reader.init(key)
        text = reader.read(params, CAPTIONS)
        found = [reader.compare(params, each, text) for each in (images, large)]
        return *found, reader.match(params, images, CAPTIONS, key)

    (value, metrics), *others = compared(jax.random.key(0))
    np.testing.assert_allclose([other for other, _ in others], [value, value], rtol=1e-5)
    np.testing.assert_allclose(metrics['words_loss'] + metrics['sentences_loss'], value, rtol=1e-6)
    shapes = reader.shapes((3,))
    assert [part.shape for part in shapes] == [(4,), (3, 4), (3,)]
    assert shapes.is_word.dtype == bool


def test_embeddings_are_sentences_already():
    reader = of_embeddings()
    assert reader.read({}, CAPTIONS) == (CAPTIONS, None, None)
    assert reader.shapes((7,)).sentence.shape == (7,)
