"""The standard CNN of spectral normalisation: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, table 3.

Its discriminator is deeper than DCGAN's: a stage is a convolution that keeps the size and then one that halves it.
Sizes and stages follow from the shape of the images as in `gan_jax.models.dcgan`; 32 is the published 4 in three
stages.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.layers.resampling import upsample
from gan_jax.models.dcgan import count_stages, image_shape, stage_widths
from gan_jax.ranges import COUNT


class Generator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    A dense projection to base x base x widths[0], stages of up-sampling by 4x4 kernels, all of them normalised and
    through a ReLU, and a 3x3 convolution to the image's channels and through tanh.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of the last stage when widths are computed; they double with each stage towards the base.
        max_width: the most channels of a stage when widths are computed.
        widths: channels of the projection and of each stage; None: computed.
        upsampling: 'transposed', 'nearest', 'bilinear' or 'pixel_shuffle'.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    upsampling: str = 'transposed'
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        height, width, channels = image_shape(self.shape, 'SNGAN')
        stages = count_stages(self.shape, 'SNGAN')
        widths = stage_widths(self, stages + 1, self.shape)
        widths = widths[::-1] if self.widths is None else widths
        latents, condition = self.take(latents, condition, train=train)
        weights, normalize = weight_options(self), normalizer(self, condition)
        use_bias = not replaces_bias(self.normalization, condition)

        base = height >> stages, width >> stages, widths[0]
        images = Dense(base[0] * base[1] * base[2], use_bias=use_bias, **weights)(latents, train=train)
        images = nn.relu(normalize(images.reshape(-1, *base), train=train))
        for features in widths[1:]:
            options = {'kernel_size': 4, 'use_bias': use_bias, 'train': train, **weights}
            images = nn.relu(normalize(upsample(self.upsampling, images, features, **options), train=train))
        images = Conv(channels, kernel_size=3, **weights)(images, train=train)
        return jnp.tanh(images.astype(jnp.float32))


class Discriminator(DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Stages of a 3x3 convolution and a 4x4 one of stride 2, a last 3x3 convolution at the base, and a dense layer, with
    LeakyReLU 0.1. Normalisation of activations spares the first layer. The last layer computes in float32 whatever the
    dtype.

    Attributes:
        width: channels of the first stage when widths are computed; they double with each stage.
        max_width: the most channels of a stage when widths are computed.
        widths: channels of each stage and of the last convolution; None: computed.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    normalization: str = 'spectral'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        shape = image_shape(images.shape[1:], 'SNGAN')
        stages = count_stages(shape, 'SNGAN')
        widths = stage_widths(self, stages + 1, shape)
        hidden = self.see(images, condition)
        weights, normalize = weight_options(self), normalizer(self)
        features = {}

        def layer(hidden: jax.Array, width: int, kernel_size: int, stride: int, *, first: bool = False) -> jax.Array:
            use_bias = first or not replaces_bias(self.normalization)
            convolution = Conv(width, kernel_size=kernel_size, stride=stride, use_bias=use_bias, **weights)
            hidden = convolution(hidden, train=train)
            return nn.leaky_relu(hidden if first else normalize(hidden, train=train), 0.1)

        for stage, width in enumerate(widths):
            hidden = layer(hidden, width, 3, 1, first=stage == 0)
            if stage < stages:
                hidden = layer(hidden, width, 4, 2)
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train)
