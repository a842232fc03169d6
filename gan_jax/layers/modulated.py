"""The modulated convolutions of StyleGAN2, with noise, bias and a scaled activation.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2. The published kernel of each
example is kernel * style / norm. Here it is as fast as an ordinary convolution: the channels of the inputs are
scaled by the style, all examples share one kernel, and the channels of the outputs are divided by the norm.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.convolution import convolution
from gan_jax.layers.equalized import EqualizedDense
from gan_jax.layers.filters import convolve_up, interpolating_taps
from gan_jax.layers.noise import PlaceNoise

TAPS = interpolating_taps([1, 2, 1])
SLOPE = 0.2


def modulated_convolution(
    images: jax.Array,
    kernel: jax.Array,
    styles: jax.Array,
    *,
    demodulate: bool = True,
    convolve: Callable[[jax.Array, jax.Array], jax.Array] = convolution,
) -> jax.Array:
    """A convolution with the input channels of each example scaled by its style: [B, H, W, C] -> [B, H', W', D].

    Args:
        images: [B, H, W, C].
        kernel: [k, k, C, D], float32.
        styles: [B, C], float32.
        demodulate: whether each example's kernel is divided by its norm over k, k and C (plus 1e-8), equation 3.
        convolve: (images, kernel) -> images, which may change the size.
    """
    outputs = convolve(images * styles[:, None, None].astype(images.dtype), kernel.astype(images.dtype))
    if not demodulate:
        return outputs
    squares = jnp.dot(styles**2, (kernel**2).sum((0, 1)), precision=jax.lax.Precision.HIGHEST)
    return outputs * jax.lax.rsqrt(squares + 1e-8)[:, None, None].astype(images.dtype)


def activate(inputs: jax.Array, gain: float = 1.0, clamp: float = 0.0) -> jax.Array:
    """Leaky ReLU 0.2 times sqrt(2), which keeps the deviation, times a gain; cut at -clamp and clamp times the gain.

    A clamp of 0 is none. It prevents overflow in 16-bit arithmetic (Karras et al. 2020, "Training GANs with
    Limited Data", appendix D).
    """
    return clipped(nn.leaky_relu(inputs, SLOPE) * (math.sqrt(2) * gain), clamp * gain)


def clipped(inputs: jax.Array, clamp: float) -> jax.Array:
    """The inputs, clipped to [-clamp, clamp] if that is not 0."""
    return jnp.clip(inputs, -clamp, clamp) if clamp else inputs


class ModulatedConv(nn.Module):
    """Images [B, H, W, C] and w [B, n] -> [B, H', W', D]; the style is an affine map of w that starts at 1.

    Attributes:
        features: D.
        kernel_size: k.
        up: whether height and width are doubled, see `convolve_up`.
        demodulate: as in `modulated_convolution`; else the styles are scaled by the constant of He et al. 2015.
        dtype: dtype of the arithmetic.
    """

    features: int
    kernel_size: int = 3
    up: bool = False
    demodulate: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, w: jax.Array) -> jax.Array:
        """The outputs."""
        channels = images.shape[-1]
        styles = EqualizedDense(channels, gain=1.0, bias_init=1.0, name='style')(w)
        shape = self.kernel_size, self.kernel_size, channels, self.features
        kernel = self.param('kernel', nn.initializers.normal(1.0), shape)
        if not self.demodulate:
            styles = styles / math.sqrt(math.prod(shape[:3]))
        options = {'convolve': lambda images, kernel: convolve_up(images, kernel, TAPS)} if self.up else {}
        return modulated_convolution(images.astype(self.dtype), kernel, styles, demodulate=self.demodulate, **options)


class StyleLayer(nn.Module):
    """A 3x3 modulated convolution with noise, bias and activation: [B, H, W, C] and w [B, n] -> [B, H', W', D].

    Attributes:
        features: D.
        up: whether height and width are doubled.
        gain: gain of the activation, beside its own.
        clamp: clamp of the activation.
        noise: options of `PlaceNoise`; None: there is no noise.
        dtype: dtype of the arithmetic.
    """

    features: int
    up: bool = False
    gain: float = 1.0
    clamp: float = 0.0
    noise: Mapping[str, Any] | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, w: jax.Array, *, train: bool) -> jax.Array:
        """The outputs."""
        hidden = ModulatedConv(self.features, up=self.up, dtype=self.dtype, name='convolution')(images, w)
        if self.noise is not None:
            hidden = PlaceNoise(**self.noise, name='noise')(hidden, train=train)
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        return activate(hidden + bias.astype(hidden.dtype), self.gain, self.clamp)


class ImageLayer(nn.Module):
    """A 1x1 modulated convolution to an image, without demodulation: [B, H, W, C] and w [B, n] -> [B, H, W, D].

    Attributes:
        channels: D.
        clamp: clamp of the outputs.
        dtype: dtype of the arithmetic.
    """

    channels: int
    clamp: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, w: jax.Array) -> jax.Array:
        """The outputs, float32."""
        convolve = ModulatedConv(self.channels, kernel_size=1, demodulate=False, dtype=self.dtype, name='convolution')
        bias = self.param('bias', nn.initializers.zeros, (self.channels,))
        return clipped(convolve(images, w).astype(jnp.float32) + bias, self.clamp)
