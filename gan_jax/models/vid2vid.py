"""The networks of vid2vid: a generator of clips, frame by frame, and a discriminator of patches at several scales.

Wang et al. 2018, "Video-to-Video Synthesis", https://arxiv.org/abs/1808.06601, appendix A. The layers are those of the
authors' composite generator at its coarsest scale, without the model of the foreground, and of pix2pixHD's
discriminators.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.flow import warp
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.linear import Conv, ConvTranspose
from gan_jax.models import spade
from gan_jax.models.munit import convolved, residual
from gan_jax.models.pix2pix import PAD_ONE, Translation
from gan_jax.ranges import COUNT_OR_NONE, POSITIVE_AMOUNT, Range


class Generator(Translation):
    """Clips from clips of label maps, frame by frame.

    A frame is a mixture of a fresh image and of the last frame, moved along a flow. All three, and the mask that mixes
    them, are made of the maps of the frame and of those before it, and of the frames before it. In front of the first
    frame everything is 0, and the first frame is its fresh image, as in the authors' code without a given first frame.

    Attributes:
        channels: number of channels of the frames that are made.
        past: number of frames before a frame that are seen; 0: frames are translated one by one, without a flow.
        halvings: number of halvings of an image to its code.
        blocks: residual blocks between an input and an output; the larger half of them is in front of the sum of codes.
        kernel: side of the kernels of the first and the last layers, odd.
        reach: pixels of flow for an output of 1 of its last layer.
        truncation: number of frames through which gradients flow, 1 as in the authors' code; 0: all.
    """

    channels: int = 3
    past: Annotated[int, Range(0, 8)] = 2
    halvings: Annotated[int, Range(1, 5)] = 3
    blocks: Annotated[int, Range(0, 100)] = 9
    kernel: Annotated[int, Range(1, 15)] = 7
    reach: Annotated[float, POSITIVE_AMOUNT] = 20.0
    truncation: Annotated[int, COUNT_OR_NONE] = 1

    def __call__(self, latents: jax.Array, maps: jax.Array, *, train: bool) -> jax.Array:
        """Maps [B, T, H, W, classes], one-hot -> [B, T, H, W, channels + 3]; latents [B, 0] are ignored.

        The channels are those of the frame in [-1, 1], the flow to the frame before, in pixels down and right, and the
        share of the fresh image. The first frame has a flow of 0 and a share of 1, as all have without a past.
        """
        del latents
        self._check(maps.shape)
        batch, length, *sides, classes = maps.shape
        blank = tuple(jnp.zeros((batch, *sides, self.past * number)) for number in (self.channels, classes))

        def step(module: Generator, before: tuple[jax.Array, jax.Array], now: tuple[jax.Array, jax.Array]):
            if module.truncation:
                cut = now[1] % module.truncation == 0
                before = jax.tree.map(lambda x: jnp.where(cut, jax.lax.stop_gradient(x), x), before)
            made = module.frame(now[0], *before, now[1] == 0, train=train)
            latest = (made[..., : module.channels], now[0])
            after = (jnp.concatenate(pair, -1)[..., : pair[1].shape[-1]] for pair in zip(latest, before, strict=True))
            return tuple(after), made

        scan = nn.scan(step, variable_broadcast='params', split_rngs={'params': False}, in_axes=((1, 0),), out_axes=1)
        return scan(self, blank, (maps.astype(jnp.float32), jnp.arange(length)))[1]

    @nn.compact
    def frame(
        self, maps: jax.Array, frames: jax.Array, past_maps: jax.Array, is_first: jax.Array, *, train: bool
    ) -> jax.Array:
        """One frame, its flow and its mask: [B, H, W, channels + 3].

        Args:
            maps: of this frame, [B, H, W, classes].
            frames: those before it, the last one first, [B, H, W, past channels].
            past_maps: theirs, [B, H, W, past classes].
            is_first: whether it is the first frame, a scalar.
            train: without effect, since no layer has running statistics.
        """
        weights, inner, normalized = self.layers(train)

        def code(images: jax.Array) -> jax.Array:
            x = nn.relu(normalized(convolved(images, self.width, self.kernel, 1, inner)))
            for halving in range(self.halvings):
                width = self.width * 2 ** (halving + 1)
                x = nn.relu(normalized(Conv(width, kernel_size=3, stride=2, padding=PAD_ONE, **inner)(x)))
            for _ in range(self.blocks - self.blocks // 2):
                x = residual(x, normalized, inner)
            return x

        def decoded(x: jax.Array) -> jax.Array:
            for _ in range(self.blocks // 2):
                x = residual(x, normalized, inner)
            for doubling in reversed(range(self.halvings)):
                layer = ConvTranspose(self.width * 2**doubling, kernel_size=3, padding=1, **inner)
                x = nn.relu(normalized(layer(x)))
            return x

        def output(features: jax.Array, channels: int) -> jax.Array:
            return convolved(features, channels, self.kernel, 1, weights).astype(jnp.float32)

        codes = code(jnp.concatenate([maps, past_maps], -1))
        if not self.past:
            fresh = jnp.tanh(output(decoded(codes), self.channels))
            flow, mask = (jnp.full((*fresh.shape[:-1], channels), value) for channels, value in ((2, 0.0), (1, 1.0)))
            return jnp.concatenate([fresh, flow, mask], axis=-1)
        codes = codes + code(frames)
        fresh = jnp.tanh(output(decoded(codes), self.channels))
        features = decoded(codes)
        flow = jnp.where(is_first, 0, self.reach * output(features, 2))
        mask = jnp.where(is_first, 1, nn.sigmoid(output(features, 1)))
        return jnp.concatenate([mixed(frames[..., : self.channels], fresh, flow, mask), flow, mask], axis=-1)

    def _check(self, shape: tuple[int, ...]) -> None:
        """Raises a UserError for options or maps that are impossible."""
        require_positive(self, 'width', 'channels')
        require(self.kernel % 2 == 1, 'generator.kernel', self.kernel, 'an odd number')
        require(
            self.normalization in ('instance', 'none'),
            'generator.normalization',
            self.normalization,
            "'instance' or 'none', since vid2vid has no running statistics over its frames",
        )
        multiple = 2**self.halvings
        if len(shape) != 5 or any(side % multiple or side < 2 * multiple for side in shape[2:4]):
            raise UserError(
                f'vid2vid halves the frames of clips {self.halvings} times, which is impossible for maps of shape '
                f'{tuple(shape[1:])}: use frames whose sides are multiples of {multiple} and at least {2 * multiple}, '
                'or other halvings.'
            )


class Discriminator(spade.Discriminator):
    """Discriminators of patches, each of an image of half the size: pix2pixHD's, without spectral normalisation."""

    spectral_iterations: int = 0
    initializer: str = 'normal'


def mixed(last: jax.Array, fresh: jax.Array, flow: jax.Array, mask: jax.Array) -> jax.Array:
    """The next frame (section 3, equation 4): where the mask is 1 the fresh image, where it is 0 the warped last frame.

    Args:
        last: the last frame [B, H, W, C].
        fresh: [B, H, W, C].
        flow: to the last frame, [B, H, W, 2].
        mask: [B, H, W, 1].
    """
    return mask * fresh + (1 - mask) * warp(last, flow)
