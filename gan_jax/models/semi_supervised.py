"""The networks of the semi-supervised GAN for MNIST: fully connected, a generator and a classifier of K classes.

Salimans et al. 2016, "Improved Techniques for Training GANs", section 6.1; layers, noises and initial weights are those
of the authors' code. They were made for pixels in [0, 1]; here images are in [-1, 1]. The generator's sigmoid is scaled
to that range, and the discriminator scales images back before its first layer adds noise.
"""

import math
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.linear import Dense
from gan_jax.layers.networks import flatten
from gan_jax.layers.noise import GaussianNoise
from gan_jax.layers.weight_normalization import WeightNormDense
from gan_jax.ranges import AMOUNT, COUNT, SHARE


class Generator(nn.Module):
    """Latents [B, n] -> images [B, *shape], float32 in (-1, 1).

    Hidden layers are batch normalised with a learnt shift and no scale, before softplus. The last layer's weights have
    length 1 times a learnt scale. The published latents are uniform in [0, 1); any uniform range gives the same
    network, for the first batch normalisation removes shift and scale of the latents.

    Attributes:
        shape: shape of one image.
        widths: widths of the hidden layers.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    shape: tuple[int, ...]
    widths: Annotated[tuple[int, ...], COUNT] = (500, 500)
    momentum: Annotated[float, SHARE] = 0.9
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        require_positive(self, 'widths')
        weights = {'kernel_init': nn.initializers.xavier_uniform(), 'dtype': self.dtype}
        statistics = {
            'momentum': self.momentum,
            'epsilon': 1e-6,
            'use_scale': False,
            'dtype': self.dtype,
            'axis_name': self.axis_name,
        }
        hidden = latents
        for width in self.widths:
            hidden = Dense(width, use_bias=False, **weights)(hidden)
            hidden = nn.softplus(nn.BatchNorm(not train, **statistics)(hidden))
        outputs = WeightNormDense(math.prod(self.shape), from_data=False, **weights)(hidden)
        return (2 * nn.sigmoid(outputs.astype(jnp.float32)) - 1).reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """Images [B, ...] in [-1, 1] -> judgement with logits of K classes and features 'layer0', 'layer1' and so on.

    The logit of being real is log sum exp of the class logits: generated images are a class of their own with the logit
    0 (section 5). Every layer is weight normalised and starts from data, see `WeightNormDense`; as published the scales
    of hidden layers stay as they start. Features are taken after ReLU, before noise. The last layer computes in float32
    whatever the dtype.

    Attributes:
        num_classes: K.
        widths: widths of the hidden layers.
        input_noise: standard deviation of the noise on pixels scaled to [0, 1], in training.
        noise: standard deviation of that on each hidden layer's outputs, in training.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which noise is global.
    """

    num_classes: int = 10
    widths: Annotated[tuple[int, ...], COUNT] = (1000, 500, 250, 250, 250)
    input_noise: Annotated[float, AMOUNT] = 0.3
    noise: Annotated[float, AMOUNT] = 0.5
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the images."""
        require_positive(self, 'num_classes', 'widths')
        hidden = (flatten(images).astype(self.dtype) + 1) / 2
        hidden = GaussianNoise(self.input_noise, self.axis_name)(hidden, train=train)
        features = {}
        for layer, width in enumerate(self.widths):
            hidden = nn.relu(WeightNormDense(width, learn_scale=False, dtype=self.dtype)(hidden))
            features[f'layer{layer}'] = hidden
            hidden = GaussianNoise(self.noise, self.axis_name)(hidden, train=train)
        classes = WeightNormDense(self.num_classes)(hidden.astype(jnp.float32))
        return Judgement(jax.nn.logsumexp(classes, axis=-1), classes, features)
