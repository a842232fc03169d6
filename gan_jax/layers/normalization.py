"""Normalisation of activations by name."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, require


def normalize(
    name: str,
    inputs: jax.Array,
    *,
    train: bool,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    axis_name: str | None = None,
    dtype: Any = jnp.float32,
) -> jax.Array:
    """Adds a normalisation layer to the linen module that calls it.

    Statistics are float32 whatever the dtype. All but 'none' have a learnt scale and shift for each channel.

    Args:
        name: 'batch' (Ioffe and Szegedy 2015) over batch and space, with running averages in 'batch_stats'; 'layer'
            (Ba et al. 2016) over each example; 'instance' (Ulyanov et al. 2016) over each channel of each image;
            'none'. 'spectral' normalises weights, not activations, so that it is 'none' here.
        inputs: [B, ..., C].
        train: batch normalisation takes the batch's statistics if true, the running averages if false.
        momentum: of the running averages: new = momentum old + (1 - momentum) batch. PyTorch's `momentum` is 1 less
            this one. Their variance is the biased one.
        epsilon: added to the variance.
        axis_name: the mapped axis over which batch statistics are global.
        dtype: of the outputs.

    Returns:
        Outputs of the inputs' shape.

    Raises:
        UserError: no normalisation has that name, it is instance normalisation of inputs without space, or the
            momentum is not in [0, 1].
    """
    require(0 <= momentum <= 1, 'momentum', momentum, 'between 0 and 1')
    layer = choose(NORMALIZATIONS, name, 'normalisation')
    return layer(inputs, train=train, momentum=momentum, epsilon=epsilon, axis_name=axis_name, dtype=dtype)


def normalizer(network: nn.Module) -> Callable[..., jax.Array]:
    """`normalize(inputs, train=...)` as the network's fields have it: normalization, momentum, axis_name, dtype."""
    statistics = {'momentum': network.momentum, 'axis_name': network.axis_name, 'dtype': network.dtype}
    return functools.partial(normalize, network.normalization, **statistics)


def replaces_bias(name: str) -> bool:
    """Whether the normalisation has a shift of its own, so that the layer before it needs no bias."""
    return name not in ('none', 'spectral')


def _batch(inputs, *, train, momentum, epsilon, axis_name, dtype):
    layer = nn.BatchNorm(not train, momentum=momentum, epsilon=epsilon, dtype=dtype, axis_name=axis_name)
    return layer(inputs)


def _layer(inputs, *, epsilon, dtype, **_):
    return nn.LayerNorm(epsilon=epsilon, dtype=dtype, reduction_axes=range(1, inputs.ndim))(inputs)


def _instance(inputs, *, epsilon, dtype, **_):
    if inputs.ndim < 3:
        raise UserError('Instance normalisation is for images; choose batch or layer normalisation for vectors.')
    return nn.InstanceNorm(epsilon=epsilon, dtype=dtype)(inputs)


def _none(inputs, **_):
    return inputs


NORMALIZATIONS: dict[str, Callable[..., jax.Array]] = {
    'batch': _batch,
    'layer': _layer,
    'instance': _instance,
    'none': _none,
    'spectral': _none,
}
