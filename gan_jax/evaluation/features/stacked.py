"""Applies an extractor of single images to stacked ones, such as the triples of stacked MNIST."""

import jax
import jax.numpy as jnp

from gan_jax.evaluation.features.extractor import Extractor, Features


def of_channels(one: Extractor) -> Extractor:
    """An extractor of stacked images, by one of grey images.

    The features of the channels are concatenated. The logits are the log-probabilities of the tuples of classes, in
    the order of `gan_jax.data.stacked.stacked_labels`: 1,000 for three digits.

    Args:
        one: takes uint8 [n, H, W, 1] and has logits.
    """

    def apply(images: jax.Array) -> Features:
        channels = jnp.moveaxis(images, -1, 1)
        seen = one.apply(channels.reshape(-1, *images.shape[1:-1], 1))
        features, logits = (array.reshape(*channels.shape[:2], -1) for array in (seen.features, seen.logits))
        joint = jnp.zeros((len(images), 1))
        for shares in jnp.moveaxis(jax.nn.log_softmax(logits), 1, 0):
            joint = (joint[:, :, None] + shares[:, None, :]).reshape(len(images), -1)
        return Features(features.reshape(len(images), -1), joint)

    return Extractor(f'{one.name}-of-channels', f'{one.identity}, of each channel', apply)
