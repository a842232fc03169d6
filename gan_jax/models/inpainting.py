"""The networks of the context encoder: encoder and decoder of an image with a hole, and DCGAN's discriminator.

Pathak et al. 2016, "Context Encoders: Feature Learning by Inpainting", sections 3.1 and 4 and the authors' code.
"""

import math
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, ConvTranspose, Dense
from gan_jax.layers.normalization import normalize
from gan_jax.models.dcgan import Discriminator
from gan_jax.ranges import COUNT_OR_NONE, DECAY

__all__ = ['Discriminator', 'Generator']

_SMALLEST = 4  # pixels of the encoder's last layer


class ChannelwiseDense(nn.Module):
    """The channel-wise fully connected layer (section 3.1): each channel has a matrix between its places.

    It passes information across the image with C n^2 parameters for n places, where a fully connected layer has
    (C n)^2.

    Attributes:
        kernel_init: initialiser of the matrices.
        dtype: dtype of the arithmetic.
    """

    kernel_init: nn.initializers.Initializer
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """[B, h, w, C] -> [B, h, w, C]."""
        batch, height, width, channels = inputs.shape
        places = height * width
        kernel = self.param('kernel', self.kernel_init, (channels, places, places)).astype(self.dtype)
        bias = self.param('bias', nn.initializers.zeros, (places, channels)).astype(self.dtype)
        outputs = jnp.einsum('bpc,cpq->bqc', inputs.reshape(batch, places, channels).astype(self.dtype), kernel) + bias
        return outputs.reshape(inputs.shape)


class Generator(nn.Module):
    """An image with a hole to the contents of the hole, which has half its height and width.

    The encoder halves the image by 4x4 convolutions down to 4 pixels, five times at 128 pixels; the decoder doubles
    from there.

    Attributes:
        channels: number of channels of the images.
        width: channels of the first layers.
        max_width: maximum number of channels of a layer.
        bottleneck: channels of the single pixel between encoder and decoder, 4000 in the authors' code; 0: a
            channel-wise fully connected layer and a 1x1 convolution instead, as in section 3.1.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights: 'normal' (deviation 0.02) is the published one.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    channels: int = 3
    width: int = 64
    max_width: int = 512
    bottleneck: Annotated[int, COUNT_OR_NONE] = 0
    momentum: Annotated[float, DECAY] = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] -> contents [B, H / 2, W / 2, channels] in [-1, 1]."""
        require_positive(self, 'width', 'max_width', 'channels')
        halvings = _halvings(images.shape[1:3])
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        inner = {**weights, 'use_bias': False}

        def normalized(x: jax.Array) -> jax.Array:
            options = {'momentum': self.momentum, 'axis_name': self.axis_name, 'dtype': self.dtype}
            return normalize('batch', x, train=train, **options)

        def wide(level: int) -> int:
            return min(self.width * 2**level, self.max_width)

        x = nn.leaky_relu(Conv(self.width, kernel_size=4, stride=2, **weights)(images), 0.2)
        for level in range(halvings - 1):
            x = nn.leaky_relu(normalized(Conv(wide(level), kernel_size=4, stride=2, **inner)(x)), 0.2)
        sides, widest = x.shape[1:3], wide(halvings - 2)
        if self.bottleneck:
            x = Conv(self.bottleneck, kernel_size=sides, padding='VALID', **inner)(x)
            x = nn.leaky_relu(normalized(x), 0.2)
            x = Dense(math.prod(sides) * widest, **inner)(x).reshape(-1, *sides, widest)
        else:
            x = Conv(widest, kernel_size=1, **inner)(ChannelwiseDense(**weights)(x))
        x = nn.relu(normalized(x))
        for level in reversed(range(halvings - 2)):
            x = nn.relu(normalized(ConvTranspose(wide(level), kernel_size=4, **inner)(x)))
        return jnp.tanh(ConvTranspose(self.channels, kernel_size=4, **weights)(x).astype(jnp.float32))


def _halvings(sides: tuple[int, int]) -> int:
    """How often an image is halved down to 4 pixels."""
    halvings = 0
    while min(sides) >> halvings > _SMALLEST:
        halvings += 1
    if halvings < 2 or min(sides) != _SMALLEST << halvings or any(side % 2**halvings for side in sides):
        raise UserError(
            f'A context encoder halves images down to {_SMALLEST} pixels, which is impossible for {sides[0]}x{sides[1]}'
            f': use a size of {_SMALLEST} times a power of two, from {4 * _SMALLEST}.'
        )
    return halvings
