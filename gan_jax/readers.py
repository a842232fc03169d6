"""What makes sentences of captions: a text encoder that learns from pairs of texts and images, or nothing."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.game import Array, Key, PyTree
from gan_jax.layers.text import Matcher
from gan_jax.matching import matching_loss, similarities, word_similarities


class Reader(NamedTuple):
    """What reads captions.

    Attributes:
        init: key -> its parameters.
        read: (params, captions [B, ...]) -> sentences [B, d], in evaluation mode.
        match: (params, images, captions, key) -> the loss of the first phase, and metrics; None: nothing is to learn.
        words: number of words of the vocabulary; None: captions are no words, but sentences already.
    """

    init: Callable[[Key], PyTree]
    read: Callable[[PyTree, Array], Array]
    match: Callable[[PyTree, Array, Array, Key], tuple[Array, dict[str, Array]]] | None = None
    words: int | None = None

    def sentence_size(self, captions: tuple[int, ...]) -> int:
        """The size of the sentences that it makes of captions of a shape."""
        read = jax.eval_shape(lambda key: self.read(self.init(key), jnp.zeros((1, *captions))), jax.random.key(0))
        return read.shape[-1]


def of_embeddings() -> Reader:
    """A reader of captions that are embeddings already."""
    return Reader(lambda key: {}, lambda params, captions: captions)


def of_words(matcher: Matcher, shape: tuple[int, int, int], axis_name: str | None = None) -> Reader:
    """A reader of captions as words.

    It learns by the loss of both similarities, of words with regions and of sentences with images (Xu et al. 2018,
    "AttnGAN", equation 13).

    Args:
        matcher: its network.
        shape: (H, W, C) of the images that it learns from.
        axis_name: the mapped axis of the global batch.
    """

    def init(key: Key) -> PyTree:
        return matcher.init(key, jnp.zeros((1, *shape)), jnp.ones((1, 2), jnp.int32), train=False)['params']

    def read(params: PyTree, captions: Array) -> Array:
        return matcher.apply({'params': params}, captions.astype(jnp.int32), train=False, method='read')[2]

    def match(params: PyTree, images: Array, captions: Array, key: Key) -> tuple[Array, dict[str, Array]]:
        made = matcher.apply({'params': params}, images, captions.astype(jnp.int32), train=True, rngs=key)
        if axis_name is not None:
            made = jax.tree.map(lambda rows: jax.lax.all_gather(rows, axis_name, tiled=True), made)
        regions, wholes, words, is_word, sentences = made
        alike = {'words': word_similarities(regions, words, is_word), 'sentences': similarities(wholes, sentences)}
        metrics = {f'{name}_loss': matching_loss(each) for name, each in alike.items()}
        found = alike['sentences'].argmax(axis=1) == jnp.arange(len(wholes))
        return sum(metrics.values()), {**metrics, 'matched': found.mean()}

    return Reader(init, read, match, matcher.words)
