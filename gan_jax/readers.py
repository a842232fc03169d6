"""Readers of captions: a text encoder that learns from pairs of texts and images, or one for given embeddings."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.game import Array, Key, PyTree
from gan_jax.layers.resampling import average_pool
from gan_jax.layers.text import Matcher
from gan_jax.matching import matching_loss, similarities, word_similarities

Match = tuple[Array, dict[str, Array]]


class Text(NamedTuple):
    """The outputs of a reader.

    Attributes:
        sentence: [B, d], the captions as wholes.
        words: [B, w, d], or None if there are only sentences.
        is_word: bool [B, w], false after the end of a caption; or None.
    """

    sentence: Array
    words: Array | None = None
    is_word: Array | None = None


class Reader(NamedTuple):
    """A text encoder as pure functions.

    Attributes:
        init: key -> its parameters.
        read: (params, captions [B, ...]) -> a `Text`, in evaluation mode.
        match: (params, images, captions, key) -> the loss of the first phase, and metrics; None: it does not learn.
        compare: (params, images, texts that were read) -> the same in evaluation mode, or None.
        words: number of words of the vocabulary; None: captions are embeddings of sentences.
    """

    init: Callable[[Key], PyTree]
    read: Callable[[PyTree, Array], Text]
    match: Callable[[PyTree, Array, Array, Key], Match] | None = None
    compare: Callable[[PyTree, Array, Text], Match] | None = None
    words: int | None = None

    def shapes(self, captions: tuple[int, ...]) -> Text:
        """What it reads of one caption of a shape, as shapes and dtypes."""
        read = jax.eval_shape(lambda key: self.read(self.init(key), jnp.zeros((1, *captions))), jax.random.key(0))
        return jax.tree.map(lambda part: jax.ShapeDtypeStruct(part.shape[1:], part.dtype), read)


def of_embeddings() -> Reader:
    """A reader of captions that are already embeddings."""
    return Reader(lambda key: {}, lambda params, captions: Text(captions))


def of_words(matcher: Matcher, shape: tuple[int, int, int], axis_name: str | None = None) -> Reader:
    """A reader of captions as words.

    It learns by the loss of both similarities, of words with regions and of sentences with images (Xu et al. 2018,
    "AttnGAN", equation 13).

    Args:
        matcher: its network.
        shape: (H, W, C) of the images that the network sees. Images of a whole number of times that size are reduced by
            the mean of blocks of pixels.
        axis_name: the mapped axis of the global batch.
    """

    def init(key: Key) -> PyTree:
        return matcher.init(key, jnp.zeros((1, *shape)), jnp.ones((1, 2), jnp.int32), train=False)['params']

    def text(params: PyTree, captions: Array, key: Key | None = None) -> Text:
        given = {'params': params}, captions.astype(jnp.int32)
        words, is_word, sentence = matcher.apply(*given, train=key is not None, rngs=key, method='read')
        return Text(sentence, words, is_word)

    def compare(params: PyTree, images: Array, text: Text) -> Match:
        seen = average_pool(images, images.shape[1] // shape[0])
        made = *matcher.apply({'params': params}, seen, method='see'), text
        regions, wholes, text = global_batch.gather(made, axis_name)
        alike = {
            'words': word_similarities(regions, text.words, text.is_word),
            'sentences': similarities(wholes, text.sentence),
        }
        metrics = {f'{name}_loss': matching_loss(each) for name, each in alike.items()}
        found = alike['sentences'].argmax(axis=1) == jnp.arange(len(wholes))
        return sum(metrics.values()), {**metrics, 'matched': found.mean()}

    def match(params: PyTree, images: Array, captions: Array, key: Key) -> Match:
        return compare(params, images, text(params, captions, key))

    return Reader(init, text, match, compare, matcher.words)
