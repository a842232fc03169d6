"""The networks of CyCADA for digits: those of CycleGAN, LeNet as the classifier, and a discriminator of class logits.

Hoffman et al. 2018, "CyCADA: Cycle-Consistent Adversarial Domain Adaptation"; layers are those of the authors' code.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.classification import Classification
from gan_jax.errors import UserError
from gan_jax.layers.choices import require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten
from gan_jax.layers.resampling import max_pool
from gan_jax.models import cyclegan, dann
from gan_jax.ranges import COUNT, DECAY

Generator, Discriminator = cyclegan.Generator, cyclegan.Discriminator


class Classifier(nn.Module):
    """LeNet: images [B, H, W, C] in [-1, 1], of 16x16 pixels or more -> `Classification`.

    Two 5x5 convolutions without padding, each with a maximum over 2x2 blocks and ReLU, and a hidden layer, whose
    outputs are the features. Dropout leaves out whole channels after the second convolution, and units of the hidden
    layer. The last layer computes in float32 whatever the dtype.

    Attributes:
        num_classes: K.
        widths: channels of both convolutions.
        hidden: units of the hidden layer.
        dropout: rate, in training.
        initializer: initializer of the weights, as in `gan_jax.layers.initializers`.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which dropout is global.
    """

    num_classes: int = 10
    widths: Annotated[tuple[int, ...], COUNT] = (20, 50)
    hidden: Annotated[int, COUNT] = 500
    dropout: Annotated[float, DECAY] = 0.5
    initializer: str = 'xavier'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Classification:
        """The classification of the images."""
        require_positive(self, 'num_classes', 'widths', 'hidden')
        if min(images.shape[1:3]) < 16:
            raise UserError(f'LeNet needs images of at least 16x16 pixels, not {images.shape[1:]}: set data.size.')
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        thinned = Dropout(self.dropout, self.axis_name)
        first, second = self.widths
        values = nn.relu(max_pool(Conv(first, kernel_size=5, padding='VALID', **weights)(images)))
        values = Conv(second, kernel_size=5, padding='VALID', **weights)(values)
        channels = thinned(jnp.ones((len(values), 1, 1, second), values.dtype), train=train)
        values = nn.relu(max_pool(values * channels))
        features = nn.relu(Dense(self.hidden, **weights)(flatten(values)))
        hidden = thinned(features, train=train).astype(jnp.float32)
        return Classification(Dense(self.num_classes, kernel_init=weights['kernel_init'])(hidden), features)


class TargetClassifier(Classifier):
    """The same network, for the target domain."""


class FeatureDiscriminator(dann.Discriminator):
    """Class logits [B, K] -> float32 logits [B] of being of the source domain.

    Attributes:
        hidden: units of each hidden layer.
    """

    hidden: Annotated[tuple[int, ...], COUNT] = (500, 500)
