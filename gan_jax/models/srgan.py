"""The networks of SRGAN: SRResNet, and a discriminator of crops.

Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", section 2.1
and figure 4.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.resampling import upsample
from gan_jax.models.pix2pix import PAD_ONE
from gan_jax.ranges import SHARE, Range

FACTORS = {2: 1, 4: 2}  # of an enlargement -> doublings


class Generator(nn.Module):
    """SRResNet: residual blocks at the size of the input, then doublings by pixel shuffle.

    Attributes:
        channels: number of channels of the images that are made.
        width: channels of all layers.
        depth: residual blocks.
        factor: the enlargement, 2 or 4.
        normalization: normalization of the blocks' layers: 'batch' as published, or 'none'.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    channels: int = 3
    width: int = 64
    depth: int = 16
    factor: Annotated[int, Range(2, 4)] = 4
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'he'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, h, w, C] in [-1, 1] -> [B, factor h, factor w, channels], about [-1, 1]."""
        require_positive(self, 'width', 'depth', 'channels')
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        convolution, normalized = functools.partial(Conv, **weights), normalizer(self)
        x = start = _prelu(convolution(self.width, kernel_size=9)((images + 1) / 2))  # as the authors' inputs
        for _ in range(self.depth):
            y = _prelu(normalized(convolution(self.width)(x), train=train))
            x = x + normalized(convolution(self.width)(y), train=train)
        x = start + normalized(convolution(self.width)(x), train=train)
        for _ in range(doublings(self.factor)):
            x = _prelu(upsample('pixel_shuffle', x, self.width, train=train, kernel_size=3, **weights))
        return convolution(self.channels, kernel_size=9)(x).astype(jnp.float32)


class Discriminator(nn.Module):
    """Eight convolutions, of which every other one halves the crop, and two dense layers.

    Attributes:
        width: channels of the first layer.
        hidden: width of the first dense layer.
        normalization: normalization of all convolutions but the first.
        momentum: momentum of batch statistics, as in the generator.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    width: int = 64
    hidden: int = 1024
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'he'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Crops [B, H, W, C] -> logits [B]."""
        require_positive(self, 'width', 'hidden')
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        normalized, x = normalizer(self), images
        for layer in range(8):
            x = Conv(self.width * 2 ** (layer // 2), stride=1 + layer % 2, padding=PAD_ONE, **weights)(x)
            x = nn.leaky_relu(normalized(x, train=train) if layer else x, 0.2)
        x = nn.leaky_relu(Dense(self.hidden, **weights)(flatten(x)), 0.2)
        return Dense(1, **weights)(x)[:, 0]


def doublings(factor: int) -> int:
    """The number of doublings of an enlargement by that factor."""
    require(factor in FACTORS, 'generator.factor', factor, ' or '.join(map(str, FACTORS)))
    return FACTORS[factor]


def _prelu(x: jax.Array) -> jax.Array:
    """Adds a PReLU with one slope to the linen module that calls it (He et al. 2015, channel-shared)."""
    return nn.PReLU(negative_slope_init=0.25)(x)
