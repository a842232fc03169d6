"""From stored examples to what a training step is fed: pure functions for the inside of a compiled step."""

import jax
import jax.numpy as jnp


def gather(examples: jax.Array, labels: jax.Array | None, indices: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """The examples and labels at `indices`, which must lie in range, from arrays that live on the device."""
    take = lambda array: array.at[indices].get(mode='promise_in_bounds')  # noqa: E731
    return take(examples), None if labels is None else take(labels)


def prepare(
    examples: jax.Array, labels: jax.Array | None, key: jax.Array, positions: jax.Array, *, flip: bool
) -> dict[str, jax.Array]:
    """The part of a batch that stands at the given positions, as the networks want it.

    Args:
      examples: uint8 [n, height, width, channels], or float32 [n, ...], which is passed on as it is.
      labels: int [n] or None.
      key: a typed key for the whole batch.
      positions: int [n], the examples' places in the whole batch: each draws its flip from `fold_in(key, position)`,
        so that a device that holds some of them draws what one that holds all draws for these.
      flip: whether to mirror each example left to right with probability 1/2; for images only.

    Returns:
      'real': float32, x / 127.5 - 1 of uint8 examples, in a form that compiles to exactly -1 and 1 at the ends; and
      'label': int32 [n], unless `labels` is None.
    """
    real = (2 * examples.astype(jnp.float32) - 255) / 255 if examples.dtype == jnp.uint8 else examples
    if flip:
        mirrored = jax.vmap(lambda position: jax.random.bernoulli(jax.random.fold_in(key, position)))(positions)
        columns = jnp.arange(real.shape[2])
        columns = jnp.where(mirrored[:, None], columns[::-1], columns)
        # By places and not by a choice between two images, for which XLA:CPU draws the bits anew for every pixel.
        real = jnp.take_along_axis(real, columns[:, None, :, None], axis=2, mode='promise_in_bounds')
    return {'real': real} if labels is None else {'real': real, 'label': labels.astype(jnp.int32)}


def to_uint8(images: jax.Array) -> jax.Array:
    """Images in [-1, 1] as uint8, rounded, and clipped where they lie outside: the inverse of `prepare`."""
    return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)
