"""Dense and convolutional layers with optional spectral normalisation."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gan_jax.layers.choices import require
from gan_jax.layers.convolution import Padding, convolution, doubled_convolution, transposed_convolution
from gan_jax.layers.grouped import grouped_convolution
from gan_jax.layers.initializers import initializer
from gan_jax.layers.spectral import SpectralNormalization


class _Linear(nn.Module):
    """Common parts of the layers below: a float32 `kernel` and `bias`.

    Attributes:
        features: D, the number of outputs or output channels.
        use_bias: whether a bias [D] is added.
        kernel_init: initialiser of the kernel; the bias starts at 0.
        spectral_iterations: power iterations of spectral normalisation in a training call; 0: not normalised.
        rate: multiplier of the learning rate of kernel and bias (Karras et al. 2019, StyleGAN, appendix C): both are
            applied times it, and the kernel starts with 1 / rate times its values.
        dtype: dtype of the arithmetic and of the outputs.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)
    spectral_iterations: int = 0
    rate: float = 1.0
    dtype: Any = jnp.float32

    def _weights(self, shape: tuple[int, ...], train: bool) -> tuple[jax.Array, jax.Array | float]:
        kernel = self._multiplied('kernel', self._start, (*shape, self.features))
        if self.spectral_iterations:
            kernel = SpectralNormalization(self.spectral_iterations, name='normalization')(kernel, train=train)
        bias = self._multiplied('bias', nn.initializers.zeros, (self.features,)) if self.use_bias else None
        return kernel.astype(self.dtype), 0.0 if bias is None else bias.astype(self.dtype)

    def _start(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        kernel = self.kernel_init(key, shape)
        return kernel if self.rate == 1 else kernel / self.rate

    def _multiplied(self, name: str, start: Initializer, shape: tuple[int, ...]) -> jax.Array:
        values = self.param(name, start, shape)
        return values if self.rate == 1 else self.rate * values


class Dense(_Linear):
    """An affine map of the last axis: [..., C] -> [..., D], with kernel [C, D]."""

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False) -> jax.Array:
        """The outputs; `train` updates the vector of spectral normalisation."""
        kernel, bias = self._weights(inputs.shape[-1:], train)
        return inputs.astype(self.dtype) @ kernel + bias


class Conv(_Linear):
    """A convolution: [B, H, W, C] -> [B, H', W', D], with kernel [h, w, C / groups, D]; of solids with one more side.

    Attributes:
        kernel_size: size of all sides, or (h, w).
        stride: in all directions.
        padding: as in `gan_jax.layers.convolution.convolution`.
        groups: number of groups of channels that do not mix, as in `gan_jax.layers.grouped`; more than one need the
            stride 1 and the padding 'SAME'.
        doubling: whether images are doubled by the nearest pixel first: [B, 2 H, 2 W, D]. It needs a square kernel, the
            stride 1, the padding 'SAME' and one group.
    """

    kernel_size: int | tuple[int, ...] = 3
    stride: int = 1
    padding: Padding = 'SAME'
    groups: int = 1
    doubling: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """The outputs; `train` updates the vector of spectral normalisation."""
        require(isinstance(self.stride, int), 'stride', self.stride, 'one whole number, of all directions')
        kernel, bias = self._weights((*_sides(self.kernel_size, images), images.shape[-1] // self.groups), train)
        images = images.astype(self.dtype)
        if self.doubling:
            return doubled_convolution(images, kernel) + bias
        if self.groups > 1:
            return grouped_convolution(images, kernel, self.groups) + bias
        return convolution(images, kernel, self.stride, self.padding) + bias


class ConvTranspose(_Linear):
    """A transposed convolution: [B, H, W, C] -> [B, stride H, stride W, D], with kernel [h, w, C, D]; or of solids.

    Attributes:
        kernel_size: size of all sides, or (h, w).
        stride: in all directions.
        padding: as in `gan_jax.layers.convolution.transposed_convolution`.
    """

    kernel_size: int | tuple[int, ...] = 4
    stride: int = 2
    padding: int | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """The outputs; `train` updates the vector of spectral normalisation."""
        require(isinstance(self.stride, int), 'stride', self.stride, 'one whole number, of all directions')
        kernel, bias = self._weights((*_sides(self.kernel_size, images), images.shape[-1]), train)
        return transposed_convolution(images.astype(self.dtype), kernel, self.stride, self.padding) + bias


def weight_options(network: nn.Module) -> dict[str, Any]:
    """The options of the layers above, from a network's fields.

    They are initializer, dtype, and spectral_iterations, of which 0 means 1 where the normalization is 'spectral'.

    Raises:
        UserError: no initialiser has that name.
    """
    return {
        'kernel_init': initializer(network.initializer),
        'spectral_iterations': network.spectral_iterations or int(network.normalization == 'spectral'),
        'dtype': network.dtype,
    }


def _sides(size: int | tuple[int, ...], images: jax.Array) -> tuple[int, ...]:
    """The sides of a kernel; raises a UserError if they do not fit the images."""
    shapes = '[B, H, W, C] or [B, D, H, W, C]'
    require(images.ndim in (4, 5), 'The shape of inputs of a convolution', images.shape, shapes)
    sides = (size,) * (images.ndim - 2) if isinstance(size, int) else tuple(size)
    require(len(sides) == images.ndim - 2, 'kernel_size', size, f'a number, or {images.ndim - 2} of them')
    return sides
