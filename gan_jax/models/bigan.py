"""The networks of BiGAN for MNIST: fully connected, without biases, batch normalised without scale and shift.

Donahue, Krähenbühl and Darrell 2017, "Adversarial Feature Learning", section 4.2; the layers are those of the authors'
code. Latents enter every layer of the generator but the last, and codes enter the discriminator in its second layer.
The networks were made for pixels in [0, 1]; here images are in [-1, 1]. The generator's sigmoid is scaled to that
range, and the other networks scale images back.
"""

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.augmentation.augment import instance_noise
from gan_jax.encoding import Encoding
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require, require_positive
from gan_jax.layers.linear import Dense
from gan_jax.layers.networks import flatten
from gan_jax.ranges import COUNT, SHARE

_leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.2)


class _Network(nn.Module):
    """Options of all three networks.

    Attributes:
        widths: widths of the hidden layers.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics and noise are global.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (1024, 1024)
    momentum: Annotated[float, SHARE] = 0.9
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def hidden(
        self,
        inputs: jax.Array,
        activation: Callable[[jax.Array], jax.Array],
        train: bool,
        *,
        code: jax.Array | None = None,
        normalize_first: bool = False,
    ) -> list[jax.Array]:
        """The outputs of the hidden layers.

        Args:
            inputs: [B, n].
            activation: of every layer.
            train: whether batch statistics are those of the batch.
            code: [B, m], which enters every layer but the first; None: nothing does.
            normalize_first: whether the first layer is batch normalised too.
        """
        require_positive(self, 'widths')
        layers = []
        for layer, width in enumerate(self.widths):
            made = self.dense(width, layers[-1] if layers else inputs)
            if layer and code is not None:
                made += self.dense(width, code)
            if layer or normalize_first:
                options = {'momentum': self.momentum, 'dtype': self.dtype, 'axis_name': self.axis_name}
                made = nn.BatchNorm(not train, use_bias=False, use_scale=False, **options)(made)
            layers.append(activation(made))
        return layers

    def dense(self, width: int, inputs: jax.Array) -> jax.Array:
        """A linear map whose weights start with the standard deviation 0.02."""
        return Dense(width, use_bias=False, dtype=self.dtype)(inputs)

    def last(self, width: int, hidden: jax.Array) -> jax.Array:
        """The linear map of the last layer, in float32 whatever the dtype."""
        return Dense(width, use_bias=False)(hidden)


class _Shaped(nn.Module):
    """A field without default, which dataclasses need before all others, and so in the last base."""

    shape: tuple[int, ...]


class Generator(_Network, _Shaped):
    """Latents [B, n] -> images [B, *shape], float32 in (-1, 1).

    Attributes:
        shape: shape of one image.
    """

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        hidden = self.hidden(latents, nn.relu, train, code=latents, normalize_first=True)[-1]
        return (2 * nn.sigmoid(self.last(math.prod(self.shape), hidden)) - 1).reshape(-1, *self.shape)


class Encoder(_Network, _Shaped):
    """Images [B, ...] in [-1, 1] -> `Encoding` with codes [B, n]; its features are the last layer's predictions.

    The kind of code should have the range of the latents:

    - 'bounded': twice the sigmoid of the prediction, less 1, in (-1, 1), for uniform latents (BiGAN);
    - 'linear': the prediction;
    - 'gaussian': a draw from a normal distribution whose mean and log standard deviation are predicted (ALI; Dumoulin
      et al. 2017, "Adversarially Learned Inference", section 2.1), for normal latents. In evaluation mode it is the
      mean.

    Attributes:
        shape: (n,).
        code: kind of code.
    """

    code: str = 'bounded'

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Encoding:
        """The codes of the images."""
        (size,) = self.shape
        finish = choose(_CODES, self.code, 'kind of code')
        hidden = self.hidden(_pixels(images, self.dtype), _leaky_relu, train)[-1]
        return finish(self, self.last(2 * size if self.code == 'gaussian' else size, hidden), train)


class Discriminator(_Network, _Shaped):
    """Pairs [B, pixels + n] -> judgement with logits [B] and features 'layer0', 'layer1' and so on.

    A pair is an image, flattened, and then its code. The pair is real if the code was inferred from a real image.

    Attributes:
        shape: shape of the image.
    """

    @nn.compact
    def __call__(self, pairs: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the pairs being real."""
        require(len(self.widths) > 1, 'discriminator.widths', self.widths, 'two or more, as codes enter the second')
        images, code = jnp.split(pairs, [math.prod(self.shape)], axis=-1)
        layers = self.hidden(_pixels(images, self.dtype), _leaky_relu, train, code=code)
        features = {f'layer{i}': layer for i, layer in enumerate(layers)}
        return Judgement(self.last(1, layers[-1])[:, 0], features=features)


def _pixels(images: jax.Array, dtype: Any) -> jax.Array:
    """Images [B, ...] in [-1, 1] as vectors [B, n] in [0, 1]."""
    return (flatten(images).astype(dtype) + 1) / 2


def _bounded(network: Encoder, prediction: jax.Array, train: bool) -> Encoding:
    return Encoding(2 * nn.sigmoid(prediction) - 1, prediction)


def _linear(network: Encoder, prediction: jax.Array, train: bool) -> Encoding:
    return Encoding(prediction, prediction)


def _gaussian(network: Encoder, prediction: jax.Array, train: bool) -> Encoding:
    mean, log_deviation = jnp.split(prediction, 2, axis=-1)
    if not train:
        return Encoding(mean, mean)
    where = global_batch.positions(len(mean), global_batch.axis_of(network))
    noise = instance_noise(jnp.zeros_like(mean), network.make_rng('noise'), where, 1.0)
    return Encoding(mean + jnp.exp(log_deviation) * noise, mean)


_CODES = {'bounded': _bounded, 'linear': _linear, 'gaussian': _gaussian}
