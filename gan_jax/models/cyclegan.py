"""The networks of CycleGAN: a residual network from images to images, and pix2pix's discriminator of patches.

Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", appendix. Layers,
biases and paddings are those of the authors' PyTorch code.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import require_positive
from gan_jax.layers.convolution import reflected
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, ConvTranspose
from gan_jax.models.pix2pix import PAD_ONE, Discriminator, Translation
from gan_jax.ranges import DECAY, Range

__all__ = ['Discriminator', 'Generator']


class Generator(Translation):
    """Two halvings, residual blocks, two doublings.

    Attributes:
        channels: number of channels of the images that are made.
        blocks: residual blocks; 0: 6 for images below 256 pixels and 9 from there on, as published.
        dropout: inside the blocks; CycleGAN has none.
    """

    channels: int = 3
    blocks: Annotated[int, Range(0, 100)] = 0
    dropout: Annotated[float, DECAY] = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] -> images [B, H, W, channels] in [-1, 1]; sides are multiples of 4."""
        require_positive(self, 'width', 'channels')
        sides = images.shape[1:3]
        if any(side % 4 for side in sides):
            raise UserError(
                f'A residual translation halves images twice, which is impossible for {sides[0]}x{sides[1]} '
                'pixels: use sides that are multiples of 4.'
            )
        weights, inner, normalized = self.layers(train)

        def convolved(x: jax.Array, features: int, size: int, options: dict[str, Any]) -> jax.Array:
            return Conv(features, kernel_size=size, padding='VALID', **options)(reflected(x, size // 2))

        x = nn.relu(normalized(convolved(images, self.width, 7, inner)))
        for width in (2 * self.width, 4 * self.width):
            x = nn.relu(normalized(Conv(width, kernel_size=3, stride=2, padding=PAD_ONE, **inner)(x)))
        for _ in range(self.blocks or (9 if min(sides) >= 256 else 6)):
            y = nn.relu(normalized(convolved(x, x.shape[-1], 3, inner)))
            y = Dropout(self.dropout, self.axis_name)(y, train=train)
            x = x + normalized(convolved(y, x.shape[-1], 3, inner))
        for width in (2 * self.width, self.width):
            x = nn.relu(normalized(ConvTranspose(width, kernel_size=3, padding=1, **inner)(x)))
        return jnp.tanh(convolved(x, self.channels, 7, weights).astype(jnp.float32))
