"""Flow between the frames of clips, float32 [..., H, W, 2]: where each pixel was in an earlier frame.

Flow is in pixels, down and then right: what is at a place p was at p + flow(p).
"""

import jax
import jax.numpy as jnp

from gan_jax.game import Array

_SAME = 1 - 1e-3  # share of the class of a pixel from which on its place in the earlier frame has this class alone


def warp(images: Array, flow: Array) -> Array:
    """Earlier images moved along the flow, by bilinear interpolation (Jaderberg et al. 2015, equation 5).

    Args:
        images: [..., H, W, C]; outside of an image are the pixels of its border.
        flow: [..., H, W, 2].

    Returns:
        float32 [..., H, W, C]: at p the image at p + flow(p).
    """
    height, width, channels = images.shape[-3:]
    pixels = images.astype(jnp.float32).reshape(-1, height * width, channels)
    moved = flow.astype(jnp.float32).reshape(-1, height, width, 2)
    rows = jnp.clip(jnp.arange(height)[:, None] + moved[..., 0], 0, height - 1)
    columns = jnp.clip(jnp.arange(width) + moved[..., 1], 0, width - 1)
    top, left = jnp.floor(rows).astype(jnp.int32), jnp.floor(columns).astype(jnp.int32)

    def at(row: Array, column: Array) -> Array:
        places = (row * width + column).reshape(pixels.shape[0], -1, 1)
        found = jnp.take_along_axis(pixels, places, axis=1, mode='promise_in_bounds')
        return found.reshape(-1, height, width, channels)

    bottom, right = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)
    down, aside = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - aside) * at(top, left) + aside * at(top, right)
    lower = (1 - aside) * at(bottom, left) + aside * at(bottom, right)
    return ((1 - down) * upper + down * lower).reshape(images.shape)


def flow_of_maps(maps: Array, stride: int = 1) -> Array:
    """The flow of shapes that move without turning, from their label maps.

    Class 0 is a still background. The pixels of each other class are one shape, which is wholly visible and moves as
    its centre does. A class that one of two frames lacks does not move.

    Args:
        maps: one-hot [..., T, H, W, classes].
        stride: number of frames between two that are compared.

    Returns:
        float32 [..., T - stride, H, W, 2], from frame `stride` on.
    """
    height, width, classes = maps.shape[-3:]
    sizes = maps.sum((-3, -2))[..., None]
    places = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing='ij'), axis=-1)
    sums = jnp.einsum('...hwk,hwc->...kc', maps, places.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST)
    centres = sums / jnp.maximum(sizes, 1)
    before, after = centres[..., :-stride, :, :], centres[..., stride:, :, :]
    moves = (sizes[..., :-stride, :, :] > 0) & (sizes[..., stride:, :, :] > 0) & (jnp.arange(classes) > 0)[:, None]
    shifts = jnp.where(moves, before - after, 0)
    own = maps[..., stride:, :, :, :]
    return jnp.einsum('...hwk,...kc->...hwc', own, shifts, precision=jax.lax.Precision.HIGHEST)


def was_visible(maps: Array, flow: Array) -> Array:
    """Which pixels were visible in the frame before, with the same class: bool [..., T - 1, H, W, 1].

    Args:
        maps: one-hot [..., T, H, W, classes].
        flow: [..., T - 1, H, W, 2].
    """
    earlier = warp(maps[..., :-1, :, :, :], flow)
    return (earlier * maps[..., 1:, :, :, :]).sum(-1, keepdims=True) > _SAME
