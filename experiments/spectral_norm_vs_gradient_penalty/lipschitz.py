"""The steepness of a discriminator: an upper bound from its layers, and its slope at data and samples."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.spectral import SpectralNormalization
from gan_jax.penalties import Critic, gradient_norms

ITERATIONS = 500  # of the power method


class Layer(NamedTuple):
    """Largest singular values of a layer as it is applied, that is with its kernel normalised where it is.

    Attributes:
        operator: norm of the linear map from its inputs, at their size, to its outputs.
        kernel: that of the kernel [..., D] reshaped to [-1, D], which spectral normalisation (Miyato et al. 2018)
            brings to 1. For a dense layer both are equal; for a convolution it is the norm of the map from one window
            to its outputs.
    """

    operator: float
    kernel: float


def layers(discriminator: nn.Module, variables: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Layer]:
    """The singular values of all layers with weights, in the order in which they are applied.

    If the functions between the layers have Lipschitz constants of at most 1, as LeakyReLU has, the product of the
    operators' norms is an upper bound of that of the discriminator.

    Args:
        discriminator: the module.
        variables: {'params': ..., and its other collections}.
        shape: shape of one example.
    """
    return {
        name: Layer(float(operator_norm(layer, own, inputs)), kernel_norm(layer, own))
        for name, layer, own, inputs in _find(discriminator, variables, shape)
    }


def operator_norm(layer: nn.Module, variables: dict[str, Any], shape: tuple[int, ...]) -> jax.Array:
    """The largest singular value of an affine layer's linear part, for one input of a shape; by the power method.

    Args:
        layer: called as `layer(inputs, train=False)`.
        variables: its own.
        shape: shape of its inputs, [1, ...].
    """

    def call(variables, inputs):
        return layer.apply(variables, inputs, train=False)

    @jax.jit
    def norm(variables) -> jax.Array:
        def linear(inputs):
            return call(variables, inputs) - call(variables, jnp.zeros(shape))

        def iterate(_, inputs):
            outputs, transposed = jax.vjp(linear, inputs)
            (inputs,) = transposed(outputs)
            return inputs / jnp.linalg.norm(inputs)

        return jnp.linalg.norm(
            linear(jax.lax.fori_loop(0, ITERATIONS, iterate, jax.random.normal(jax.random.key(0), shape)))
        )

    return norm(variables)


def kernel_norm(layer: nn.Module, variables: dict[str, Any]) -> float:
    """The largest singular value of a layer's kernel [..., D], reshaped to [-1, D], in float64."""
    kernel = variables['params']['kernel']
    if layer.spectral_iterations:
        own = {'spectral': variables['spectral']['normalization']}
        kernel = SpectralNormalization(layer.spectral_iterations).apply(own, kernel, train=False)
    return float(np.linalg.norm(np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]), 2))


def slopes(critic: Critic, real: np.ndarray, fake: np.ndarray) -> dict[str, np.ndarray]:
    """The norms [n] of the critic's gradient at real examples, at generated ones, and at random points between them.

    Args:
        critic: examples -> logits.
        real: [n, ...].
        fake: [n, ...].
    """
    share = np.random.default_rng(0).uniform(size=(len(real), *[1] * (real.ndim - 1))).astype(np.float32)
    norms = jax.jit(lambda examples: gradient_norms(critic, examples))
    places = {'real': real, 'fake': fake, 'between': share * real + (1 - share) * fake}
    return {name: np.asarray(norms(jnp.asarray(examples))) for name, examples in places.items()}


def _find(discriminator, variables, shape) -> Iterator[tuple[str, nn.Module, dict[str, Any], tuple[int, ...]]]:
    """Name, module, own variables and shape of the inputs [1, ...] of each layer."""
    found = []

    def note(call, arguments, options, context):
        if isinstance(context.module, Conv | Dense) and context.method_name == '__call__':
            found.append((context.module.path, context.module.clone(parent=None, name=None), arguments[0].shape))
        return call(*arguments, **options)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda examples: discriminator.apply(variables, examples, train=False), jnp.zeros((1, *shape)))
    for path, layer, inputs in found:
        own = {collection: inside for collection, tree in variables.items() if (inside := _within(tree, path))}
        yield '/'.join(path), layer, own, inputs


def _within(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path:
        tree = tree.get(name, {})
    return tree
