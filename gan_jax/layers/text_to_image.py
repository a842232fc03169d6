"""Layers of generators of images from captions, and their discriminator; shared by StackGAN and AttnGAN."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.encoding import reparameterized
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.conditioning import planes
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.resampling import upsample

BASE = 4  # pixels a side of the smallest features


class Layers(NamedTuple):
    """The options of layers that the modules of a network share.

    Attributes:
        weights: of convolutions and dense layers, which have no bias.
        normalize: (inputs, train) -> normalised inputs.
    """

    weights: Mapping[str, Any]
    normalize: Callable[..., jax.Array]


def layers_of(network: nn.Module) -> Layers:
    """The options of layers from a network's fields `initializer`, `dtype` and those that `normalizer` reads."""
    weights = {'kernel_init': initializer(network.initializer), 'use_bias': False, 'dtype': network.dtype}
    return Layers(weights, normalizer(network))


def count_halvings(shape: tuple[int, ...]) -> int:
    """The number of halvings of a square image (H, H, C) to 4x4.

    Raises:
        UserError: there are none.
    """
    side = shape[0]
    halvings = (side // BASE).bit_length() - 1
    if len(shape) != 3 or shape[1] != side or side != BASE << max(halvings, 1):
        raise UserError(
            f'Images of captions are square, of 8, 16, 32, 64, 128 or 256 pixels a side, not of shape {tuple(shape)}: '
            'set data.size.'
        )
    return halvings


def draw_codes(moments: jax.Array, latents: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Splits latents [B, n + codes] into noise [B, n] and the draw of codes [B, codes] with moments [B, 2, codes].

    Conditioning augmentation of Zhang et al. 2017 ("StackGAN", section 3.2).
    """
    codes = moments.shape[-1]
    return latents[:, :-codes], reparameterized(moments, latents[:, -codes:])


def project_and_upsample(
    codes: jax.Array,
    doublings: int,
    features: int,
    layers: Layers,
    train: bool,
    activation: Callable[..., jax.Array] = nn.relu,
) -> jax.Array:
    """A dense layer to features of `BASE` pixels a side, and upsampling blocks, each to half the channels.

    Args:
        codes: [B, n].
        doublings: number of upsampling blocks.
        features: channels of the dense layer, before the activation.
        layers: options of the layers.
        train: whether this is a training pass.
        activation: follows each layer; a gated linear unit halves its channels.

    Returns:
        [B, side, side, C] with a side of `BASE` times 2 to the number of doublings.
    """
    hidden = Dense(BASE * BASE * features, **layers.weights)(codes)
    hidden = activation(layers.normalize(hidden, train=train)).reshape(codes.shape[0], BASE, BASE, -1)
    for doubling in range(1, doublings + 1):
        hidden = upsample_block(hidden, features >> doubling, layers, train, activation)
    return hidden


def upsample_block(
    hidden: jax.Array, features: int, layers: Layers, train: bool, activation: Callable[..., jax.Array] = nn.relu
) -> jax.Array:
    """Nearest-neighbour upsampling, a 3x3 convolution, normalisation and the activation: [B, 2 h, 2 w, C]."""
    hidden = upsample('nearest', hidden, features, train=train, kernel_size=3, **layers.weights)
    return activation(layers.normalize(hidden, train=train))


def to_images(hidden: jax.Array, channels: int, layers: Layers) -> jax.Array:
    """Adds the last layer: features [B, h, w, C] -> images [B, h, w, channels] in [-1, 1], float32."""
    return jnp.tanh(Conv(channels, **layers.weights)(hidden).astype(jnp.float32))


class Judge(nn.Module):
    """Images [B, H, H, C] and sentences [B, d] -> a judgement with float32 logits [B, 1] or [B, 2].

    Convolutions of size 4 halve the image to 4x4, and convolutions of size 3 reduce its channels to 8 times the width.
    The first logit is that of a real image that fits its sentence, from these features beside the sentence's code. The
    second logit does not see the sentence. The feature 'wrong' [B, 1] is the first logit of each image for the sentence
    of the next one in the global batch.

    Attributes:
        width: channels of the first convolution; they double with each further one.
        codes: size of the code of a sentence; 0: the sentence is its own code.
        unconditional: whether there is a second logit, which does not see the sentence.
        layers: options of the layers.
        axis_name: the mapped axis of the global batch.
    """

    width: int
    codes: int
    unconditional: bool
    layers: Layers
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, sentences: jax.Array, *, train: bool) -> Judgement:
        """The judgement of images and sentences."""
        layers, hidden, features = self.layers, images, {}
        for halving in range(count_halvings(images.shape[1:])):
            hidden = Conv(self.width << halving, kernel_size=4, stride=2, **layers.weights)(hidden)
            hidden = nn.leaky_relu(layers.normalize(hidden, train=train) if halving else hidden, 0.2)
            features[f'layer{halving}'] = hidden
        while hidden.shape[-1] > 8 * self.width:
            hidden = Conv(hidden.shape[-1] // 2, **layers.weights)(hidden)
            hidden = nn.leaky_relu(layers.normalize(hidden, train=train), 0.2)
        codes = sentences
        if self.codes:
            codes = nn.leaky_relu(Dense(self.codes, **{**layers.weights, 'use_bias': True})(sentences), 0.2)
        fits = Fits(layers)
        logits = [fits(hidden, codes, train=train)]
        wrong = fits(hidden, global_batch.roll(codes, global_batch.axis_of(self)), train=train)
        if self.unconditional:
            logits.append(_logit(hidden, layers))
        return Judgement(jnp.stack(logits, axis=-1), features={'wrong': wrong[:, None], **features})


class Fits(nn.Module):
    """Features [B, 4, 4, C] and codes [B, n] -> logits [B] of an image that fits its sentence.

    Attributes:
        layers: options of the layers.
    """

    layers: Layers

    @nn.compact
    def __call__(self, features: jax.Array, codes: jax.Array, *, train: bool) -> jax.Array:
        """The logits."""
        hidden = Conv(features.shape[-1], **self.layers.weights)(planes(features, codes))
        return _logit(nn.leaky_relu(self.layers.normalize(hidden, train=train), 0.2), self.layers)


def _logit(features: jax.Array, layers: Layers) -> jax.Array:
    weights = {**layers.weights, 'use_bias': True, 'dtype': jnp.float32}
    return Conv(1, kernel_size=BASE, padding='VALID', **weights)(features)[:, 0, 0, 0]
