"""BigGAN: Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis".

https://arxiv.org/abs/1809.11096, appendix B, in the form of the first author's PyTorch code. Sizes and stages follow
from the shape of the images as in `gan_jax.models.dcgan`: each stage of the generator is a residual block that doubles
the image.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.attention import SelfAttention
from gan_jax.layers.choices import require_positive
from gan_jax.layers.conditioning import Embedding, as_vectors
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork
from gan_jax.layers.normalization import LinearAffine, normalizer
from gan_jax.layers.residual import DownBlock, UpBlock
from gan_jax.models.dcgan import count_stages, image_shape
from gan_jax.ranges import COUNT, COUNT_OR_NONE, Range

Normalize = Callable[..., jax.Array]

# Multiples of the width by the number of stages, of which 3 is 32 pixels and 5 is 128; the smaller ones follow 32.
GENERATOR_WIDTHS = {
    1: (4, 4),
    2: (4, 4, 4),
    3: (4, 4, 4, 4),
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
}
DISCRIMINATOR_WIDTHS = {
    **dict.fromkeys((1, 2, 3), (4, 4, 4, 4)),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
    7: (1, 1, 2, 4, 8, 8, 16, 16),
}


class Generator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    A dense projection to base x base x widths[0], a residual block for each stage, then normalisation, ReLU, a 3x3
    convolution to the image's channels and tanh. Where the condition enters by normalisation, an embedding that all
    blocks share sets scale and shift of their normalised layers: scale = 1 + A c, shift = B c.

    Attributes:
        shape: (H, W, C) of an image.
        width: the unit of `widths`.
        widths: channels of the projection and of each block; None: the published multiples.
        shared_size: size of the class embedding that all blocks share; 0: each normalised layer has a scale and a shift
            for each class.
        hierarchical: whether the latents are divided among the projection and the blocks (skip-z): each block's part
            goes to its normalised layers, beside the class. The projection also gets what cannot be divided evenly.
        attention: heights of the images after whose block there is self-attention; None: nowhere.
    """

    width: Annotated[int, COUNT] = 64
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    shared_size: Annotated[int, COUNT_OR_NONE] = 128
    hierarchical: bool = True
    attention: Annotated[tuple[int, ...] | None, COUNT] = None
    normalization: str = 'batch'
    spectral_iterations: Annotated[int, Range(0, 100)] = 1
    initializer: str = 'orthogonal'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        height, width, channels = image_shape(self.shape, 'BigGAN')
        stages = count_stages(self.shape, 'BigGAN')
        widths = block_widths(self, GENERATOR_WIDTHS, self.shape)
        if len(widths) != stages + 1:
            raise UserError(
                f'{len(widths)} widths {tuple(widths)} do not fit images of shape {tuple(self.shape)}: give '
                f'{stages + 1}, or None to have them computed.'
            )
        check_attention(self, [height >> stage for stage in range(stages)])
        latents, condition = self.take(latents, condition, train=train)
        weights = weight_options(self)
        latents, normalizers = self._share(latents, condition, stages, weights)

        base = height >> stages, width >> stages, widths[0]
        images = Dense(math.prod(base), **weights)(latents, train=train).reshape(-1, *base)
        for i, (features, normalize) in enumerate(zip(widths[1:], normalizers, strict=True)):
            images = self.stage(i, images, features, normalize, weights, train=train)
            images = attend(self, i, images, weights, train=train)
        images = nn.relu(normalizer(self)(images, train=train))
        images = Conv(channels, kernel_size=3, name='to_image', **weights)(images, train=train)
        return jnp.tanh(images.astype(jnp.float32))

    def stage(
        self, i: int, images: jax.Array, features: int, normalize: Normalize, weights: dict[str, Any], *, train: bool
    ) -> jax.Array:
        """Adds the blocks of stage number i: [B, H, W, C] -> [B, 2 H, 2 W, features]."""
        return UpBlock(features, weights, weights['kernel_init'], normalize, name=f'block{i}')(images, train=train)

    def divide(self, latents: jax.Array, classes: list[jax.Array], stages: int) -> list[jax.Array]:
        """The parts of the latents for the projection and each block, with the class vectors (one or none)."""
        size = latents.shape[-1] // (stages + 1)
        if size == 0:
            raise UserError(
                f'{latents.shape[-1]} latents cannot be divided among the projection and {stages} blocks: use more, '
                'or set generator.hierarchical=False.'
            )
        ends = [latents.shape[-1] - size * left for left in range(stages, 0, -1)]
        first, *parts = jnp.split(latents, ends, axis=-1)
        return [first, *(jnp.concatenate([part, *classes], axis=-1) for part in parts)]

    def _share(
        self, latents: jax.Array, condition: jax.Array | None, stages: int, weights: dict[str, Any]
    ) -> tuple[jax.Array, list[Normalize]]:
        """The input of the projection, and of the normalisation in each stage."""
        shared = []
        if condition is not None and self.shared_size:
            shared = [Embedding(self.num_classes, self.shared_size, weights['kernel_init'], name='shared')(condition)]
        elif condition is not None and self.hierarchical:
            shared = [as_vectors(condition, self.num_classes)]
        if self.hierarchical:
            latents, *vectors = self.divide(latents, shared, stages)
        elif shared:
            vectors = shared * stages
        else:
            return latents, [normalizer(self, condition)] * stages

        def modulated(vector: jax.Array, images: jax.Array, *, train: bool) -> jax.Array:
            images = normalizer(self)(images, train=train, affine=False)
            return LinearAffine(weights)(images, vector, train=train)

        return latents, [functools.partial(modulated, vector) for vector in vectors]


class StagedDiscriminator(DiscriminatorNetwork):
    """Common parts of the discriminators of BigGAN and BigGAN-deep: everything but the blocks.

    Residual blocks, ReLU, the sum over all pixels and a dense layer. Of images up to 32 pixels the first two stages
    halve the image, of larger ones all that can. The last layer computes in float32 whatever the dtype.

    Attributes:
        width: the unit of `widths`.
        widths: channels of each stage; None: the published multiples.
        attention: heights of the images after whose stages there is self-attention; None: nowhere.
    """

    width: Annotated[int, COUNT] = 64
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    attention: Annotated[tuple[int, ...] | None, COUNT] = None
    normalization: str = 'spectral'
    initializer: str = 'orthogonal'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        shape = image_shape(images.shape[1:], 'BigGAN')
        stages = count_stages(shape, 'BigGAN')
        halvings = min(stages, 2) if stages <= 3 else stages
        check_attention(self, [shape[0] >> stage for stage in range(1, halvings + 1)])
        weights = weight_options(self)
        hidden = self.see(images, condition)
        hidden, widths = self.stem(hidden, block_widths(self, DISCRIMINATOR_WIDTHS, shape), weights, train=train)
        if len(widths) < halvings:
            raise UserError(
                f'{len(widths)} stages cannot halve images of shape {shape} {halvings} times: use more widths, or '
                'None to have them computed.'
            )
        features = {}
        for i, width in enumerate(widths):
            hidden = self.stage(i, hidden, width, weights, halve=i < halvings, train=train)
            hidden = attend(self, i, hidden, weights, train=train)
            features[f'stage{i}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        hidden = nn.relu(normalizer(self)(hidden, train=train))
        return self.judgement(hidden.astype(jnp.float32).sum((1, 2)), condition, features, train=train)

    def stem(
        self, images: jax.Array, widths: Sequence[int], weights: dict[str, Any], *, train: bool
    ) -> tuple[jax.Array, Sequence[int]]:
        """Adds the layers before the stages; also returns the widths of the stages."""
        return images, widths


class Discriminator(StagedDiscriminator):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Each stage is a residual block; see `StagedDiscriminator`.

    Attributes:
        wide: whether the hidden layer of a block has as many channels as its output; if not, as its input.
    """

    wide: bool = True

    def stage(
        self, i: int, images: jax.Array, features: int, weights: dict[str, Any], *, halve: bool, train: bool
    ) -> jax.Array:
        """Adds the block of stage number i: [B, H, W, C] -> [B, H, W, features], or half as high and wide."""
        places = {'hidden': features if self.wide else images.shape[-1], 'halves': halve, 'first': i == 0}
        block = DownBlock(features, weights, weights['kernel_init'], normalizer(self), **places, name=f'block{i}')
        return block(images, train=train)


def block_widths(network: nn.Module, multiples: dict[int, tuple[int, ...]], shape: Sequence[int]) -> Sequence[int]:
    """The network's widths if it has any, or else the multiples of its width for images of a shape.

    Raises:
        UserError: a width is impossible, or the images are too large to have published multiples.
    """
    require_positive(network, 'width', 'widths')
    stages = count_stages(shape, 'BigGAN')
    if network.widths is not None:
        return network.widths
    if stages not in multiples:
        raise UserError(f'BigGAN has no widths for images of shape {tuple(shape)}: give widths.')
    return [network.width * multiple for multiple in multiples[stages]]


def check_attention(network: nn.Module, heights: Sequence[int]) -> None:
    """Raises a UserError if no block has images of the height chosen for self-attention."""
    for height in network.attention or ():
        if height not in heights:
            raise UserError(
                f'{type(network).__name__.lower()}.attention has {height}, but the images after the blocks are '
                f'{", ".join(map(str, heights))} pixels high: choose from these.'
            )


def attend(network: nn.Module, i: int, images: jax.Array, weights: dict[str, Any], *, train: bool) -> jax.Array:
    """Adds self-attention to the calling module after block i, if the network has it there."""
    if images.shape[1] not in (network.attention or ()):
        return images
    return SelfAttention(**weights, name=f'attention{i}')(images, train=train)
