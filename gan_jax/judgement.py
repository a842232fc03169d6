"""The outputs of a discriminator."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gan_jax.errors import UserError


class Judgement(NamedTuple):
    """A discriminator's outputs; unused ones cost nothing under `jax.jit`.

    Attributes:
        logits: [B], of the example being real.
        classes: class logits [B, num_classes] of an auxiliary classifier, or None.
        features: intermediate features by name, [B, ...] each, in the order of the layers.
        direction: logits [B] that only differentiate the direction of the last layer, or None; see
            `gan_jax.layers.networks.slice_features`.
        rotations: logits [B, 4] of the number of quarter turns of an image, or None.
        embeddings: unit vectors [B, d] of the examples, for contrastive conditioning, or None.
        proxies: unit vectors [B, d] of their classes, likewise.
        codes: outputs [B, n] of the recognition head of InfoGAN, or None; see `gan_jax.codes`.
    """

    logits: jax.Array
    classes: jax.Array | None = None
    features: Mapping[str, jax.Array] = {}
    direction: jax.Array | None = None
    rotations: jax.Array | None = None
    embeddings: jax.Array | None = None
    proxies: jax.Array | None = None
    codes: jax.Array | None = None


def judgement(outputs: Any, *, has_scales: bool = False) -> Judgement:
    """Converts a network's outputs to a `Judgement` whose logits are at least float32.

    Args:
        outputs: a `Judgement`, or logits [B], which have no classes or features.
        has_scales: whether logits may be a tuple, one array for each scale.

    Raises:
        UserError: the outputs are neither logits nor a `Judgement`.
    """
    if not (has_scales or isinstance(outputs, Judgement) or hasattr(outputs, 'dtype')):
        raise UserError(
            f'The discriminator returns a {type(outputs).__name__}: it must return logits [B] or a '
            'gan_jax.judgement.Judgement.'
        )
    judged = outputs if isinstance(outputs, Judgement) else Judgement(outputs)
    return judged._replace(logits=jax.tree.map(widened, judged.logits))


def widened(array: ArrayLike) -> jax.Array:
    """The array in float32, or in its own type if that has more bits."""
    array = jnp.asarray(array)
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))
