"""The networks of DANN for MNIST: a convolutional classifier, and a classifier of domains on its features.

Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", figure 4. Sizes follow from the shape of the
images; at 28x28 pixels in colour they are the published ones. The domain classifier has one logit, the difference of
the two published outputs.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.classification import Classification
from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten
from gan_jax.layers.resampling import max_pool
from gan_jax.ranges import COUNT


class Generator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> `Classification` with logits of K classes and features [B, n].

    The feature extractor, 5x5 convolutions each with ReLU and a maximum over 2x2 blocks, and the label classifier,
    fully connected layers with ReLU. The last layer computes in float32 whatever the dtype.

    Attributes:
        num_classes: K.
        widths: channels of each convolution.
        hidden: units of each hidden layer of the label classifier.
        initializer: initializer of the weights, as in `gan_jax.layers.initializers`.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: unused; no layer mixes examples.
    """

    num_classes: int = 10
    widths: Annotated[tuple[int, ...], COUNT] = (32, 48)
    hidden: Annotated[tuple[int, ...], COUNT] = (100, 100)
    initializer: str = 'xavier'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Classification:
        """The classification of the images."""
        del train
        require_positive(self, 'num_classes', 'widths')
        start = initializer(self.initializer)
        values = images
        for width in self.widths:
            values = Conv(width, kernel_size=5, kernel_init=start, dtype=self.dtype)(values)
            values = nn.relu(max_pool(values))
        features = hidden = flatten(values)
        for width in self.hidden:
            hidden = nn.relu(Dense(width, kernel_init=start, dtype=self.dtype)(hidden))
        logits = Dense(self.num_classes, kernel_init=start)(hidden.astype(jnp.float32))
        return Classification(logits, features)


class Discriminator(nn.Module):
    """Features [B, n] -> float32 logits [B] of being of the source domain: fully connected layers with ReLU.

    Attributes:
        hidden: units of each hidden layer; the published networks for larger images have two of 1,024.
        initializer: as in `Generator`.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: unused.
    """

    hidden: Annotated[tuple[int, ...], COUNT] = (100,)
    initializer: str = 'xavier'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """The logits of the features."""
        del train
        start, values = initializer(self.initializer), flatten(features)
        for width in self.hidden:
            values = nn.relu(Dense(width, kernel_init=start, dtype=self.dtype)(values))
        return Dense(1, kernel_init=start)(values.astype(jnp.float32))[:, 0]
