"""The networks of ESRGAN: RRDBNet, and a discriminator of crops in the manner of VGG.

Wang et al. 2018, "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", section 3.1. Layers, biases and
initial weights are those of the authors' PyTorch code (xinntao/BasicSR), whose images are in [0, 1].
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer, scaled
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.resampling import upsample
from gan_jax.models.pix2pix import PAD_ONE
from gan_jax.models.srgan import doublings
from gan_jax.ranges import SHARE, Range

_RESIDUAL = 0.2  # the factor of each residual


class Generator(nn.Module):
    """RRDBNet: residual blocks of three dense blocks, without normalisation, then doublings by the nearest pixel.

    Attributes:
        channels: number of channels of the images that are made.
        width: channels between the blocks.
        growth: channels that each of the first four layers of a dense block adds.
        depth: residual blocks; 23 in the paper, 16 in its smaller network.
        factor: the enlargement, 2 or 4.
        dtype: dtype of the arithmetic; parameters are float32.
    """

    channels: int = 3
    width: int = 64
    growth: int = 32
    depth: int = 23
    factor: Annotated[int, Range(2, 4)] = 4
    dtype: Any = jnp.float32
    axis_name: str | None = None  # nothing depends on the batch

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, h, w, C] in [-1, 1] -> [B, factor h, factor w, channels], about [-1, 1]."""
        require_positive(self, 'width', 'growth', 'depth', 'channels')
        weights = {'kernel_init': _USUAL, 'dtype': self.dtype}
        convolution = functools.partial(Conv, **weights)

        def dense(x: jax.Array) -> jax.Array:
            layers = [x]
            for features in (*(self.growth,) * 4, self.width):
                inputs = jnp.concatenate(layers, axis=-1)
                layers.append(_leaky(last := Conv(features, kernel_init=_SMALL, dtype=self.dtype)(inputs)))
            return x + _RESIDUAL * last

        x = start = convolution(self.width)((images + 1) / 2)
        for _ in range(self.depth):
            x = x + _RESIDUAL * dense(dense(dense(x)))
        x = start + convolution(self.width)(x)
        for _ in range(doublings(self.factor)):
            x = _leaky(upsample('nearest', x, self.width, train=train, kernel_size=3, **weights))
        return 2 * convolution(self.channels)(_leaky(convolution(self.width)(x))).astype(jnp.float32) - 1


class Discriminator(nn.Module):
    """Five halvings, each a 3x3 and then a strided 4x4 convolution, and two dense layers.

    Attributes:
        width: channels of the first two layers.
        hidden: width of the first dense layer.
        normalization: normalization of all convolutions but the first.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    width: int = 64
    hidden: int = 100
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Crops [B, H, W, C], of sides that are multiples of 32, -> logits [B]."""
        require_positive(self, 'width', 'hidden')
        if any(side % 32 for side in images.shape[1:3]):
            raise UserError(
                f'The discriminator of esrgan halves crops five times, which is impossible for {images.shape[1]}x'
                f'{images.shape[2]} pixels: set game.crop to a multiple of 32.'
            )
        weights, normalized = {'kernel_init': _USUAL, 'dtype': self.dtype}, normalizer(self)
        x = images
        for stage in range(5):
            width = self.width * min(2**stage, 8)
            x = Conv(width, use_bias=stage == 0, **weights)(x)
            x = _leaky(normalized(x, train=train) if stage else x)
            x = Conv(width, kernel_size=4, stride=2, padding=PAD_ONE, use_bias=False, **weights)(x)
            x = _leaky(normalized(x, train=train))
        x = _leaky(Dense(self.hidden, **weights)(flatten(x)))
        return Dense(1, **weights)(x)[:, 0]


_USUAL = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')  # PyTorch's
_SMALL = scaled(initializer('he'), 0.1)  # section 3.1


def _leaky(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, 0.2)
