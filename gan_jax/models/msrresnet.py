"""MSRResNet, the SRResNet of the authors of ESRGAN, for `generator.family`: no normalisation, and a bilinear skip.

Its layers are those of xinntao/BasicSR, whose images are in [0, 1]; it is not the network of the SRGAN paper.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer, scaled
from gan_jax.layers.linear import Conv
from gan_jax.layers.resampling import upsample
from gan_jax.models.esrgan import Discriminator
from gan_jax.models.srgan import doublings
from gan_jax.ranges import Range

__all__ = ['Discriminator', 'Generator']


class Generator(nn.Module):
    """Residual blocks at the size of the input, doublings by pixel shuffle, and the bilinear enlargement added.

    Attributes:
        channels: number of channels of the images that are made.
        width: channels of all layers.
        depth: residual blocks.
        factor: the enlargement, 2 or 4.
        dtype: dtype of the arithmetic; parameters are float32.
    """

    channels: int = 3
    width: int = 64
    depth: int = 16
    factor: Annotated[int, Range(2, 4)] = 4
    dtype: Any = jnp.float32
    axis_name: str | None = None  # nothing depends on the batch

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, h, w, C] in [-1, 1] -> [B, factor h, factor w, channels], about [-1, 1]."""
        require_positive(self, 'width', 'depth', 'channels')
        weights = {'kernel_init': scaled(initializer('he'), 0.1), 'dtype': self.dtype}
        convolution = functools.partial(Conv, **weights)
        images = (images + 1) / 2
        x = _leaky(convolution(self.width)(images))
        for _ in range(self.depth):
            x = x + convolution(self.width)(nn.relu(convolution(self.width)(x)))
        for _ in range(doublings(self.factor)):
            x = _leaky(upsample('pixel_shuffle', x, self.width, train=train, kernel_size=3, **weights))
        made = convolution(self.channels)(_leaky(convolution(self.width)(x)))
        batch, height, width, _ = made.shape
        return 2 * (made + jax.image.resize(images, (batch, height, width, images.shape[-1]), 'bilinear')) - 1


def _leaky(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, 0.1)
