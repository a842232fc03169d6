"""A feature extractor without weights, for tests of what surrounds extractors."""

import jax.numpy as jnp

from gan_jax.evaluation.features.extractor import Extractor, Features


def look(images):
    """The mean of each quarter of the images, and as logits for two classes how bright and how dark they are."""
    images = images.astype(jnp.float32) / 255
    number, height, width, _ = images.shape
    quarters = images[:, : height // 2 * 2, : width // 2 * 2].reshape(number, 2, height // 2, 2, width // 2, -1)
    features = quarters.mean((2, 4, 5)).reshape(number, 4)
    return Features(features, jnp.stack([features.mean(1), 1 - features.mean(1)], axis=1))


def quarters(images):
    """The mean of each quarter of images [n, H, W, C] with even sides, as an image [n, 2, 2, C]."""
    number, height, width, channels = images.shape
    return images.reshape(number, 2, height // 2, 2, width // 2, channels).mean((2, 4))


QUADRANTS = Extractor('quadrants', 'version 1', look)
RESIZED_QUADRANTS = Extractor('resized quadrants', 'version 1', look, quarters)
