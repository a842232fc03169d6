"""Residual networks of SNGAN, cGAN-PD and WGAN-GP; with self-attention those of SAGAN.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", appendix B, and Miyato and Koyama
2018, "cGANs with Projection Discriminator", in the form of the authors' code; by options those of Gulrajani et al.
2017, "Improved Training of Wasserstein GANs", appendix F. Sizes follow from the shape of the images as in
`gan_jax.models.dcgan`: the image is a base of at least 4 times a power of two. The published networks for 32, 64 and
128 pixels are the defaults at these sizes.
"""

from collections.abc import Sequence
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.attention import SelfAttention
from gan_jax.layers.choices import choose, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, EncoderNetwork, GeneratorNetwork, dense_logits, flatten
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.residual import DownBlock, UpBlock
from gan_jax.models.dcgan import count_stages, image_shape
from gan_jax.ranges import COUNT, COUNT_OR_NONE, POSITIVE_AMOUNT, Range

_FAMILY = 'A residual network'
_FEW_STAGES = 3  # up to 32 pixels, where all stages of the published networks have one width
_MOST_HALVINGS = 13


class _Residual(nn.Module):
    """Options of both players.

    Attributes:
        width: channels of all blocks of images of up to three stages (32 pixels), or those of the block next to larger
            images, which double towards the base; None: the published ones, 64 for larger images.
        max_width: most channels of a block when widths are computed.
        widths: channels of each block; None: computed.
        branch_gain: gain of the initial weights of the blocks' 3x3 convolutions.
        attention: self-attention sits behind the block of the largest features, smaller than the images, that have no
            more rows than this; 0: there is none.
        epsilon: added to variances by the normalisation.
    """

    width: Annotated[int | None, COUNT] = None
    max_width: Annotated[int, COUNT] = 1024
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    branch_gain: Annotated[float, POSITIVE_AMOUNT] = 2**0.5
    attention: Annotated[int, COUNT_OR_NONE] = 0
    epsilon: Annotated[float, Range(0, 1)] = 2e-5

    def _computed(self, count: int, stages: int, few: int) -> list[int]:
        """So many widths, from the image to the base; `few` is that of images of few stages."""
        if self.width is not None:
            require_positive(self, 'width')
        require_positive(self, 'max_width')
        if stages <= _FEW_STAGES:
            return [min(self.width or few, self.max_width)] * count
        return [min((self.width or 64) * 2**block, self.max_width) for block in range(count)]

    def _block_options(self, condition: jax.Array | None = None) -> dict:
        weights = weight_options(self)
        return {
            'weights': weights,
            'branch_init': _scaled(weights['kernel_init'], self.branch_gain),
            'normalize': normalizer(self, condition, epsilon=self.epsilon),
        }

    def _block_of_attention(self, sizes: Sequence[int], height: int) -> int | None:
        """The block behind which self-attention sits, by the rows of all blocks' features; None: there is none."""
        if not self.attention:
            return None
        fitting = [size for size in sizes if size <= self.attention and size < height]
        if not fitting:
            raise UserError(
                f'{type(self).__name__.lower()}.attention is {self.attention}, but no features smaller than the images '
                f'have so few rows; the features after the blocks have {", ".join(map(str, dict.fromkeys(sizes)))}: '
                'choose a larger number, or 0 for no attention.'
            )
        return sizes.index(max(fitting))

    def _attend(self, images: jax.Array, train: bool) -> jax.Array:
        return SelfAttention(name='attention', **weight_options(self))(images, train=train)


class Generator(_Residual, GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    A dense layer to base x base x widths[0], blocks that double the size, normalisation, ReLU and a 3x3 convolution
    through tanh. Each layer has a bias. The last normalisation is unconditional.

    Attributes:
        shape: (H, W, C) of an image.
        widths: channels at the base and of each block; None: computed, 256 for images of up to three stages.
        upsampling: 'nearest' or 'bilinear' interpolation.
    """

    upsampling: str = 'nearest'
    normalization: str = 'batch'
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        height, width, channels = image_shape(self.shape, _FAMILY)
        stages = count_stages(self.shape, _FAMILY)
        latents, condition = self.take(latents, condition, train=train)
        first, *widths = self._widths(stages)
        attending = self._block_of_attention([height >> left for left in reversed(range(stages))], height)
        options, weights = self._block_options(condition), weight_options(self)

        base = height >> stages, width >> stages, first
        images = Dense(base[0] * base[1] * base[2], **weights)(latents, train=train).reshape(-1, *base)
        for block, features in enumerate(widths):
            images = UpBlock(features, **options, upsampling=self.upsampling)(images, train=train)
            images = self._attend(images, train) if block == attending else images
        images = nn.relu(normalizer(self, epsilon=self.epsilon)(images, train=train))
        images = Conv(channels, kernel_size=3, **weights)(images, train=train)
        return jnp.tanh(images.astype(jnp.float32))

    def _widths(self, stages: int) -> Sequence[int]:
        if self.widths is None:
            return self._computed(stages + 1, stages, 256)[::-1]
        require_positive(self, 'widths')
        if len(self.widths) != stages + 1:
            raise UserError(
                f'{len(self.widths)} widths {tuple(self.widths)} do not fit images of shape {tuple(self.shape)}: give '
                f'{stages + 1}, of the base and of each stage, or None to have them computed.'
            )
        return self.widths


class _Halving(_Residual):
    """Residual blocks of which the first ones halve the image.

    Images of up to three stages have four blocks, of which two halve; larger ones have a block more than stages, and
    the last halves only where there are four stages (64 pixels).

    Attributes:
        widths: channels of each block, as many as there shall be; None: computed, 128 for images of up to three stages.
        halvings: blocks that halve the image; None: computed as above.
        wide: whether a block's inner channels are those of its outputs, as in SAGAN, and not those of its inputs; the
            first block's always are.
    """

    halvings: Annotated[int | None, Range(0, _MOST_HALVINGS)] = None
    wide: bool = False

    def _look(self, hidden: jax.Array, train: bool, dropout: float = 0.0) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The last features, and the outputs of the blocks by name, 'stage0', 'stage1' and so on, before dropout."""
        shape = image_shape(hidden.shape[1:], _FAMILY)
        widths, halvings = self._blocks(shape)
        sizes = [shape[0] >> min(block + 1, halvings) for block in range(len(widths))]
        attending = self._block_of_attention(sizes, shape[0])
        options, features = self._block_options(), {}
        for block, width in enumerate(widths):
            inner = width if self.wide or block == 0 else hidden.shape[-1]
            layer = DownBlock(width, **options, hidden=inner, halves=block < halvings, first=block == 0)
            hidden = layer(hidden, train=train)
            hidden = self._attend(hidden, train) if block == attending else hidden
            features[f'stage{block}'] = hidden
            hidden = Dropout(dropout, self.axis_name)(hidden, train=train)
        return hidden, features

    def _blocks(self, shape: tuple[int, int, int]) -> tuple[Sequence[int], int]:
        """The widths of all blocks, and how many of them halve the image."""
        stages = count_stages(shape, _FAMILY)
        even = all((side >> stages) % 2 == 0 for side in shape[:2])
        halvings = min(stages, 2) if stages <= _FEW_STAGES else stages + (stages == _FEW_STAGES + 1 and even)
        if self.widths is None:
            widths = self._computed(max(stages, _FEW_STAGES) + 1, stages, 128)
        else:
            require_positive(self, 'widths')
            widths = self.widths
        if self.halvings is not None:
            halvings = self.halvings
        role = type(self).__name__.lower()
        if halvings > len(widths) or any(side % 2**halvings for side in shape[:2]):
            raise UserError(
                f'{len(widths)} blocks cannot halve images of {shape[0]}x{shape[1]} pixels {halvings} times: choose '
                f'other {role}.widths or {role}.halvings.'
            )
        return widths, halvings


class Discriminator(_Halving, DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Residual blocks, a ReLU, the sum or mean over space, and a dense layer, which computes in float32 whatever the
    dtype.

    Attributes:
        pooling: 'sum' or 'mean' over space before the last layer.
        final_bias: whether the last layer has a bias; the published SNGAN for 32 pixels has none.
    """

    pooling: str = 'sum'
    final_bias: bool = True
    normalization: str = 'spectral'
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        pool = choose(POOLINGS, self.pooling, 'pooling')
        hidden, features = self._look(self.see(images, condition), train, self.dropout)
        pooled = pool(nn.relu(hidden).astype(jnp.float32), (1, 2))

        def final(last: jax.Array, outputs: int, train: bool, weights: dict) -> jax.Array:
            return dense_logits(last, outputs, train, weights | {'use_bias': self.final_bias})

        return self.judgement(pooled, condition, features, train=train, final=final)


class Encoder(_Halving, EncoderNetwork):
    """Images [B, H, W, C] -> codes [B, n], float32: the blocks of a discriminator and a dense layer.

    Schlegl et al. 2019, "f-AnoGAN: Fast Unsupervised Anomaly Detection with Generative Adversarial Networks", whose
    encoder has the layers of the discriminator with batch norm.
    """

    normalization: str = 'batch'
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """The codes of the images."""
        hidden, _ = self._look(images, train)
        weights = weight_options(self) | {'dtype': jnp.float32}
        return Dense(self.shape[0], **weights)(flatten(hidden).astype(jnp.float32), train=train)


def _scaled(initialize: Initializer, gain: float) -> Initializer:
    return lambda *arguments: gain * initialize(*arguments)


POOLINGS = {'sum': jnp.sum, 'mean': jnp.mean}
