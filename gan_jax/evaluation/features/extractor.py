"""What looks at images for the metrics: a pure function from images to features, and its name for protocols."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Features(NamedTuple):
    """What an extractor sees in a batch of images.

    Attributes:
        features: float32 [n, D], what distances and moments are taken of.
        logits: float32 [n, K] over classes, whose softmax the Inception Score takes; None where there are no classes.
    """

    features: Array
    logits: Array | None = None


def is_image_type(dtype: jax.typing.DTypeLike) -> bool:
    """Whether an extractor takes images of this type: bytes, or floats that are not rounded to bytes yet."""
    return dtype == jnp.uint8 or jnp.issubdtype(dtype, jnp.floating)


class Extractor(NamedTuple):
    """A feature extractor.

    Attributes:
        name: such as 'inception-v3-2015-12-05' or 'classifier-mnist'.
        identity: all that its features depend on, as text for protocols and cache keys: the weights' hash, tap, resize
            rule, accuracy.
        apply: uint8 [n, H, W, C] to `Features`; pure, to be traced by `jax.jit`. Floats in [0, 255] are taken as
            images that are not rounded, which path lengths need.
    """

    name: str
    identity: str
    apply: Callable[[Array], Features]
