"""The networks of pix2pix: a U-Net from images to images, and the discriminator of patches.

Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", appendix. Layers, biases and
paddings are those of the authors' PyTorch code.
"""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, ConvTranspose
from gan_jax.layers.normalization import normalize
from gan_jax.ranges import DECAY, Range

_MAX_LEVELS = 8  # a U-Net of 256x256 pixels reaches 1x1
PAD_ONE = ((1, 1), (1, 1))
RECEPTIVE_FIELDS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}  # pixels -> strided layers of the discriminator


class Translation(nn.Module):
    """Options of all networks of pix2pix and CycleGAN.

    Attributes:
        width: channels of the first layer.
        normalization: 'instance' has no learnt scale and shift, and its layers have a bias (CycleGAN); 'batch' has both
            in the normalisation (pix2pix, whose batches are single images). 'none' is possible as well.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights: 'normal' (deviation 0.02) is the published one.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics and dropout are global.
    """

    width: int = 64
    normalization: str = 'instance'
    momentum: float = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def layers(self, train: bool) -> tuple[dict[str, Any], dict[str, Any], Callable[[jax.Array], jax.Array]]:
        """Options of convolutions without and with a normalisation after them, and the normalisation."""
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        inner = {**weights, 'use_bias': self.normalization != 'batch'}
        normalized = functools.partial(
            normalize,
            self.normalization,
            train=train,
            momentum=self.momentum,
            axis_name=self.axis_name,
            affine=self.normalization == 'batch',
            dtype=self.dtype,
        )
        return weights, inner, normalized


class Generator(Translation):
    """A U-Net whose noise is dropout.

    The encoder halves the image `levels` times by 4x4 convolutions; the decoder doubles it again, and each of its
    levels gets the encoder's features of the same size. Its innermost level has no normalisation, which would
    remove a single pixel.

    Attributes:
        channels: number of channels of the images that are made.
        max_width: maximum number of channels of a layer.
        levels: number of halvings of the image; 0: as many as possible, at most 8.
        dropout: dropout of the first three levels of the decoder, in evaluation mode too where there is a key.
    """

    channels: int = 3
    max_width: int = 512
    levels: Annotated[int, Range(0, _MAX_LEVELS)] = 0
    dropout: Annotated[float, DECAY] = 0.5

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] -> images [B, H, W, channels] in [-1, 1]."""
        require_positive(self, 'width', 'max_width', 'channels')
        weights, inner, normalized = self.layers(train)
        levels = _levels(images.shape[1:3], self.levels)
        widths = [min(self.width * 2**level, self.max_width) for level in range(levels)]

        x, skips = images, []
        for level, width in enumerate(widths):
            x = nn.leaky_relu(x, 0.2) if level else x
            x = Conv(width, kernel_size=4, stride=2, padding=PAD_ONE, **inner)(x)
            if 0 < level < levels - 1:
                x = normalized(x)
            skips.append(x)
        for level in reversed(range(levels)):
            x = x if level == levels - 1 else jnp.concatenate([skips[level], x], axis=-1)
            x = nn.relu(x)
            if level == 0:
                return jnp.tanh(ConvTranspose(self.channels, kernel_size=4, **weights)(x).astype(jnp.float32))
            x = normalized(ConvTranspose(widths[level - 1], kernel_size=4, **inner)(x))
            if levels - level <= 3:
                has_noise = train or self.has_rng('params') or self.has_rng('dropout')
                x = Dropout(self.dropout, self.axis_name if train else None)(x, train=has_noise)
        raise AssertionError('a U-Net has a level 0')


class Discriminator(Translation):
    """A discriminator with a logit for each patch of an image (Isola et al. 2017, section 3.2.2).

    Attributes:
        receptive_field: side of a patch in pixels: 1 (the pixel discriminator), 16, 34, 70, 142 or 286.
    """

    receptive_field: Annotated[int, Range(1, 286)] = 70

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] -> logits [B, h, w], one for each patch."""
        require_positive(self, 'width')
        fields = ', '.join(map(str, RECEPTIVE_FIELDS))
        require(self.receptive_field in RECEPTIVE_FIELDS, 'receptive_field', self.receptive_field, f'one of {fields}')
        weights, inner, normalized = self.layers(train)
        strided = RECEPTIVE_FIELDS[self.receptive_field]
        if not strided:
            x = nn.leaky_relu(Conv(self.width, kernel_size=1, **weights)(images), 0.2)
            x = nn.leaky_relu(normalized(Conv(2 * self.width, kernel_size=1, **inner)(x)), 0.2)
            return Conv(1, kernel_size=1, **inner)(x)[..., 0]

        convolution = functools.partial(Conv, kernel_size=4, padding=PAD_ONE)
        x = nn.leaky_relu(convolution(self.width, stride=2, **weights)(images), 0.2)
        for layer in range(1, strided + 1):
            stride = 2 if layer < strided else 1
            width = self.width * min(2**layer, 8)
            x = nn.leaky_relu(normalized(convolution(width, stride=stride, **inner)(x)), 0.2)
        if min(x.shape[1:3]) < 2:
            raise UserError(
                f'Images of {images.shape[1]}x{images.shape[2]} pixels are too small for patches of '
                f'{self.receptive_field}: choose a smaller receptive_field from {fields}.'
            )
        return convolution(1, **weights)(x)[..., 0]


def _levels(sides: tuple[int, int], wanted: int) -> int:
    """The number of halvings of an image in a U-Net."""
    possible = 0
    while all(side % 2 ** (possible + 1) == 0 for side in sides) and possible < _MAX_LEVELS:
        possible += 1
    if not possible or wanted > possible:
        raise UserError(
            f'A U-Net can halve images of {sides[0]}x{sides[1]} pixels {possible} times, not {wanted or "once"}: '
            'choose other levels, or a size that is a multiple of a power of two.'
        )
    return wanted or possible
