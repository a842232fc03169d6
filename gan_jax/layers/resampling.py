"""Layers that double or halve an image, by name."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import choose
from gan_jax.layers.linear import Conv, ConvTranspose


def upsample(name: str, images: jax.Array, features: int, *, train: bool, **options: Any) -> jax.Array:
    """Adds a layer that doubles height and width to the linen module that calls it.

    Args:
        name: 'transposed' convolution; 'nearest' or 'bilinear' interpolation and then a convolution (Odena et al. 2016,
            "Deconvolution and Checkerboard Artifacts"); 'pixel_shuffle': a convolution to 4 D channels, which are the
            pixels of 2x2 blocks (Shi et al. 2016).
        images: [B, H, W, C].
        features: D.
        train: whether spectral normalisation updates its vector.
        **options: options of `Conv` and `ConvTranspose` alike, `kernel_size` among them.

    Returns:
        [B, 2 H, 2 W, D].

    Raises:
        UserError: no up-sampling has that name.
    """
    return choose(UPSAMPLINGS, name, 'up-sampling')(images, features, train, options)


def downsample(name: str, images: jax.Array, features: int, *, train: bool, **options: Any) -> jax.Array:
    """Adds a layer that halves height and width, which are even, to the linen module that calls it.

    Args:
        name: 'strided' convolution, or a convolution and then the 'average' of 2x2 blocks.
        images: [B, H, W, C].
        features: D.
        train: whether spectral normalisation updates its vector.
        **options: options of `Conv`, `kernel_size` among them.

    Returns:
        [B, H / 2, W / 2, D].

    Raises:
        UserError: no down-sampling has that name.
    """
    return choose(DOWNSAMPLINGS, name, 'down-sampling')(images, features, train, options)


def depth_to_space(images: jax.Array) -> jax.Array:
    """[B, H, W, 4 D] -> [B, 2 H, 2 W, D]: channel (2 a + b) D + d becomes channel d of pixel (a, b) of a 2x2 block."""
    batch, height, width, channels = images.shape
    blocks = images.reshape(batch, height, width, 2, 2, channels // 4)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, channels // 4)


def average_pool(images: jax.Array, factor: int = 2) -> jax.Array:
    """The mean of each block of `factor` x `factor` pixels: [B, H, W, C] -> [B, H / factor, W / factor, C]."""
    batch, height, width, channels = images.shape
    blocks = images.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return blocks.mean((2, 4))


def pool_thirds(images: jax.Array) -> jax.Array:
    """The mean of 3x3 pixels around every second: [B, H, W, C] -> [B, (H + 1) // 2, (W + 1) // 2, C].

    Places outside of the image do not count.
    """
    return nn.avg_pool(images, (3, 3), (2, 2), padding=((1, 1), (1, 1)), count_include_pad=False)


def max_pool(images: jax.Array) -> jax.Array:
    """The largest of each 2x2 block, without an odd last row or column: [B, H, W, C] -> [B, H // 2, W // 2, C]."""
    batch, height, width, channels = images.shape
    images = images[:, : height // 2 * 2, : width // 2 * 2]
    return images.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def interpolate(name: str, images: jax.Array) -> jax.Array:
    """Images of twice the height and width: [B, H, W, C] -> [B, 2 H, 2 W, C].

    Args:
        name: 'nearest', or 'bilinear' between the centres of pixels.
        images: [B, H, W, C].

    Raises:
        UserError: no interpolation has that name.
    """
    return choose(INTERPOLATIONS, name, 'interpolation')(images)


def faded(images: jax.Array, share: jax.Array) -> jax.Array:
    """The line from images at half their resolution to the images, at a share of it from 0 to 1."""
    coarse = _repeated(average_pool(images))
    return coarse + share * (images - coarse)


def _repeated(images: jax.Array) -> jax.Array:
    return images.repeat(2, 1).repeat(2, 2)


def _between_centres(images: jax.Array) -> jax.Array:
    batch, height, width, channels = images.shape
    return jax.image.resize(images, (batch, 2 * height, 2 * width, channels), 'bilinear')


def _transposed(images, features, train, options):
    return ConvTranspose(features, **options)(images, train=train)


def _nearest(images, features, train, options):
    return Conv(features, doubling=True, **options)(images, train=train)


def _bilinear(images, features, train, options):
    return Conv(features, **options)(_between_centres(images), train=train)


def _pixel_shuffle(images, features, train, options):
    return depth_to_space(Conv(4 * features, **options)(images, train=train))


def _strided(images, features, train, options):
    return Conv(features, stride=2, **options)(images, train=train)


def _average(images, features, train, options):
    return average_pool(Conv(features, **options)(images, train=train))


INTERPOLATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {'nearest': _repeated, 'bilinear': _between_centres}
Resampling = Callable[[jax.Array, int, bool, dict[str, Any]], jnp.ndarray]
UPSAMPLINGS: dict[str, Resampling] = {
    'transposed': _transposed,
    'nearest': _nearest,
    'bilinear': _bilinear,
    'pixel_shuffle': _pixel_shuffle,
}
DOWNSAMPLINGS: dict[str, Resampling] = {'strided': _strided, 'average': _average}
