"""Fully connected GAN: the networks of Goodfellow et al. 2014 in their common modern form, with LeakyReLU 0.2."""

import math
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, EncoderNetwork, GeneratorNetwork, flatten
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.ranges import COUNT

OUTPUTS = {'tanh': jnp.tanh, 'linear': lambda outputs: outputs}


class Generator(GeneratorNetwork):
    """Latents [B, n] -> examples [B, *shape], float32.

    Attributes:
        shape: shape of one example: (H, W, C), or (n,) for points.
        widths: widths of the hidden layers.
        output: 'tanh' for images in [-1, 1], 'linear' for points.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (256, 512, 1024)
    output: str = 'tanh'
    initializer: str = 'he'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The examples made from the latents."""
        output = choose(OUTPUTS, self.output, 'output')
        latents, condition = self.take(latents, condition, train=train)
        hidden, _ = _hidden_layers(self, latents, condition, train)
        outputs = Dense(math.prod(self.shape), **weight_options(self))(hidden, train=train)
        return output(outputs.astype(jnp.float32)).reshape(-1, *self.shape)


class Discriminator(DiscriminatorNetwork):
    """Examples [B, ...] -> judgement with float32 logits [B] and features 'layer0', 'layer1' and so on.

    The examples are flattened, so 'planes' of a condition add one value each. The last layer computes in
    float32 whatever the dtype.

    Attributes:
        widths: widths of the hidden layers.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (1024, 512, 256)
    initializer: str = 'he'

    @nn.compact
    def __call__(self, examples: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the examples being real."""
        inputs = self.see(flatten(examples), condition)
        hidden, features = _hidden_layers(self, inputs, None, train, self.dropout)
        return self.judgement(hidden, condition, features, train=train)


class Encoder(EncoderNetwork):
    """Examples [B, ...] -> codes [B, n], float32: the layers of a discriminator, batch normalised, and a last one.

    Attributes:
        widths: widths of the hidden layers.
    """

    widths: Annotated[tuple[int, ...], COUNT] = (1024, 512, 256)
    normalization: str = 'batch'
    initializer: str = 'he'

    @nn.compact
    def __call__(self, examples: jax.Array, *, train: bool) -> jax.Array:
        """The codes of the examples."""
        hidden, _ = _hidden_layers(self, flatten(examples), None, train)
        weights = weight_options(self) | {'dtype': jnp.float32}
        return Dense(self.shape[0], **weights)(hidden.astype(jnp.float32), train=train)


def _hidden_layers(
    network: Generator | Discriminator | Encoder,
    hidden: jax.Array,
    condition: jax.Array | None,
    train: bool,
    dropout: float = 0.0,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The output of the last hidden layer, and of each by name before dropout."""
    require_positive(network, 'widths')
    weights, normalize = weight_options(network), normalizer(network, condition)
    use_bias = not replaces_bias(network.normalization, condition)
    features = {}
    for layer, width in enumerate(network.widths):
        hidden = Dense(width, use_bias=use_bias, **weights)(hidden, train=train)
        hidden = features[f'layer{layer}'] = nn.leaky_relu(normalize(hidden, train=train), 0.2)
        hidden = Dropout(dropout, network.axis_name)(hidden, train=train)
    return hidden, features
