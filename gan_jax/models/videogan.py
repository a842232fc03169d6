"""The networks of VideoGAN: Vondrick et al. 2016, https://arxiv.org/abs/1609.02612.

A clip of T frames of size S is halved n = log2(S / 4) times along every side, so that frames of 64 pixels leave 4x4
and 32 of them leave two. The authors' generator has 16,245,383 parameters at the published size; here it has 1,024
fewer, the biases of its first layers, which batch norm removes. Their discriminator has two logits and 11,057,858
parameters; here it has one logit, their difference, and 16,385 parameters fewer.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, ConvTranspose, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.ranges import COUNT

_BASE = 4


class Generator(GeneratorNetwork):
    """Latents [B, n] -> clips [B, T, H, W, C] in [-1, 1], float32: a moving foreground over a still background.

    Equation 3: mask * foreground + (1 - mask) * background. The foreground, with its mask, has convolutions in space
    and time, the background in space only; both start from the same latents.

    Attributes:
        shape: (T, H, W, C) of a clip.
        width: channels of the last hidden layer of each stream; they double towards the base.
        max_width: maximum number of channels.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The clips made from the latents."""
        foreground, mask, background = self.streams(latents, condition, train=train)
        return mask * foreground + (1 - mask) * background

    @nn.compact
    def streams(
        self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Foreground [B, T, H, W, C] in [-1, 1], mask [B, T, H, W, 1] in [0, 1], background [B, 1, H, W, C]."""
        length, *_, channels = self.shape
        widths = _widths(self, self.shape)[::-1]
        latents, condition = self.take(latents, condition, train=train)
        weights, normalize = weight_options(self), normalizer(self, condition)
        use_bias = not replaces_bias(self.normalization, condition)

        def stream(base: tuple[int, ...], outputs: int) -> jax.Array:
            hidden = Dense(math.prod(base) * widths[0], use_bias=use_bias, **weights)(latents, train=train)
            hidden = nn.relu(normalize(hidden.reshape(-1, *base, widths[0]), train=train))
            for features in widths[1:]:
                hidden = nn.relu(normalize(ConvTranspose(features, **weights)(hidden, train=train), train=train))
            return ConvTranspose(outputs, **weights)(hidden, train=train).astype(jnp.float32)

        moving = stream((length >> len(widths), _BASE, _BASE), channels + 1)
        still = stream((_BASE, _BASE), channels)
        return jnp.tanh(moving[..., :-1]), nn.sigmoid(moving[..., -1:]), jnp.tanh(still)[:, None]


class Discriminator(DiscriminatorNetwork):
    """Clips [B, T, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Strided convolutions of size 4 in space and time, with LeakyReLU 0.2, normalised except for the first, then one
    layer to the logit.

    Attributes:
        width: channels of the first layer; they double with each further one.
        max_width: maximum number of channels.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, clips: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the clips being real."""
        weights, normalize = weight_options(self), normalizer(self)
        hidden, features = self.see(clips, condition), {}
        for stage, width in enumerate(_widths(self, clips.shape[1:])):
            hidden = Conv(width, kernel_size=4, stride=2, **weights)(hidden, train=train)
            hidden = nn.leaky_relu(normalize(hidden, train=train) if stage else hidden, 0.2)
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train)


def _widths(network: Generator | Discriminator, shape: Sequence[int]) -> list[int]:
    """Channels after each halving of a clip to frames of 4x4, from the clip to the base."""
    if len(shape) != 4 or shape[1] != shape[2]:
        raise UserError(f'VideoGAN is for clips of shape (T, H, H, channels), not {tuple(shape)}: use motions.')
    length, side = shape[:2]
    halvings = (side // _BASE).bit_length() - 1
    if side != _BASE << halvings or not halvings:
        raise UserError(f'VideoGAN makes frames of 8, 16, 32, 64 or 128 pixels a side, not {side}: set data.size.')
    if length % 2**halvings:
        raise UserError(
            f'VideoGAN halves the length of a clip {halvings} times for frames of {side} pixels, so that its frames '
            f'must be a multiple of {2**halvings}, not {length}.'
        )
    return [min(network.width << stage, network.max_width) for stage in range(halvings)]
