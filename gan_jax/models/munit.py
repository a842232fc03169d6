"""The networks of MUNIT: encoders of content and of style, a decoder of both, a discriminator of several scales.

Huang et al. 2018, "Multimodal Unsupervised Image-to-Image Translation", appendix B. Layers, biases and paddings are
those of the authors' code.
"""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.convolution import reflected
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalize
from gan_jax.layers.resampling import interpolate, pool_thirds
from gan_jax.ranges import COUNT, Range

_HALVINGS = 2  # halvings from an image to its content code
_STYLE_HALVINGS = 4
Normalize = Callable[[jax.Array], jax.Array]


class Coding(nn.Module):
    """Options of the generators of MUNIT and UNIT, which encode an image of one domain and decode one of another.

    Attributes:
        width: channels of the first layer of the encoders; they double with each of two halvings.
        blocks: residual blocks of the encoder of contents, and of the decoder.
        initializer: initializer of the weights: 'he' is the published one.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the batch; no layer needs it.
    """

    width: Annotated[int, COUNT] = 64
    blocks: Annotated[int, Range(0, 100)] = 4
    initializer: str = 'he'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @property
    def layers(self) -> dict[str, Any]:
        """The options of all layers."""
        return {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}

    @property
    def code_width(self) -> int:
        """Channels of a content code."""
        return self.width * 2**_HALVINGS


class Generator(Coding):
    """Translates the content of an image of one domain into the other domain, with a style.

    The decoder begins with residual blocks whose normalisation is adaptive: shift and scale of each channel come from
    the style by fully connected layers (AdaIN; Huang and Belongie 2017).

    Attributes:
        channels: number of channels of the images that are made.
        style_size: size of a style.
        style_width: width of the fully connected layers.
    """

    channels: int = 3
    style_size: Annotated[int, COUNT] = 8
    style_width: Annotated[int, COUNT] = 256

    def setup(self) -> None:
        """The four parts."""
        require_positive(self, 'width', 'channels', 'style_size', 'style_width')
        self.contents = ContentEncoder(self.width, self.blocks, self.layers)
        self.styles = StyleEncoder(self.width, self.style_size, self.layers)
        adaptive = 2 * self.blocks * 2 * self.code_width  # numbers of the normalisations of two layers a block
        self.mlp = [Dense(size, **self.layers) for size in (self.style_width, self.style_width, adaptive)]
        self.decoder = Decoder(self.code_width, self.channels, self.blocks, self.layers)

    def __call__(self, images: jax.Array, examples: jax.Array, *, train: bool = False) -> jax.Array:
        """Images [B, H, W, C] of the source, and examples [B, H, W, channels] of the target -> `decode` of both."""
        del train
        return self.decode(self.content(images), self.style(examples))

    def content(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, C] of the source -> content codes [B, H / 4, W / 4, 4 width]."""
        return self.contents(images)

    def style(self, images: jax.Array) -> jax.Array:
        """Images [B, H, W, channels] of the target -> styles [B, style_size], float32."""
        return self.styles(images)

    def decode(self, content: jax.Array, style: jax.Array) -> jax.Array:
        """Content codes and styles -> images [B, H, W, channels] of the target, in [-1, 1]."""
        for layer in self.mlp[:-1]:
            style = nn.relu(layer(style))
        return self.decoder(content, self.mlp[-1](style))


class ContentEncoder(nn.Module):
    """Images [B, H, W, C] -> content codes [B, H / 4, W / 4, 4 width]; sides are multiples of 4.

    Attributes:
        width: channels of the first layer.
        blocks: residual blocks.
        layers: options of all layers.
    """

    width: int
    blocks: int
    layers: dict[str, Any]

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """The codes of the images."""
        _check_sides(images, 2**_HALVINGS)

        def layer(x: jax.Array, width: int, size: int, stride: int = 1) -> jax.Array:
            return nn.relu(instance(convolved(x, width, size, stride, self.layers)))

        x = layer(images, self.width, 7)
        for halving in range(_HALVINGS):
            x = layer(x, self.width * 2 ** (halving + 1), 4, 2)
        for _ in range(self.blocks):
            x = residual(x, instance, self.layers)
        return x


class StyleEncoder(nn.Module):
    """Images [B, H, W, C] -> styles [B, size], float32; without normalisation, which would remove the style.

    Attributes:
        width: channels of the first layer.
        size: size of a style.
        layers: options of all layers.
    """

    width: int
    size: int
    layers: dict[str, Any]

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """The styles of the images."""
        _check_sides(images, 2**_HALVINGS, least=2**_STYLE_HALVINGS)
        x = nn.relu(convolved(images, self.width, 7, 1, self.layers))
        for halving in range(_STYLE_HALVINGS):
            x = nn.relu(convolved(x, self.width * 2 ** min(halving + 1, 2), 4, 2, self.layers))
        return Dense(self.size, **self.layers)(x.mean((1, 2))).astype(jnp.float32)


class Decoder(nn.Module):
    """Content codes [B, h, w, width] -> images [B, 4 h, 4 w, channels] in [-1, 1].

    Attributes:
        width: channels of a code.
        channels: of the images.
        blocks: residual blocks.
        layers: options of all layers.
    """

    width: int
    channels: int
    blocks: int
    layers: dict[str, Any]

    @nn.compact
    def __call__(self, content: jax.Array, adaptive: jax.Array | None = None) -> jax.Array:
        """The images, with the numbers [B, n] of the adaptive normalisations; None: they only normalise."""
        given = iter([] if adaptive is None else jnp.split(adaptive, 2 * self.blocks, axis=-1))

        def norm(inputs: jax.Array) -> jax.Array:
            return instance(inputs) if adaptive is None else _adapted(inputs, next(given))

        x = content
        for _ in range(self.blocks):
            x = residual(x, norm, self.layers)
        for halving in range(_HALVINGS):
            x = convolved(interpolate('nearest', x), self.width // 2 ** (halving + 1), 5, 1, self.layers)
            x = nn.relu(LayerNorm()(x))
        return jnp.tanh(convolved(x, self.channels, 7, 1, self.layers).astype(jnp.float32))


class LayerNorm(nn.Module):
    """MUNIT's layer normalisation: over each example, with the unbiased deviation, to which the epsilon is added."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Inputs [B, H, W, C] normalised, then scaled (uniform in [0, 1) at first) and shifted by channel."""
        values, channels = inputs.astype(jnp.float32), inputs.shape[-1]
        axes = (1, 2, 3)
        deviation = jnp.sqrt(values.var(axes, keepdims=True, ddof=1) + 1e-20)  # finite gradient at 0
        values = (values - values.mean(axes, keepdims=True)) / (deviation + 1e-5)
        scale = self.param('scale', nn.initializers.uniform(1.0), (channels,))
        return (values * scale + self.param('bias', nn.initializers.zeros, (channels,))).astype(inputs.dtype)


class Discriminator(nn.Module):
    """A discriminator with a logit for each patch of an image, at several scales.

    Attributes:
        width: channels of the first layer; they double with each layer.
        depth: strided layers at each scale.
        scales: number of scales, each with half the side of the one before.
        initializer: initializer of the weights: 'normal' (deviation 0.02) is the published one.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the batch; no layer needs it.
    """

    width: Annotated[int, COUNT] = 64
    depth: Annotated[int, Range(1, 8)] = 4
    scales: Annotated[int, Range(1, 8)] = 3
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, ...]:
        """Images [B, H, W, C] -> the logits [B, h, w] of each scale."""
        del train
        require_positive(self, 'width', 'depth', 'scales')
        least = 2 ** (self.depth + self.scales - 1)
        require(
            min(images.shape[1:3]) >= least,
            'The size of images',
            min(images.shape[1:3]),
            f'at least {least} for {self.depth} layers at {self.scales} scales of the discriminator',
        )
        layers = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        logits = []
        for scale in range(self.scales):
            x = images = pool_thirds(images) if scale else images
            for layer in range(self.depth):
                x = nn.leaky_relu(convolved(x, self.width * 2**layer, 4, 2, layers), 0.2)
            logits.append(Conv(1, kernel_size=1, **layers)(x)[..., 0])
        return tuple(logits)


instance: Normalize = functools.partial(normalize, 'instance', train=False, affine=False)


def _adapted(inputs: jax.Array, numbers: jax.Array) -> jax.Array:
    """Adaptive instance normalisation: numbers [B, 2 C] are the new means and then the new deviations."""
    mean, deviation = jnp.split(numbers[:, None, None], 2, axis=-1)
    return instance(inputs) * deviation + mean


def residual(inputs: jax.Array, norm: Normalize, layers: dict[str, Any]) -> jax.Array:
    """A residual block of two convolutions of 3x3, for the linen module that calls it."""
    x = nn.relu(norm(convolved(inputs, inputs.shape[-1], 3, 1, layers)))
    return inputs + norm(convolved(x, inputs.shape[-1], 3, 1, layers))


def convolved(images: jax.Array, width: int, size: int, stride: int, layers: dict[str, Any]) -> jax.Array:
    """A convolution with reflected borders."""
    padded = reflected(images, (size - 1) // 2)
    return Conv(width, kernel_size=size, stride=stride, padding='VALID', **layers)(padded)


def _check_sides(images: jax.Array, multiple: int, least: int = 0) -> None:
    height, width = images.shape[1:3]
    if height % multiple or width % multiple or min(height, width) < least:
        raise UserError(
            f'MUNIT and UNIT halve images, which is impossible for {height}x{width} pixels: use sides that are '
            f'multiples of {multiple}' + (f' and at least {least}.' if least else '.')
        )
