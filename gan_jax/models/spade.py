"""The networks of SPADE (GauGAN): a generator whose normalisation reads a label map, and discriminators at two scales.

Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization", appendix A. Layers, biases and
paddings are those of the authors' code. Its maps have one channel per class; the size of the first layer follows from
that of the map.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer, scaled
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalize
from gan_jax.layers.resampling import interpolate, pool_thirds
from gan_jax.ranges import DECAY, Range

_START = scaled(nn.initializers.glorot_normal(), 0.02)
_LAST = 4  # pixels of the encoder's last layer


class Synthesis(nn.Module):
    """Options of all networks of SPADE.

    Attributes:
        width: channels of the narrowest layer of a network.
        spectral_iterations: power iterations of spectral normalisation; 0: no layer is normalised.
        initializer: initializer of the weights; 'published' is Glorot's normal one times 0.02.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    width: int = 64
    spectral_iterations: int = 1
    initializer: str = 'published'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def layers(self, train: bool) -> tuple[dict[str, Any], functools.partial, functools.partial]:
        """The options of plain layers, convolutions with spectral normalisation, and instance normalisation."""
        start = _START if self.initializer == 'published' else initializer(self.initializer)
        weights = {'kernel_init': start, 'dtype': self.dtype}
        spectral = functools.partial(Conv, spectral_iterations=self.spectral_iterations, **weights)
        return weights, spectral, functools.partial(normalize, 'instance', train=train, affine=False, dtype=self.dtype)


class SpatialNorm(nn.Module):
    """SPADE, a normalisation whose scale and shift depend on the place (section 3.1, equation 1).

    Attributes:
        normalized: inputs -> inputs normalised without scale and shift.
        hidden: channels between the map and scale and shift.
        weights: options of the convolutions.
    """

    normalized: functools.partial
    hidden: int
    weights: dict[str, Any]

    @nn.compact
    def __call__(self, inputs: jax.Array, maps: jax.Array) -> jax.Array:
        """Inputs [B, h, w, C] and maps [B, H, W, classes], H and W multiples of h and w, -> outputs [B, h, w, C]."""
        maps = _nearest(maps, inputs.shape[1:3])
        hidden = nn.relu(Conv(self.hidden, **self.weights)(maps))
        scale, shift = jnp.split(Conv(2 * inputs.shape[-1], **self.weights)(hidden), 2, axis=-1)
        return self.normalized(inputs) * (1 + scale) + shift


class Block(nn.Module):
    """A residual block with SPADE (appendix A, figure 11): inputs [B, h, w, C] -> [B, h, w, features].

    Attributes:
        features: number of output channels.
        norm: makes a `SpatialNorm`.
        convolution: makes a convolution.
    """

    features: int
    norm: functools.partial
    convolution: functools.partial

    @nn.compact
    def __call__(self, inputs: jax.Array, maps: jax.Array, *, train: bool) -> jax.Array:
        """The outputs; `train` updates the vectors of spectral normalisation."""
        channels, shortcut = inputs.shape[-1], inputs
        if channels != self.features:
            shortcut = self.convolution(self.features, kernel_size=1, use_bias=False)(
                self.norm()(inputs, maps), train=train
            )
        hidden = inputs
        for width in (min(channels, self.features), self.features):
            hidden = self.convolution(width)(nn.leaky_relu(self.norm()(hidden, maps), 0.2), train=train)
        return shortcut + hidden


class Generator(Synthesis):
    """Label maps, and latents if there are any, to images.

    The width halves from 16 times that of the last block, while the image is doubled. Without latents the first layer
    is a convolution of the smallest map, with latents it is a linear layer.

    Attributes:
        channels: number of channels of the images that are made.
        hidden: channels between the map and the scale and shift of each normalisation.
        upsamplings: number of doublings of the image, from 4 to 7; published are 5, 6 ('more') and 7 ('most').
        normalization: 'batch' or 'instance', before the scale and shift.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
    """

    channels: int = 3
    hidden: int = 128
    upsamplings: Annotated[int, Range(4, 7)] = 5
    normalization: str = 'batch'
    momentum: Annotated[float, DECAY] = 0.9

    @nn.compact
    def __call__(self, latents: jax.Array, maps: jax.Array, *, train: bool) -> jax.Array:
        """Latents [B, n] or [B, 0], maps [B, H, W, classes] -> images [B, H, W, channels] in [-1, 1]."""
        require_positive(self, 'width', 'hidden', 'channels')
        sides, step = maps.shape[1:3], 2**self.upsamplings
        if any(side % step for side in sides):
            raise UserError(
                f'SPADE doubles an image {self.upsamplings} times, which cannot make {sides[0]}x{sides[1]} pixels: use '
                f'sides that are multiples of {step}, or other upsamplings.'
            )
        weights, spectral, _ = self.layers(train)
        normalized = functools.partial(
            normalize,
            self.normalization,
            train=train,
            affine=False,
            momentum=self.momentum,
            axis_name=self.axis_name,
            dtype=self.dtype,
        )
        block = functools.partial(
            Block, norm=functools.partial(SpatialNorm, normalized, self.hidden, weights), convolution=spectral
        )
        doubled = functools.partial(interpolate, 'nearest')
        start, most = (sides[0] // step, sides[1] // step), 16 * self.width
        if latents.shape[-1]:
            x = Dense(most * start[0] * start[1], **weights)(latents).reshape(-1, *start, most)
        else:
            x = Conv(most, **weights)(_nearest(maps, start))

        x = block(most)(x, maps, train=train)
        x = doubled(x) if self.upsamplings > 4 else x
        x = block(most)(x, maps, train=train)
        x = doubled(x) if self.upsamplings > 5 else x
        x = block(most)(x, maps, train=train)
        for halvings in range(1, 6 if self.upsamplings == 7 else 5):
            x = block(most >> halvings)(doubled(x), maps, train=train)
        return jnp.tanh(Conv(self.channels, **weights)(nn.leaky_relu(x, 0.2)).astype(jnp.float32))


class Discriminator(Synthesis):
    """Discriminators of patches, each of an image of half the size (Wang et al. 2018, pix2pixHD, section 3.2).

    Attributes:
        depth: number of convolutions of each before its logits.
        scales: number of discriminators.
    """

    depth: Annotated[int, Range(2, 8)] = 4
    scales: Annotated[int, Range(1, 5)] = 2

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Judgement:
        """Images and their maps [B, H, W, C] -> logits, a tuple of [B, h, w] for each scale, and features by name."""
        require_positive(self, 'width')
        weights, spectral, normalized = self.layers(train)
        padded = {'kernel_size': 4, 'padding': ((2, 2), (2, 2))}
        logits, features = [], {}
        for scale in range(self.scales):
            images = pool_thirds(images) if scale else images
            x = images
            for layer in range(self.depth):
                width, stride = self.width * min(2**layer, 8), 1 if layer == self.depth - 1 else 2
                if layer == 0:
                    x = Conv(width, stride=stride, **padded, **weights)(x)
                else:
                    x = normalized(spectral(width, stride=stride, use_bias=False, **padded)(x, train=train))
                x = features[f'scale{scale}/layer{layer}'] = nn.leaky_relu(x, 0.2)
            logits.append(Conv(1, **padded, **weights)(x)[..., 0])
        return Judgement(tuple(logits), features=features)


class Encoder(Synthesis):
    """Images to the mean and the logarithm of the variance of their latents (appendix A, figure 14).

    Convolutions halve an image to four pixels, six of them at 256 pixels.

    Attributes:
        size: number of latents.
    """

    size: int = 256

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images [B, H, W, C] -> [B, 2, size], means and then logarithms of variances."""
        weights, spectral, normalized = self.layers(train)
        x, layer = images, 0
        while min(x.shape[1:3]) > _LAST:
            x = spectral(self.width * min(2**layer, 8), stride=2, padding=((1, 1), (1, 1)), use_bias=False)(
                x, train=train
            )
            x, layer = nn.leaky_relu(normalized(x), 0.2), layer + 1
        x = x.reshape(len(x), -1)
        return jnp.stack([Dense(self.size, **weights)(x) for _ in range(2)], axis=1)


def _nearest(maps: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """Maps [B, H, W, C] at smaller sides that divide theirs: the first pixel of each block."""
    down, right = maps.shape[1] // sides[0], maps.shape[2] // sides[1]
    return maps[:, ::down, ::right]
