"""Fully connected GAN: the networks of Goodfellow et al. 2014 as they are mostly built today, with LeakyReLU 0.2."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import choose, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.normalization import normalizer, replaces_bias

OUTPUTS = {'tanh': jnp.tanh, 'linear': lambda outputs: outputs}


class Generator(nn.Module):
    """Latents [B, n] -> examples [B, *shape], float32.

    Attributes:
        shape: of one example: (H, W, C), or (n,) for points.
        widths: of the hidden layers.
        output: 'tanh' for images in [-1, 1], 'linear' for points.
        normalization: of the hidden layers: 'none', 'batch', 'layer', 'spectral' (of all weights). Hidden layers have
            a bias only where no activations are normalised.
        momentum: of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: of the weights: 'he', 'normal', 'xavier', 'orthogonal'.
        dtype: of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (256, 512, 1024)
    output: str = 'tanh'
    normalization: str = 'none'
    momentum: float = 0.9
    initializer: str = 'he'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The examples made from the latents."""
        output = choose(OUTPUTS, self.output, 'output')
        hidden = _hidden_layers(self, latents, train)
        outputs = Dense(math.prod(self.shape), **weight_options(self))(hidden, train=train)
        return output(outputs.astype(jnp.float32)).reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """Examples [B, ...] -> logits [B], float32.

    Attributes:
        widths: of the hidden layers.
        dropout: rate after each hidden layer, in training.
        normalization: of the hidden layers, as in the generator.
        momentum: of batch statistics, as in the generator.
        initializer: of the weights, as in the generator.
        dtype: of the arithmetic but for the last layer's; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    widths: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0
    normalization: str = 'none'
    momentum: float = 0.9
    initializer: str = 'he'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, examples: jax.Array, *, train: bool) -> jax.Array:
        """The logits of the examples being real."""
        hidden = _hidden_layers(self, examples.reshape(len(examples), -1), train, self.dropout)
        return Dense(1, **weight_options(self) | {'dtype': jnp.float32})(hidden, train=train)[:, 0]


def _hidden_layers(network: Generator | Discriminator, hidden: jax.Array, train: bool, dropout: float = 0.0):
    require_positive(network, 'widths')
    weights, normalize = weight_options(network), normalizer(network)
    use_bias = not replaces_bias(network.normalization)
    for width in network.widths:
        hidden = Dense(width, use_bias=use_bias, **weights)(hidden, train=train)
        hidden = nn.leaky_relu(normalize(hidden, train=train), 0.2)
        hidden = Dropout(dropout, network.axis_name)(hidden, train=train)
    return hidden
