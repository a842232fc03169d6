"""Converts stored examples to the batches of a training step: pure functions for use inside a compiled step."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.data.dataset import batch_field
from gan_jax.examples.kinds import kind_of


def gather(arrays: Mapping[str, jax.Array], indices: jax.Array) -> dict[str, jax.Array]:
    """The rows of each array on the device at `indices`, which must be in range."""
    return {name: array.at[indices].get(mode='promise_in_bounds') for name, array in arrays.items()}


def prepare(
    examples: jax.Array,
    labels: jax.Array | None,
    key: jax.Array,
    positions: jax.Array,
    *,
    flip: bool,
    inputs: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """The part of a batch at the given positions, as input of the networks.

    Args:
      examples: uint8 [n, height, width, channels], or float32 [n, ...], which is passed on as it is.
      labels: int [n] or None.
      key: a typed key for the whole batch.
      positions: int [n], the examples' places in the whole batch: each draws its flip from `fold_in(key, position)`,
        so that a device with some of them draws what a device with all of them draws for these.
      flip: whether to mirror each example left to right with probability 1/2, its input with it; for images only.
      inputs: the image that goes with each example, uint8 [n, height, width, channels]; its caption [n, ...], which is
        passed on as it is; or None.

    Returns:
      'real': float32, x / 127.5 - 1 of uint8 examples, in a form that compiles to exactly -1 and 1 at the ends;
      'label': int32 [n], unless `labels` is None; and 'input', as 'real', unless `inputs` is None.
    """
    images = {'real': examples} if inputs is None else {'real': examples, 'input': inputs}
    images = {field: to_float(image) for field, image in images.items()}
    if flip:
        mirrored = global_batch.draw(jax.random.bernoulli, key, positions)
        images = {field: _mirror(image, mirrored) for field, image in images.items()}
    return images if labels is None else images | {'label': labels.astype(jnp.int32)}


def prepare_parts(
    parts: Mapping[str, Mapping[str, jax.Array]],
    key_of: Callable[[str], jax.Array] | None,
    positions: jax.Array | None,
    *,
    flip: bool,
) -> dict[str, jax.Array]:
    """`prepare` for each part of a data set, by the names that the fields have in a batch.

    Args:
      parts: for each part by its name 'examples' and what it has of 'labels' and 'inputs', as `Dataset.arrays` has
      them.
      key_of: the name of a part -> its key; None if nothing is mirrored.
      positions: as in `prepare`; None if nothing is mirrored.
      flip: as in `prepare`.
    """
    batch = {}
    for name, arrays in parts.items():
        key = key_of(name) if key_of else None
        labels, inputs = arrays.get('labels'), arrays.get('inputs')
        fields = prepare(arrays['examples'], labels, key, positions, flip=flip, inputs=inputs)
        batch |= {batch_field(name, kind): array for kind, array in fields.items()}
    return batch


def to_float(images: jax.Array) -> jax.Array:
    """Images as inputs of networks: float32, x / 127.5 - 1 of uint8, in a form that is exactly -1 and 1 at the ends."""
    return (2 * images.astype(jnp.float32) - 255) / 255 if images.dtype == jnp.uint8 else images


def _mirror(images: jax.Array, mirrored: jax.Array) -> jax.Array:
    """Mirrors the images selected by a boolean [n]."""
    columns = jnp.arange(images.shape[2])
    columns = jnp.where(mirrored[:, None], columns[::-1], columns)
    # By places and not by a choice between two images, for which XLA:CPU draws the bits anew for every pixel.
    return jnp.take_along_axis(images, columns[:, None, :, None], axis=2, mode='promise_in_bounds')


def to_uint8(images: jax.Array) -> jax.Array:
    """Images in [-1, 1] as uint8, rounded and clipped: the inverse of `prepare`."""
    return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def to_stored(examples: jax.Array) -> jax.Array:
    """Outputs of a generator [n, ...] as data sets hold such examples: `to_uint8`, or as they are of coordinates."""
    return to_uint8(examples) if kind_of(examples.shape[1:]).has_bytes else examples
