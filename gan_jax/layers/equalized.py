"""Layers with an equalised learning rate: Karras et al. 2018, "Progressive Growing of GANs", section 4.1.

A weight starts from a normal distribution of deviation 1 and is scaled in every call by the constant of He et al.
2015, so that an optimiser which normalises gradients moves all layers at the same relative speed.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import require
from gan_jax.layers.convolution import convolution
from gan_jax.ranges import POSITIVE_AMOUNT


class _Equalized(nn.Module):
    """Common parts of the layers below: a float32 `kernel` and `bias`.

    Attributes:
        features: D, the number of outputs or output channels.
        gain: the deviation of the outputs for inputs of deviation 1; sqrt(2) where a ReLU follows.
        use_bias: whether a bias [D] is added.
        bias_init: initial value of the bias.
        rate: multiplier of the learning rate of kernel and bias (Karras et al. 2019, StyleGAN, appendix C).
        dtype: dtype of the arithmetic and of the outputs.
    """

    features: int
    gain: float = math.sqrt(2)
    use_bias: bool = True
    bias_init: float = 0.0
    rate: Annotated[float, POSITIVE_AMOUNT] = 1.0
    dtype: Any = jnp.float32

    def _weights(self, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array | float]:
        kernel = self.param('kernel', nn.initializers.normal(1 / self.rate), (*shape, self.features))
        kernel = kernel * (self.gain * self.rate / math.sqrt(math.prod(shape)))  # not in place: it may be NumPy's
        if not self.use_bias:
            return kernel.astype(self.dtype), 0.0
        bias = self.param('bias', nn.initializers.constant(self.bias_init / self.rate), (self.features,))
        return kernel.astype(self.dtype), (bias * self.rate).astype(self.dtype)


def check_options(network: nn.Module) -> None:
    """Raises a UserError for an option that a network of these layers would ignore."""
    name = type(network).__name__.lower()
    for option, value, wanted in (
        ('initializer', network.initializer, 'normal'),
        ('spectral_iterations', network.spectral_iterations, 0),
    ):
        require(value == wanted, f'{name}.{option}', value, f'{wanted!r} with an equalised learning rate')
    require(
        network.normalization != 'spectral',
        f'{name}.normalization',
        network.normalization,
        'another one with an equalised learning rate',
    )


class EqualizedDense(_Equalized):
    """An affine map of the last axis: [..., C] -> [..., D], with kernel [C, D]."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """The outputs."""
        kernel, bias = self._weights(inputs.shape[-1:])
        return inputs.astype(self.dtype) @ kernel + bias


class EqualizedConv(_Equalized):
    """A convolution [B, H, W, C] -> [B, H', W', D] with kernel [k, k, C, D]; it keeps the size if nothing resamples.

    Attributes:
        kernel_size: k, of both sides.
        convolve: (images, kernel) -> images, which may change the size.
    """

    kernel_size: int = 3
    convolve: Callable[[jax.Array, jax.Array], jax.Array] = convolution

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """The outputs."""
        kernel, bias = self._weights((self.kernel_size, self.kernel_size, images.shape[-1]))
        return self.convolve(images.astype(self.dtype), kernel) + bias
