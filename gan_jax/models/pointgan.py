"""The networks of r-GAN: Achlioptas et al. 2018, https://arxiv.org/abs/1707.02392, section 3 and appendix.

The generator is fully connected. The discriminator is symmetric in the points: the same layers for each point, the
maximum over the points, and fully connected layers. With 128 latents and clouds of 2,048 points, the generator has
6,905,536 parameters and the discriminator 312,961.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.examples.kinds import CLOUDS, kind_of
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, LayerOptions
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.ranges import COUNT, Range

DEVIATION = 0.2  # of the authors' latents


class Generator(GeneratorNetwork):
    """Latents [B, n] -> point clouds [B, points, 3], float32.

    Fully connected layers with ReLU and a linear one. Standard normal latents are multiplied by 0.2, the deviation of
    the authors' latents.

    Attributes:
        shape: (points, 3) of a cloud.
        widths: widths of the hidden layers.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (64, 128, 512, 1024)
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The clouds made from the latents."""
        require_positive(self, 'widths')
        hidden, condition = self.take(DEVIATION * latents, condition, train=train)
        (*_, hidden) = hidden_layers(self, hidden, self.widths, condition, train=train)
        return to_cloud(self, hidden, self.shape, train=train)


class Discriminator(DiscriminatorNetwork):
    """Point clouds [B, points, 3] -> judgement with float32 logits [B] and features 'layer0', ... and 'joined0', ...

    The judgement does not depend on the order of the points.

    Attributes:
        widths: widths of the layers that each point goes through.
        joined_widths: widths of the hidden layers behind the maximum over the points, with ReLU.
        slope: slope below zero of the first kind of layers. The authors' code has 0.2 with the usual loss and 0 with
            WGAN-GP.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (64, 128, 256, 256, 512)
    joined_widths: Annotated[tuple[int, ...], COUNT] = (128, 64)
    slope: Annotated[float, Range(0, 1)] = 0.2
    initializer: str = 'xavier'

    @nn.compact
    def __call__(self, clouds: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the clouds being real."""
        require_positive(self, 'widths', 'joined_widths')
        _check_shape(clouds.shape[1:])
        points = hidden_layers(self, self.see(clouds, condition), self.widths, slope=self.slope, train=train)
        hidden, features = points[-1].max(axis=1), {f'layer{layer}': values for layer, values in enumerate(points)}
        for layer, width in enumerate(self.joined_widths):
            hidden = features[f'joined{layer}'] = nn.relu(Dense(width, **weight_options(self))(hidden, train=train))
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train)


def hidden_layers(
    network: LayerOptions,
    hidden: jax.Array,
    widths: Sequence[int],
    condition: jax.Array | None = None,
    *,
    train: bool,
    slope: float = 0.0,
) -> list[jax.Array]:
    """The outputs of dense layers of the last axis, normalised, with (leaky) ReLU: each [..., width].

    Args:
        network: the network inside of whose compact method they are made, with the options of the layers.
        hidden: [..., n].
        widths: their widths.
        condition: condition of the normalisation.
        train: whether statistics are updated.
        slope: slope of the ReLU below zero.
    """
    weights, normalize = weight_options(network), normalizer(network, condition)
    use_bias, outputs = not replaces_bias(network.normalization, condition), []
    for width in widths:
        hidden = normalize(Dense(width, use_bias=use_bias, **weights)(hidden, train=train), train=train)
        hidden = nn.leaky_relu(hidden, slope)
        outputs.append(hidden)
    return outputs


def to_cloud(network: LayerOptions, hidden: jax.Array, shape: tuple[int, ...], *, train: bool) -> jax.Array:
    """Point clouds [B, points, 3], float32, by a dense layer from the last features [B, n]."""
    _check_shape(shape)
    clouds = Dense(math.prod(shape), **weight_options(network))(hidden, train=train)
    return clouds.astype(jnp.float32).reshape(-1, *shape)


def _check_shape(shape: tuple[int, ...]) -> None:
    if kind_of(shape) is not CLOUDS:
        raise UserError(
            f'These networks are for point clouds of shape (points, 3), not {tuple(shape)}: use furniture_points.'
        )
