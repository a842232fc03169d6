"""The networks of StackGAN: Zhang et al. 2017, https://arxiv.org/abs/1612.03242.

The first stage makes a small image of a sentence, the second stage a large one of the sentence and the small image: 64
and 256 pixels as published. With the 192 channels of the authors' code for COCO and sentences of 1024 numbers, the
first stage of the generator has 20,020,832 parameters. Different from that code, the means and variances of codes have
no ReLU, and the discriminator has a dense layer of its own for sentences, as in the paper.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.conditioning import planes
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.text_to_image import (
    Judge,
    Layers,
    count_halvings,
    draw_codes,
    layers_of,
    project_and_upsample,
    to_images,
    upsample_block,
)
from gan_jax.ranges import COUNT, COUNT_OR_NONE, SHARE, Range


class Generator(nn.Module):
    """Latents [B, z + codes] and sentences [B, d] -> images [B, *shape] in [-1, 1], float32.

    Conditioning augmentation (section 3.2): a dense layer gives the mean and the logarithm of the variance of a normal
    distribution, from which the code of the sentence is drawn. The last components of the latents are the noise of this
    draw, in both stages. In the second stage the first one is frozen, with its running averages.

    Attributes:
        shape: (H, H, C) of an image.
        stages: 1 or 2.
        factor: how many times as large the images of the second stage are as those of the first.
        width: channels of the first stage double towards the base, where they are 8 times the width; those of the
            second stage, after it has looked at the small image, are 4 times the width.
        depth: residual blocks of the second stage.
        codes: size of the code of a sentence.
        normalization: normalization of all layers but the first one of the second stage and the last ones.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    shape: tuple[int, ...]
    stages: Annotated[int, Range(1, 2)] = 1
    factor: Annotated[int, COUNT] = 4
    width: Annotated[int, COUNT] = 192
    depth: Annotated[int, COUNT_OR_NONE] = 4
    codes: Annotated[int, COUNT] = 128
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self) -> None:
        """Creates the layers of the stages."""
        require_positive(self, 'width', 'codes', 'factor')
        shape, layers = tuple(self.shape), layers_of(self)
        count_halvings(shape)
        options = {'width': self.width, 'layers': layers}
        self.augmentations = [Dense(2 * self.codes, **{**layers.weights, 'use_bias': True}) for _ in range(self.stages)]
        if self.stages == 2:
            require(shape[0] % self.factor == 0, 'generator.factor', self.factor, f'a divisor of {shape[0]}')
            self.second = Second(shape, depth=self.depth, **options)
            shape = shape[0] // self.factor, shape[1] // self.factor, shape[2]
        self.first = First(shape, **options)

    def __call__(self, latents: jax.Array, sentences: jax.Array, *, train: bool) -> jax.Array:
        """The images of the last stage."""
        if self.stages == 1:
            return self.first(self._code(0, latents, sentences, whole=True), train=train)
        small = jax.lax.stop_gradient(self.begin(latents, sentences))
        return self.second(small, self._code(1, latents, sentences), train=train)

    def begin(self, latents: jax.Array, sentences: jax.Array) -> jax.Array:
        """The images of the first stage, in evaluation mode."""
        return self.first(self._code(0, latents, sentences, whole=True), train=False)

    def moments(self, sentences: jax.Array) -> jax.Array:
        """Means and logarithms of variances of the codes of the last stage: [B, d] -> [B, 2, codes], float32."""
        return self._moments(self.stages - 1, sentences)

    def _moments(self, stage: int, sentences: jax.Array) -> jax.Array:
        return self.augmentations[stage](sentences).astype(jnp.float32).reshape(-1, 2, self.codes)

    def _code(self, stage: int, latents: jax.Array, sentences: jax.Array, *, whole: bool = False) -> jax.Array:
        """The codes [B, codes] of sentences, after the other latents if `whole`."""
        noise, code = draw_codes(self._moments(stage, sentences), latents)
        return jnp.concatenate([noise, code], axis=-1) if whole else code


class First(nn.Module):
    """The first stage: codes and noise [B, n] -> images [B, *shape].

    Attributes:
        shape: (H, H, C).
        width: an eighth of the channels at the base, which halve with every doubling of the image.
        layers: options of the layers.
    """

    shape: tuple[int, ...]
    width: int
    layers: Layers

    @nn.compact
    def __call__(self, codes: jax.Array, *, train: bool) -> jax.Array:
        """The images."""
        hidden = project_and_upsample(codes, count_halvings(self.shape), 8 * self.width, self.layers, train)
        return to_images(hidden, self.shape[-1], self.layers)


class Second(nn.Module):
    """The second stage: small images [B, h, h, C] and codes [B, n] -> images [B, *shape].

    Attributes:
        shape: (H, H, C).
        width: channels of the first convolution.
        depth: residual blocks.
        layers: options of the layers.
    """

    shape: tuple[int, ...]
    width: int
    depth: int
    layers: Layers

    @nn.compact
    def __call__(self, images: jax.Array, codes: jax.Array, *, train: bool) -> jax.Array:
        """The images."""
        weights, features = self.layers.weights, 4 * self.width

        def layer(hidden: jax.Array, width: int, **options: int) -> jax.Array:
            return self.layers.normalize(Conv(width, **options, **weights)(hidden), train=train)

        hidden = nn.relu(Conv(self.width, **weights)(images))
        for factor in (2, 4):
            hidden = nn.relu(layer(hidden, factor * self.width, kernel_size=4, stride=2))
        hidden = nn.relu(layer(planes(hidden, codes), features))
        for _ in range(self.depth):
            hidden = nn.relu(hidden + layer(nn.relu(layer(hidden, features)), features))
        doublings = (self.shape[0] // hidden.shape[1]).bit_length() - 1
        for doubling in range(1, doublings + 1):
            hidden = upsample_block(hidden, max(1, features >> doubling), self.layers, train)
        return to_images(hidden, self.shape[-1], self.layers)


class Discriminator(nn.Module):
    """Images [B, H, H, C] and sentences [B, d] -> judgement with float32 logits [B, 1], or [B, 2] in the second stage.

    See `gan_jax.layers.text_to_image.Judge` for the layers, the logits and the feature 'wrong'.

    Attributes:
        stages: 1 or 2; the second stage shares no parameters with the first.
        width: channels of the first convolution; they double with each further one.
        codes: size of the code of a sentence.
        normalization: normalization of all layers but the first and the last.
        momentum: momentum of batch statistics, as in the generator.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    stages: Annotated[int, Range(1, 2)] = 1
    width: Annotated[int, COUNT] = 96
    codes: Annotated[int, COUNT] = 128
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, sentences: jax.Array, *, train: bool) -> Judgement:
        """The judgement of images and sentences."""
        require_positive(self, 'width', 'codes')
        options = {'width': self.width, 'codes': self.codes, 'layers': layers_of(self), 'axis_name': self.axis_name}
        judge = Judge(unconditional=self.stages == 2, **options, name=f'stage{self.stages}')
        return judge(images, sentences, train=train)
