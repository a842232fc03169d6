"""Deep convolutional GAN: Radford et al. 2016, https://arxiv.org/abs/1511.06434.

Sizes follow from the shape of the images. Height and width are halved as long as both stay even numbers of at least 4;
what is left is the base, from which the generator starts and at which the discriminator ends, and each halving is a
stage of both: 28 is 7 in two stages, 32 is 4 in three, 64 is 4 in four.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.layers.resampling import downsample, upsample

SMALLEST_BASE = 4


class Generator(nn.Module):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    A dense projection to base x base x widths[0], normalised and through a ReLU like every later stage, then stages of
    up-sampling, the last of them to the image's channels and through tanh. A layer has a bias where no normalisation of
    activations follows, which would take it away again.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of the last hidden stage when widths are computed; they double with each stage towards the base.
        max_width: the most channels of a stage when widths are computed.
        widths: channels of the projection and of each stage but the last; None: computed.
        kernel_size: of all convolutions.
        upsampling: 'transposed', 'nearest', 'bilinear' or 'pixel_shuffle'.
        normalization: 'batch', 'layer', 'instance', 'spectral' (of all weights) or 'none'.
        momentum: of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: of the weights: 'normal' (deviation 0.02, the paper's), 'xavier', 'he' or 'orthogonal'.
        dtype: of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    shape: tuple[int, int, int]
    width: int = 64
    max_width: int = 512
    widths: tuple[int, ...] | None = None
    kernel_size: int = 4
    upsampling: str = 'transposed'
    normalization: str = 'batch'
    momentum: float = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        require_positive(self, 'width', 'max_width', 'widths', 'kernel_size')
        height, width, channels = image_shape(self.shape)
        stages = count_stages(self.shape)
        widths = _widths(self, stages)[::-1] if self.widths is None else _checked(self.widths, stages, self.shape)
        weights, normalize = weight_options(self), normalizer(self)
        use_bias = not replaces_bias(self.normalization)

        base = height >> stages, width >> stages, widths[0]
        images = Dense(base[0] * base[1] * base[2], use_bias=use_bias, **weights)(latents, train=train)
        images = nn.relu(normalize(images.reshape(-1, *base), train=train))
        convolution = {'kernel_size': self.kernel_size, 'train': train, **weights}
        for features in widths[1:]:
            images = upsample(self.upsampling, images, features, use_bias=use_bias, **convolution)
            images = nn.relu(normalize(images, train=train))
        images = upsample(self.upsampling, images, channels, **convolution)
        return jnp.tanh(images.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images [B, H, W, C] -> logits [B], float32.

    Stages of down-sampling with LeakyReLU 0.2, normalised except for the first, then one layer to the logit.

    Attributes:
        width: channels of the first stage when widths are computed; they double with each stage.
        max_width: the most channels of a stage when widths are computed.
        widths: channels of each stage; None: computed.
        kernel_size: of all convolutions but the final one.
        downsampling: 'strided' or 'average'.
        normalization: as in the generator; 'spectral' is of all weights, the first layer's and the last's included.
        momentum: of batch statistics, as in the generator.
        dropout: rate after each stage, in training.
        final: 'dense' from all that is left, or a 'convolution' without padding as large as what is left. The two are
            the same map of the same number of parameters.
        initializer: of the weights, as in the generator.
        dtype: of the arithmetic but for the last layer's; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    width: int = 64
    max_width: int = 512
    widths: tuple[int, ...] | None = None
    kernel_size: int = 4
    downsampling: str = 'strided'
    normalization: str = 'batch'
    momentum: float = 0.9
    dropout: float = 0.0
    final: str = 'dense'
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """The logits of the images being real."""
        require_positive(self, 'width', 'max_width', 'widths', 'kernel_size')
        shape = image_shape(images.shape[1:])
        stages = count_stages(shape)
        widths = _widths(self, stages) if self.widths is None else _checked(self.widths, stages, shape)
        final = choose(FINAL_LAYERS, self.final, 'final layer')
        weights, normalize = weight_options(self), normalizer(self)
        for stage, features in enumerate(widths):
            use_bias = stage == 0 or not replaces_bias(self.normalization)
            convolution = {'kernel_size': self.kernel_size, 'use_bias': use_bias, 'train': train, **weights}
            images = downsample(self.downsampling, images, features, **convolution)
            images = nn.leaky_relu(images if stage == 0 else normalize(images, train=train), 0.2)
            images = Dropout(self.dropout, self.axis_name)(images, train=train)
        return final(images, train, weights | {'dtype': jnp.float32})


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The shape if it is an image's; raises a UserError otherwise."""
    if len(shape) != 3:
        raise UserError(f'DCGAN is for images of shape (H, W, C), not {tuple(shape)}; choose the model mlp for that.')
    return tuple(shape)


def count_stages(shape: Sequence[int]) -> int:
    """How often an image (H, W, C) is halved on the way to the base.

    Raises:
        UserError: not once, as a side is odd or too small.
    """
    for side, size in zip(('high', 'wide'), shape, strict=False):
        if size % 2 or size < 2 * SMALLEST_BASE:
            nearest = max(size - size % 2, 2 * SMALLEST_BASE)
            raise UserError(
                f'DCGAN cannot make images {size} pixels {side}, as a size is a base of at least {SMALLEST_BASE} times '
                f'a power of two; the nearest that work are {nearest} and {nearest + 2}.'
            )
    stages = 0
    while all(size % 2 ** (stages + 1) == 0 and size >> (stages + 1) >= SMALLEST_BASE for size in shape[:2]):
        stages += 1
    return stages


def _widths(network: Generator | Discriminator, stages: int) -> list[int]:
    """The computed widths, from the image to the base."""
    return [min(network.width * 2**stage, network.max_width) for stage in range(stages)]


def _checked(widths: Sequence[int], stages: int, shape: Sequence[int]) -> Sequence[int]:
    if len(widths) != stages:
        raise UserError(
            f'{len(widths)} widths {tuple(widths)} do not fit images of shape {tuple(shape)}, which have {stages} '
            f'stages: give {stages} widths, or None to have them computed.'
        )
    return widths


def _dense(images: jax.Array, train: bool, weights: dict[str, Any]) -> jax.Array:
    return Dense(1, **weights)(images.reshape(len(images), -1), train=train)[:, 0]


def _convolution(images: jax.Array, train: bool, weights: dict[str, Any]) -> jax.Array:
    return Conv(1, kernel_size=images.shape[1:3], padding='VALID', **weights)(images, train=train)[:, 0, 0, 0]


FINAL_LAYERS = {'dense': _dense, 'convolution': _convolution}
