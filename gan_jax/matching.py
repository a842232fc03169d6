"""How well texts and images match, by their words and regions and as wholes.

Xu et al. 2018, "AttnGAN: Fine-Grained Text to Image Generation with Attentional Generative Adversarial Networks",
section 3.2: the deep attentional multimodal similarity model (DAMSM). A batch has one text for each image; every other
text of the batch is a wrong one.
"""

import jax
import jax.numpy as jnp
import optax

from gan_jax.game import Array

WITHIN, OVER, SCALE = 5.0, 5.0, 10.0  # gamma 1, 2 and 3 of the paper


def word_similarities(
    regions: Array, words: Array, is_word: Array, within: float = WITHIN, over: float = OVER
) -> Array:
    """The similarity of every image with every text by regions and words (equations 7 to 10).

    Each word attends to the regions, which gives a weighted mean of them. The similarity is a soft maximum over the
    words of the cosine between a word and its mean.

    Args:
        regions: [B, r, d], those of each image.
        words: [T, w, d], those of each text.
        is_word: bool [T, w], false after the end of a text.
        within: gamma 1, which sharpens the attention to regions.
        over: gamma 2, which sharpens the soft maximum over words.

    Returns:
        [B, T].
    """
    shown = is_word[None, :, :, None]
    scores = jnp.einsum('brd,twd->btwr', regions, words)
    of_words = jax.nn.softmax(jnp.where(shown, scores, -jnp.inf), axis=2)
    attention = jax.nn.softmax(within * of_words, axis=3)
    contexts = jnp.einsum('btwr,brd->btwd', attention, regions)
    cosines = (_unit(contexts) * _unit(words)[None]).sum(-1)
    return jax.nn.logsumexp(jnp.where(is_word[None], over * cosines, -jnp.inf), axis=2) / over


def similarities(images: Array, texts: Array) -> Array:
    """The cosine of every image with every text as wholes: [B, d] and [T, d] -> [B, T]."""
    return _unit(images) @ _unit(texts).T


def matching_loss(similarities: Array, scale: float = SCALE) -> Array:
    """The cross-entropies of the matching text of each image and the matching image of each text (equations 11 to 13).

    Args:
        similarities: [B, B], of image i with text j.
        scale: gamma 3; probabilities are the softmax of this times the similarities.

    Returns:
        The sum of the two mean cross-entropies in nats; 2 log B if all are equally similar.
    """
    logits, own = scale * similarities, jnp.arange(len(similarities))
    return sum(optax.softmax_cross_entropy_with_integer_labels(each, own).mean() for each in (logits, logits.T))


def _unit(vectors: Array) -> Array:
    return vectors * jax.lax.rsqrt(jnp.maximum(jnp.square(vectors).sum(-1, keepdims=True), 1e-12))
