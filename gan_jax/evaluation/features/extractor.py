"""Feature extractors: a pure function from images to features, and its name for protocols."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError

Array = jax.Array


class Features(NamedTuple):
    """The features of a batch of images.

    Attributes:
        features: float32 [n, D], for distances and moments.
        logits: float32 [n, K] over classes, whose softmax the Inception Score takes; None if there are no classes.
        taps: float32 [n, D] by name, features at other depths from the same pass; None if there are none.
    """

    features: Array
    logits: Array | None = None
    taps: Mapping[str, Array] | None = None


def is_image_type(dtype: jax.typing.DTypeLike) -> bool:
    """Whether an extractor takes images of this type: bytes, or floats that are not rounded to bytes yet."""
    return dtype == jnp.uint8 or jnp.issubdtype(dtype, jnp.floating)


class Extractor(NamedTuple):
    """A feature extractor.

    Attributes:
        name: such as 'inception-v3-2015-12-05' or 'classifier-mnist'.
        identity: everything that its features depend on, as a string for protocols and cache keys: the weights' hash,
            tap, resize rule, accuracy.
        apply: uint8 [n, H, W, C], or what `resize` makes of them, to `Features`; pure, to be traced by `jax.jit`.
            Floats in [0, 255] are taken as images that are not rounded, which path lengths need.
        resize: uint8 [n, H, W, C] of any H and W to arrays [n, ...] of one shape, as the first step; of NumPy arrays
            too, as those of several sizes are resized one by one on the host. None: the extractor has no size of its
            own, and all images must have one.
    """

    name: str
    identity: str
    apply: Callable[[Array], Features]
    resize: Callable[[Array], Array] | None = None


def look(extractor: Extractor, images: Array) -> Features:
    """The features of images [n, H, W, C], after checking the types and shapes; for tracing.

    Raises:
        UserError: the extractor does not return rows of real numbers, one per image.
    """
    seen = extractor.apply(extractor.resize(images) if extractor.resize else images)
    if not isinstance(seen, Features):
        raise UserError(
            f'The extractor {extractor.name} returns {_kind(seen)}: it must return the Features of '
            'gan_jax.evaluation.features.extractor.'
        )
    given = {'features': seen.features} | ({} if seen.logits is None else {'logits': seen.logits})
    taps = {f'tap {name}': array for name, array in (seen.taps or {}).items()}
    for name, array in (given | taps).items():
        shape, dtype = getattr(array, 'shape', None), getattr(array, 'dtype', None)
        if shape is None or not is_real(dtype) or len(shape) != 2 or shape[0] != len(images) or shape[1] == 0:
            kind = type(array).__name__ if shape is None else f'{dtype}{list(shape)}'
            raise UserError(
                f'The {name} of the extractor {extractor.name} are {kind} for {len(images)} images: it must return '
                'real numbers [n, D], one row for each of n images.'
            )
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), seen)


def _kind(value: object) -> str:
    return f'an array {list(value.shape)}' if hasattr(value, 'shape') else f'a {type(value).__name__}'


def is_real(dtype: jax.typing.DTypeLike) -> bool:
    """Whether a type is one of real numbers."""
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


NOTHING = Extractor(
    'none',
    'sees nothing',
    lambda images: Features(jnp.zeros((len(images), 1))),
    lambda images: images.reshape(len(images), -1)[:, :1],
)
"""Where metrics look at the examples alone."""
