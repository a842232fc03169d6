"""BigGAN-deep: Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", appendix B.

https://arxiv.org/abs/1809.11096. The networks of `gan_jax.models.biggan` with two bottleneck blocks in each stage, and
with the whole latents in every block. A shortcut drops the channels that are too many, and makes those that are missing
by a 1x1 convolution.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.linear import Conv
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.resampling import average_pool, interpolate
from gan_jax.models import biggan
from gan_jax.models.biggan import Normalize
from gan_jax.ranges import COUNT

_BOTTLENECK = 4  # ratio of the channels of a block's wider end to those of its hidden layers


class Generator(biggan.Generator):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    As `gan_jax.models.biggan.Generator`, but each stage has `depth` blocks, of which the last doubles the image.

    Attributes:
        shape: (H, W, C) of an image.
        depth: blocks of a stage.
        hierarchical: whether the latents, all of them, enter the normalised layers of each block (skip-z), and the
            class embedding the projection.
    """

    width: Annotated[int, COUNT] = 128
    depth: Annotated[int, COUNT] = 2

    def stage(
        self, i: int, images: jax.Array, features: int, normalize: Normalize, weights: dict[str, Any], *, train: bool
    ) -> jax.Array:
        """Adds the blocks of stage number i: [B, H, W, C] -> [B, 2 H, 2 W, features]."""
        for j in range(self.depth):
            is_last = j == self.depth - 1
            width = features if is_last else images.shape[-1]
            images = GeneratorBlock(width, weights, is_last, name=f'block{i}_{j}')(images, normalize, train=train)
        return images

    def divide(self, latents: jax.Array, classes: list[jax.Array], stages: int) -> list[jax.Array]:
        """The inputs of the projection and each block: the latents, with the class vectors (one or none)."""
        return [jnp.concatenate([latents, *classes], axis=-1)] * (stages + 1)


class GeneratorBlock(nn.Module):
    """A bottleneck block; see `Generator`.

    Attributes:
        features: channels of its output, at most those of its input.
        weights: options of its convolutions.
        upsample: whether it doubles the image.
    """

    features: int
    weights: dict[str, Any]
    upsample: bool

    @nn.compact
    def __call__(self, images: jax.Array, normalize: Normalize, *, train: bool) -> jax.Array:
        """[B, H, W, C] -> [B, 2 H, 2 W, features], or of the same size; `normalize` adds a normalisation to it."""
        hidden, width = images, images.shape[-1] // _BOTTLENECK
        for i, (size, features) in enumerate(((1, width), (3, width), (3, width), (1, self.features)), start=1):
            hidden = nn.relu(normalize(hidden, train=train))
            layer = Conv(features, kernel_size=size, doubling=i == 2 and self.upsample, name=f'conv{i}', **self.weights)
            hidden = layer(hidden, train=train)
        images = images[..., : self.features]
        return hidden + (interpolate('nearest', images) if self.upsample else images)


class Discriminator(biggan.StagedDiscriminator):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    As `gan_jax.models.biggan.StagedDiscriminator`, behind a 3x3 convolution to the first of the widths. Each stage has
    `depth` blocks, of which the first halves the image and changes its channels.

    Attributes:
        depth: blocks of a stage.
    """

    width: Annotated[int, COUNT] = 128
    depth: Annotated[int, COUNT] = 2

    def stem(
        self, images: jax.Array, widths: Sequence[int], weights: dict[str, Any], *, train: bool
    ) -> tuple[jax.Array, Sequence[int]]:
        """Adds the first convolution."""
        return Conv(widths[0], kernel_size=3, name='stem', **weights)(images, train=train), widths[1:]

    def stage(
        self, i: int, images: jax.Array, features: int, weights: dict[str, Any], *, halve: bool, train: bool
    ) -> jax.Array:
        """Adds the blocks of stage number i: [B, H, W, C] -> [B, H, W, features], or half as high and wide."""
        for j in range(self.depth):
            block = DiscriminatorBlock(features, weights, halve and j == 0, name=f'block{i}_{j}')
            images = block(images, normalizer(self), train=train)
        return images


class DiscriminatorBlock(nn.Module):
    """A bottleneck block; see `Discriminator`.

    Attributes:
        features: channels of its output, at least those of its input.
        weights: options of its convolutions.
        halve: whether it halves the image.
    """

    features: int
    weights: dict[str, Any]
    halve: bool

    @nn.compact
    def __call__(self, images: jax.Array, normalize: Normalize, *, train: bool) -> jax.Array:
        """[B, H, W, C] -> [B, H, W, features], or half as high and wide; `normalize` adds a normalisation to it."""

        def convolution(name: str, values: jax.Array, features: int, size: int) -> jax.Array:
            return Conv(features, kernel_size=size, name=name, **self.weights)(values, train=train)

        hidden, width = images, self.features // _BOTTLENECK
        for i, size in enumerate((1, 3, 3), start=1):
            hidden = convolution(f'conv{i}', nn.relu(normalize(hidden, train=train)), width, size)
        hidden = nn.relu(normalize(hidden, train=train))
        if self.halve:
            hidden, images = average_pool(hidden), average_pool(images)
        hidden = convolution('conv4', hidden, self.features, 1)
        more = self.features - images.shape[-1]
        if more:
            images = jnp.concatenate([images, convolution('shortcut', images, more, 1)], axis=-1)
        return hidden + images
