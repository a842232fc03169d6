"""The networks of AttnGAN: Xu et al. 2018, https://arxiv.org/abs/1711.10485.

The first branch makes a small image of a sentence and noise. Each further branch attends to the words at every pixel
and makes an image of twice the size: 64, 128 and 256 pixels as published. Layers, biases and widths are those of the
authors' code for birds. There the generator has 7,084,592 parameters and the discriminators have 6,313,730, 19,424,002
and 71,858,946, computed from its table of layers. Different from that code, padding is masked in the example
that it belongs to.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.bicubic import repeated
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.resampling import average_pool
from gan_jax.layers.text_to_image import (
    BASE,
    Judge,
    Layers,
    count_halvings,
    draw_codes,
    layers_of,
    project_and_upsample,
    to_images,
    upsample_block,
)
from gan_jax.ranges import COUNT, COUNT_OR_NONE, SHARE
from gan_jax.readers import Text


class Generator(nn.Module):
    """Latents [B, z + codes] and a text -> images [B, *shape] in [-1, 1]; in training those of all branches.

    The images of the branches are [B, branches, *shape], float32, smaller ones enlarged by repeated pixels. The code of
    a sentence is drawn as in `gan_jax.models.stackgan.Generator`, with a gated linear unit (GLU) behind the dense layer
    of its mean and variance.

    Attributes:
        shape: (H, H, C) of an image of the last branch.
        branches: number of images; each is twice as large as the one before.
        width: channels of the features from which each branch makes its image.
        depth: residual blocks of each branch but the first.
        codes: size of the code of a sentence.
        normalization: normalization of all layers but those of codes, words and images.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    shape: tuple[int, ...]
    branches: Annotated[int, COUNT] = 3
    width: Annotated[int, COUNT] = 32
    depth: Annotated[int, COUNT_OR_NONE] = 2
    codes: Annotated[int, COUNT] = 100
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'orthogonal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self) -> None:
        """Creates the layers of the branches."""
        require_positive(self, 'width', 'codes', 'branches')
        layers = layers_of(self)
        self.augmentation = Dense(4 * self.codes, **{**layers.weights, 'use_bias': True})
        self.first = First(sides_of(self.shape, self.branches)[0], self.width, layers)
        self.further = [Next(self.width, self.depth, layers) for _ in range(self.branches - 1)]
        self.images = [ToImages(self.shape[-1], layers) for _ in range(self.branches)]

    def __call__(self, latents: jax.Array, text: Text, *, train: bool) -> jax.Array:
        """The images of the last branch, or of all in training."""
        images = self.all_images(latents, text, train=train)
        if not train:
            return images[-1]
        return jnp.stack([repeated(each, self.shape[0] // each.shape[1]) for each in images], axis=1)

    def all_images(self, latents: jax.Array, text: Text, *, train: bool = False) -> list[jax.Array]:
        """The images of each branch at its own size."""
        hidden, images = self._begin(latents, text, train), []
        for number, to_image in enumerate(self.images):
            if number:
                hidden, _ = self.further[number - 1](hidden, text, train=train)
            images.append(to_image(hidden))
        return images

    def attention(self, latents: jax.Array, text: Text) -> jax.Array:
        """The shares of words in the contexts of pixels in the last branch: [B, h, w, words], in evaluation mode."""
        hidden = self._begin(latents, text, train=False)
        for branch in self.further:
            hidden, weights = branch(hidden, text, train=False)
        return weights

    def moments(self, sentences: jax.Array) -> jax.Array:
        """Means and logarithms of variances of the codes: [B, d] -> [B, 2, codes], float32."""
        return nn.glu(self.augmentation(sentences)).astype(jnp.float32).reshape(-1, 2, self.codes)

    def _begin(self, latents: jax.Array, text: Text, train: bool) -> jax.Array:
        return self.first(jnp.concatenate(draw_codes(self.moments(text.sentence), latents), axis=-1), train=train)


class First(nn.Module):
    """The first branch: noise and codes [B, n] -> features [B, side, side, width].

    Attributes:
        side: height and width of its image.
        width: channels of the features; they double towards the base.
        layers: options of the layers.
    """

    side: int
    width: int
    layers: Layers

    @nn.compact
    def __call__(self, codes: jax.Array, *, train: bool) -> jax.Array:
        """The features."""
        doublings = (self.side // BASE).bit_length() - 1
        return project_and_upsample(codes, doublings, 2 * self.width << doublings, self.layers, train, nn.glu)


class Next(nn.Module):
    """A further branch: features [B, h, w, width] and a text -> features [B, 2 h, 2 w, width], and the attention.

    Attributes:
        width: channels of the features.
        depth: residual blocks.
        layers: options of the layers.
    """

    width: int
    depth: int
    layers: Layers

    @nn.compact
    def __call__(self, hidden: jax.Array, text: Text, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """The features, and the share [B, h, w, words] of each word in the context of a pixel."""

        def layer(hidden: jax.Array, width: int) -> jax.Array:
            return self.layers.normalize(Conv(width, **self.layers.weights)(hidden), train=train)

        words = Dense(self.width, **self.layers.weights)(text.words)
        context, weights = attend(hidden, words, text.is_word)
        hidden = jnp.concatenate([hidden, context], axis=-1)
        for _ in range(self.depth):
            hidden = hidden + layer(nn.glu(layer(hidden, 4 * self.width)), 2 * self.width)
        return upsample_block(hidden, 2 * self.width, self.layers, train, nn.glu), weights


class ToImages(nn.Module):
    """Features [B, h, w, C] -> images [B, h, w, channels] in [-1, 1], float32.

    Attributes:
        channels: channels of the images.
        layers: options of the layers.
    """

    channels: int
    layers: Layers

    @nn.compact
    def __call__(self, hidden: jax.Array) -> jax.Array:
        """The images."""
        return to_images(hidden, self.channels, self.layers)


class Discriminator(nn.Module):
    """Images [B, *shape], or those of all branches [B, branches, *shape], and a text -> logits [B, 2 branches].

    Each branch has a network as in the second stage of StackGAN, `gan_jax.layers.text_to_image.Judge`, but without a
    dense layer for the sentence. It sees images reduced to the size of the branch, and the sentence. The feature
    'wrong' is [B, branches].

    Attributes:
        branches: number of branches, as of the generator.
        width: channels of the first convolution of each network; they double with each further one.
        normalization: normalization of all layers but the first and the last.
        momentum: momentum of batch statistics, as in the generator.
        initializer: initializer of the weights.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    branches: Annotated[int, COUNT] = 3
    width: Annotated[int, COUNT] = 64
    normalization: str = 'batch'
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'orthogonal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, text: Text, *, train: bool) -> Judgement:
        """The judgement of images and sentences."""
        require_positive(self, 'width', 'branches')
        side, judged = images.shape[-2], []
        for branch, own in enumerate(sides_of(images.shape[-3:], self.branches)):
            judge = Judge(self.width, 0, True, layers_of(self), self.axis_name, name=f'branch{branch}')
            seen = images if images.ndim == 4 else images[:, branch]
            judged.append(judge(average_pool(seen, side // own), text.sentence, train=train))
        wrong = jnp.concatenate([one.features['wrong'] for one in judged], axis=-1)
        return Judgement(jnp.concatenate([one.logits for one in judged], axis=-1), features={'wrong': wrong})


def attend(pixels: jax.Array, words: jax.Array, is_word: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The attention of pixels to words (Xu et al. 2018, equations 2 and 3 of section 3.1).

    Args:
        pixels: [B, h, w, C].
        words: [B, n, C], mapped to the channels of the pixels.
        is_word: bool [B, n], false after the end of a text.

    Returns:
        The context [B, h, w, C] of each pixel, a mean of the words, and the weights [B, h, w, n] of that mean, float32:
        the softmax over the words of their scalar products with the pixel, 0 after the end.
    """
    scores = jnp.einsum('bhwc,bnc->bhwn', pixels, words).astype(jnp.float32)
    scores = jnp.where(is_word[:, None, None], scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores, axis=-1)
    return jnp.einsum('bhwn,bnc->bhwc', weights.astype(words.dtype), words), weights


def sides_of(shape: tuple[int, ...], branches: int) -> list[int]:
    """The height and width of the images of each branch, for those of the last, (H, H, C).

    Raises:
        UserError: the images are not square, or the first are smaller than 8 pixels.
    """
    halvings = count_halvings(shape)
    require(branches <= halvings, 'branches', branches, f'at most {halvings}, for images of {shape[0]} pixels')
    return [shape[0] >> halving for halving in range(branches)][::-1]
