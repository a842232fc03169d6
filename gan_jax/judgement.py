"""What a discriminator says about examples."""

from collections.abc import Mapping
from typing import NamedTuple

import jax


class Judgement(NamedTuple):
    """A discriminator's outputs; what nobody asks for costs nothing under `jax.jit`.

    Attributes:
        logits: [B], of being real.
        classes: class logits [B, num_classes] of an auxiliary classifier, or None.
        features: intermediate features by name, [B, ...] each, in the order in which they arise.
        direction: logits [B] whose gradient is that of the last layer's direction alone, or None; see
            `gan_jax.layers.networks.slice_features`.
        rotations: logits [B, 4] of how many quarter turns an image has been turned by, or None.
        embeddings: unit vectors [B, d] of the examples, for contrastive conditioning, or None.
        proxies: unit vectors [B, d] of their classes, likewise.
    """

    logits: jax.Array
    classes: jax.Array | None = None
    features: Mapping[str, jax.Array] = {}
    direction: jax.Array | None = None
    rotations: jax.Array | None = None
    embeddings: jax.Array | None = None
    proxies: jax.Array | None = None


def judgement(outputs: 'jax.Array | Judgement') -> Judgement:
    """A network's outputs as a `Judgement`: bare logits [B] are one without classes and features."""
    return outputs if isinstance(outputs, Judgement) else Judgement(outputs)
