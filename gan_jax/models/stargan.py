"""The networks of StarGAN: a residual translator conditioned on a domain, and a discriminator that names domains.

Choi et al. 2018, "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation",
appendix. Layers, biases and paddings are those of the authors' code.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.conditioning import planes
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, ConvTranspose
from gan_jax.layers.normalization import normalize
from gan_jax.ranges import COUNT, Range


class Generator(nn.Module):
    """Two halvings, residual blocks and two doublings of an image with planes of its domain.

    Borders are zeros: with reflected ones, instance normalisation would remove the constant planes.

    Attributes:
        channels: number of channels of the images that are made.
        width: channels of the first layer.
        blocks: residual blocks.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the batch; no layer needs it.
    """

    channels: int = 3
    width: Annotated[int, COUNT] = 64
    blocks: Annotated[int, Range(0, 100)] = 6
    initializer: str = 'lecun'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, domains: jax.Array, *, train: bool = False) -> jax.Array:
        """Images [B, H, W, C] and one-hot domains [B, K] -> images [B, H, W, channels]; sides are multiples of 4."""
        require_positive(self, 'width', 'channels')
        height, width = images.shape[1:3]
        if height % 4 or width % 4:
            raise UserError(
                f"StarGAN's generator halves images twice, which is impossible for {height}x{width} pixels: use sides "
                'that are multiples of 4.'
            )
        weights = {'use_bias': False, 'kernel_init': initializer(self.initializer), 'dtype': self.dtype}

        def normalized(x: jax.Array) -> jax.Array:
            return normalize('instance', x, train=train, dtype=self.dtype)

        x = planes(images, domains)
        x = nn.relu(normalized(Conv(self.width, kernel_size=7, **weights)(x)))
        for features in (2 * self.width, 4 * self.width):
            x = nn.relu(normalized(Conv(features, kernel_size=4, stride=2, **weights)(x)))
        for _ in range(self.blocks):
            y = nn.relu(normalized(Conv(x.shape[-1], **weights)(x)))
            x = x + normalized(Conv(x.shape[-1], **weights)(y))
        for features in (2 * self.width, self.width):
            x = nn.relu(normalized(ConvTranspose(features, kernel_size=4, **weights)(x)))
        return jnp.tanh(Conv(self.channels, kernel_size=7, **weights)(x).astype(jnp.float32))


class Discriminator(nn.Module):
    """A discriminator with a logit for each patch of an image, and logits of its domain.

    Attributes:
        num_classes: number of domains.
        width: channels of the first layer; they double with each layer.
        depth: strided layers.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the batch; no layer needs it.
    """

    num_classes: int
    width: Annotated[int, COUNT] = 64
    depth: Annotated[int, Range(1, 8)] = 6
    initializer: str = 'lecun'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> Judgement:
        """Images [B, H, W, C] -> logits [B, h, w] of the patches, and class logits [B, num_classes]."""
        del train
        require_positive(self, 'width', 'depth')
        sides = images.shape[1:3]
        if any(side % 2**self.depth for side in sides):
            raise UserError(
                f'The discriminator halves images {self.depth} times, which is impossible for {sides[0]}x{sides[1]} '
                'pixels: choose another discriminator.depth, or sides that are multiples of a power of two.'
            )
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        x = images
        for layer in range(self.depth):
            x = nn.leaky_relu(Conv(self.width * 2**layer, kernel_size=4, stride=2, **weights)(x), 0.01)
        logits = Conv(1, use_bias=False, **weights)(x)[..., 0]
        last = Conv(self.num_classes, kernel_size=x.shape[1:3], padding='VALID', use_bias=False, **weights)
        return Judgement(logits.astype(jnp.float32), last(x)[:, 0, 0].astype(jnp.float32))
