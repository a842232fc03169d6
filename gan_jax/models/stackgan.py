"""The networks of StackGAN: Zhang et al. 2017, https://arxiv.org/abs/1612.03242.

The first stage makes a small image of a sentence, the second stage a large one of the sentence and the small image: 64
and 256 pixels as published. With the 192 channels of the authors' code for COCO and sentences of 1024 numbers, the
first stage of the generator has 20,020,832 parameters. Different from that code, the means and variances of codes have
no ReLU, and the discriminator has a dense layer of its own for sentences, as in the paper.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.encoding import reparameterized
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require, require_positive
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.resampling import upsample
from gan_jax.ranges import COUNT, COUNT_OR_NONE, SHARE, Range

BASE = 4  # pixels a side of the smallest features


class Layers(NamedTuple):
    """The options of layers that the modules of a network share.

    Attributes:
        weights: of convolutions and dense layers, which have no bias.
        normalize: (inputs, train) -> normalised inputs.
    """

    weights: Mapping[str, Any]
    normalize: Callable[..., jax.Array]


class Generator(nn.Module):
    """Latents [B, z + codes] and sentences [B, d] -> images [B, *shape] in [-1, 1], float32.

    Conditioning augmentation (section 3.2): a dense layer gives the mean and the logarithm of the variance of a normal
    distribution, of which the code of the sentence is drawn. The last components of the latents are that draw, in both
    stages. In the second stage the first one is frozen, with its running averages.

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
        shape, weights = tuple(self.shape), _weights(self)
        count_halvings(shape)
        options = {'width': self.width, 'layers': layers_of(self)}
        self.augmentations = [Dense(2 * self.codes, **{**weights, 'use_bias': True}) for _ in range(self.stages)]
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
        """The codes [B, codes] of sentences, behind the rest of the latents if `whole`."""
        noise, code = drawn(self._moments(stage, sentences), latents)
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
        hidden = grown(codes, count_halvings(self.shape), 8 * self.width, self.layers, train)
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
        hidden = nn.relu(layer(_beside(hidden, codes), features))
        for _ in range(self.depth):
            hidden = nn.relu(hidden + layer(nn.relu(layer(hidden, features)), features))
        doublings = (self.shape[0] // hidden.shape[1]).bit_length() - 1
        for doubling in range(1, doublings + 1):
            hidden = doubled(hidden, max(1, features >> doubling), self.layers, train)
        return to_images(hidden, self.shape[-1], self.layers)


class Discriminator(nn.Module):
    """Images [B, H, H, C] and sentences [B, d] -> judgement with float32 logits [B, 1], or [B, 2] in the second stage.

    Convolutions of size 4 halve the image to 4x4, and convolutions of size 3 bring its channels to 8 times the width.
    The first logits are of a real image that fits its sentence, from these features beside the sentence's code. The
    second ones do not see the sentence. The feature 'wrong' [B, 1] is the first logit of each image for the sentence of
    the next one in the global batch.

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


class Judge(nn.Module):
    """Images [B, H, H, C] and sentences [B, d] -> a judgement as that of a `Discriminator`.

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
        wrong = fits(hidden, of_next(codes, global_batch.axis_of(self)), train=train)
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
        hidden = Conv(features.shape[-1], **self.layers.weights)(_beside(features, codes))
        return _logit(nn.leaky_relu(self.layers.normalize(hidden, train=train), 0.2), self.layers)


def layers_of(network: nn.Module) -> Layers:
    """The options of layers as the network's fields have them; those of `normalizer`, and the initializer."""
    return Layers(_weights(network), normalizer(network))


def _weights(network: nn.Module) -> dict[str, Any]:
    return {'kernel_init': initializer(network.initializer), 'use_bias': False, 'dtype': network.dtype}


def drawn(moments: jax.Array, latents: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first components of latents [B, n + codes], and codes [B, codes] with moments [B, 2, codes] by the others."""
    codes = moments.shape[-1]
    return latents[:, :-codes], reparameterized(moments, latents[:, -codes:])


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


def of_next(rows: jax.Array, axis_name: str | None) -> jax.Array:
    """Row i + 1 of the global batch for row i, and the first one for the last: [B, n] -> [B, n]."""
    if axis_name is None:
        return jnp.roll(rows, -1, axis=0)
    everywhere = global_batch.gather(rows, axis_name)
    return everywhere[(global_batch.positions(len(rows), axis_name) + 1) % len(everywhere)]


def _beside(features: jax.Array, codes: jax.Array) -> jax.Array:
    """Features [B, h, w, C] with the codes [B, n] at every place."""
    spread = jnp.broadcast_to(codes[:, None, None].astype(features.dtype), (*features.shape[:3], codes.shape[-1]))
    return jnp.concatenate([features, spread], axis=-1)


def grown(
    codes: jax.Array,
    doublings: int,
    features: int,
    layers: Layers,
    train: bool,
    activation: Callable[..., jax.Array] = nn.relu,
) -> jax.Array:
    """Adds the layers from codes to features of `BASE` pixels a side and their doublings, each with half the channels.

    Args:
        codes: [B, n].
        doublings: number of doublings.
        features: channels at the base, in front of the activation.
        layers: options of the layers.
        train: whether this is a training pass.
        activation: behind each layer.
    """
    hidden = Dense(BASE * BASE * features, **layers.weights)(codes)
    hidden = activation(layers.normalize(hidden, train=train)).reshape(len(codes), BASE, BASE, -1)
    for doubling in range(1, doublings + 1):
        hidden = doubled(hidden, features >> doubling, layers, train, activation)
    return hidden


def doubled(
    hidden: jax.Array, features: int, layers: Layers, train: bool, activation: Callable[..., jax.Array] = nn.relu
) -> jax.Array:
    """Adds a layer to features of twice the height and width, normalised, and the activation."""
    hidden = upsample('nearest', hidden, features, train=train, kernel_size=3, **layers.weights)
    return activation(layers.normalize(hidden, train=train))


def to_images(hidden: jax.Array, channels: int, layers: Layers) -> jax.Array:
    """Adds the last layer: features [B, h, w, C] -> images [B, h, w, channels] in [-1, 1], float32."""
    return jnp.tanh(Conv(channels, **layers.weights)(hidden).astype(jnp.float32))


def _logit(features: jax.Array, layers: Layers) -> jax.Array:
    weights = {**layers.weights, 'use_bias': True, 'dtype': jnp.float32}
    return Conv(1, kernel_size=BASE, padding='VALID', **weights)(features)[:, 0, 0, 0]
