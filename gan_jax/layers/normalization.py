"""Normalisation of activations by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, require
from gan_jax.layers.conditioning import Embedding
from gan_jax.layers.linear import Dense


def normalize(
    name: str,
    inputs: jax.Array,
    *,
    train: bool,
    condition: jax.Array | None = None,
    num_classes: int | None = None,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    axis_name: str | None = None,
    affine: bool = True,
    dtype: Any = jnp.float32,
) -> jax.Array:
    """Adds a normalisation layer to the linen module that calls it.

    Statistics are float32 whatever the dtype. All but 'pixel' and 'none' have a learnt scale and shift for each
    channel, unless `affine` is false. With a condition there is one pair for each class (de Vries et al. 2017; Dumoulin
    et al. 2017; Miyato and Koyama 2018), 1 and 0 at first, and for 'pixel' too.

    Args:
        name: 'batch' (Ioffe and Szegedy 2015) over batch and space, with running averages in 'batch_stats'; 'layer'
            (Ba et al. 2016) over each example; 'instance' (Ulyanov et al. 2016) over each channel of each image;
            'virtual' (Salimans et al. 2016), see `VirtualBatchNorm`; 'pixel' (Karras et al. 2018) divides by the root
            mean square over the channels; 'none'. 'spectral' normalises weights, not activations, so that it is 'none'
            here.
        inputs: [B, ..., C].
        train: batch normalisation takes the batch's statistics if true, the running averages if false.
        condition: classes [B] or vectors [B, num_classes] that choose scale and shift; None: the same for all.
        num_classes: the number of classes, or the width of the vectors.
        momentum: momentum of the running averages: new = momentum old + (1 - momentum) batch. PyTorch's `momentum` is 1
            less this one. Their variance is the biased one.
        epsilon: added to the variance; 'pixel' has its own, 1e-8.
        axis_name: the mapped axis over which batch statistics are global.
        affine: whether there are a learnt scale and shift where no condition chooses them.
        dtype: dtype of the outputs.

    Returns:
        Outputs of the inputs' shape.

    Raises:
        UserError: no normalisation has that name, it is instance normalisation of inputs without space, one without
            statistics gets a condition, the condition has another batch size or no `num_classes`, or the momentum is
            not in [0, 1].
    """
    require(0 <= momentum <= 1, 'momentum', momentum, 'between 0 and 1')
    layer = choose(NORMALIZATIONS, name, 'normalisation')
    layer = functools.partial(layer, inputs, train=train, momentum=momentum, epsilon=epsilon, axis_name=axis_name)
    if condition is None:
        return layer(affine=affine, dtype=dtype)
    if name in ('none', 'spectral'):
        raise UserError(
            f'The normalisation {name!r} does not normalise activations, so it has no scale and shift for a '
            'condition to choose: use batch, layer, instance, virtual or pixel normalisation, or another '
            'conditioning.'
        )
    require(num_classes is not None, 'num_classes', num_classes, 'the number of classes of the condition')
    return ConditionalAffine(num_classes)(layer(affine=False, dtype=jnp.float32), condition).astype(dtype)


def normalizer(
    network: nn.Module, condition: jax.Array | None = None, epsilon: float = 1e-5
) -> Callable[..., jax.Array]:
    """`normalize(inputs, train=...)` with a network's fields normalization, momentum, axis_name and dtype.

    With a condition also num_classes. The epsilon is that of `normalize`.
    """
    options = {'momentum': network.momentum, 'axis_name': network.axis_name, 'dtype': network.dtype}
    options['epsilon'] = epsilon
    if condition is not None:
        options |= {'condition': condition, 'num_classes': network.num_classes}
    return functools.partial(normalize, network.normalization, **options)


def replaces_bias(name: str, condition: jax.Array | None = None) -> bool:
    """Whether the normalisation has a shift, so that the previous layer needs no bias."""
    return condition is not None or name not in ('pixel', 'none', 'spectral')


class ConditionalAffine(nn.Module):
    """Scale and shift of each channel by a condition: inputs [B, ..., C] and a condition as in `Embedding`.

    Attributes:
        num_classes: the number of classes, or the width of the condition's vectors.
    """

    num_classes: int

    @nn.compact
    def __call__(self, inputs: jax.Array, condition: jax.Array) -> jax.Array:
        """The inputs scaled and shifted; raises a UserError if the condition has another batch size."""
        number, batch = condition.shape[0], inputs.shape[0]
        require(number == batch, 'The number of conditions', number, f'{batch}, the batch size')
        per_channel = (inputs.shape[0], *(1,) * (inputs.ndim - 2), -1)
        scale, shift = (
            Embedding(self.num_classes, inputs.shape[-1], start, name=name)(condition).reshape(per_channel)
            for name, start in (('scale', nn.initializers.ones), ('shift', nn.initializers.zeros))
        )
        return inputs * scale + shift


class LinearAffine(nn.Module):
    """Scale 1 + A c and shift B c of each channel, for vectors c: Brock et al. 2019, "Large Scale GAN Training".

    Attributes:
        weights: options of the dense layers A and B, which have no bias.
    """

    weights: Mapping[str, Any]

    @nn.compact
    def __call__(self, inputs: jax.Array, vectors: jax.Array, *, train: bool = False) -> jax.Array:
        """Inputs [B, ..., C] and vectors [B, n] -> the inputs scaled and shifted."""

        def of_channels(name: str) -> jax.Array:
            layer = Dense(inputs.shape[-1], use_bias=False, name=name, **self.weights)
            return layer(vectors, train=train).reshape(inputs.shape[0], *(1,) * (inputs.ndim - 2), -1)

        return inputs * (1 + of_channels('scale')) + of_channels('shift')


class VirtualBatchNorm(nn.Module):
    """Virtual batch normalisation: Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.4.

    A pass in which the collection 'virtual' is mutable is the reference pass: it normalises its inputs by their own
    batch statistics, and keeps these there. Any other pass normalises each example by the statistics of the R reference
    examples and the example itself, (R reference + own) / (R + 1), independently of the rest of the batch. Gradients
    flow through the kept statistics. Every device of a `pmap` uses the complete reference batch.

    Attributes:
        epsilon: added to the variance.
        affine: whether there are a learnt `scale` and `bias` for each channel.
        dtype: dtype of the outputs.
    """

    epsilon: float = 1e-5
    affine: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Inputs [B, ..., C] normalised; raises a UserError if no reference pass came before."""
        values, channels = inputs.astype(jnp.float32), inputs.shape[-1]
        space = tuple(range(1, inputs.ndim - 1))
        mean, square = values.mean(space, keepdims=True), (values**2).mean(space, keepdims=True)
        is_reference = self.is_mutable_collection('virtual')
        if not is_reference and not self.has_variable('virtual', 'mean'):
            raise UserError(
                'Virtual batch normalisation has no reference statistics: apply the network to a reference batch with '
                "mutable=['virtual'] first, and pass the result."
            )
        shapes = {'mean': (channels,), 'square': (channels,), 'size': ()}
        kept = [self.variable('virtual', name, jnp.zeros, shape) for name, shape in shapes.items()]
        if is_reference:
            mean, square = mean.mean(0, keepdims=True), square.mean(0, keepdims=True)
            for variable, value in zip(kept, (mean, square, float(len(inputs))), strict=True):
                variable.value = jnp.reshape(value, variable.value.shape)
        else:
            reference_mean, reference_square, size = (variable.value for variable in kept)
            mean = (size * reference_mean + mean) / (size + 1)
            square = (size * reference_square + square) / (size + 1)
        outputs = (values - mean) * jax.lax.rsqrt(jnp.maximum(square - mean**2, 0.0) + self.epsilon)
        if self.affine:
            outputs = outputs * self.param('scale', nn.initializers.ones, (channels,))
            outputs = outputs + self.param('bias', nn.initializers.zeros, (channels,))
        return outputs.astype(self.dtype)


class BatchNorm(nn.Module):
    """Batch normalisation without scale and shift; its variables are those of linen's.

    Attributes:
        momentum: momentum of the statistics in evaluation: new = momentum old + (1 - momentum) batch.
        epsilon: added to the variance.
        axis_name: the mapped axis over which batch statistics are global.
        dtype: dtype of the outputs.
    """

    momentum: float
    epsilon: float
    axis_name: str | None
    dtype: Any

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool) -> jax.Array:
        """Inputs [B, ..., C] normalised by the statistics of the batch in training, else by the running ones."""
        values, channels = inputs.astype(jnp.float32), inputs.shape[-1]
        mean = self.variable('batch_stats', 'mean', jnp.zeros, (channels,))
        variance = self.variable('batch_stats', 'var', jnp.ones, (channels,))
        now = mean.value, variance.value
        if train:
            axes = tuple(range(inputs.ndim - 1))
            moments = values.mean(axes), jnp.square(values).mean(axes)
            first, second = global_batch.mean(moments, global_batch.axis_of(self))
            now = first, jnp.maximum(second - jnp.square(first), 0.0)
            if not self.is_initializing():
                for kept, new in zip((mean, variance), now, strict=True):
                    kept.value = self.momentum * kept.value + (1 - self.momentum) * new
        return _normalized(values, now[0], jax.lax.rsqrt(now[1] + self.epsilon), (inputs.ndim - 1,)).astype(self.dtype)


def _normalized(values: jax.Array, mean: jax.Array, scale: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """(Values - mean) times a scale, which have the axes of the values.

    Of statistics with axes of length 1, as linen's, XLA:CPU makes different things in a pass with gradients and in one
    without, and two passes over the same images do not become one.
    """
    mean, scale = (jax.lax.broadcast_in_dim(one, values.shape, axes) for one in (mean, scale))
    return (values - mean) * scale


def _batch(inputs, *, train, momentum, epsilon, axis_name, affine, dtype):
    if not affine:
        return BatchNorm(momentum, epsilon, axis_name, dtype)(inputs, train=train)
    options = {'momentum': momentum, 'epsilon': epsilon, 'use_scale': affine, 'use_bias': affine}
    return nn.BatchNorm(not train, dtype=dtype, axis_name=axis_name, **options)(inputs)


def _layer(inputs, *, epsilon, affine, dtype, **_):
    options = {'epsilon': epsilon, 'use_scale': affine, 'use_bias': affine}
    return nn.LayerNorm(dtype=dtype, reduction_axes=range(1, inputs.ndim), **options)(inputs)


def _instance(inputs, *, epsilon, affine, dtype, **_):
    if inputs.ndim < 3:
        raise UserError('Instance normalisation is for images; choose batch or layer normalisation for vectors.')
    if affine:
        return nn.InstanceNorm(epsilon=epsilon, dtype=dtype)(inputs)
    values, space = inputs.astype(jnp.float32), tuple(range(1, inputs.ndim - 1))
    mean, square = values.mean(space), jnp.square(values).mean(space)
    scale = jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0.0) + epsilon)
    return _normalized(values, mean, scale, (0, inputs.ndim - 1)).astype(dtype)


def _virtual(inputs, *, epsilon, affine, dtype, **_):
    return VirtualBatchNorm(epsilon, affine, dtype)(inputs)


def _pixel(inputs, *, dtype, **_):
    values = inputs.astype(jnp.float32)
    return (values * jax.lax.rsqrt((values**2).mean(-1, keepdims=True) + 1e-8)).astype(dtype)


def _none(inputs, **_):
    return inputs


NORMALIZATIONS: dict[str, Callable[..., jax.Array]] = {
    'batch': _batch,
    'layer': _layer,
    'instance': _instance,
    'virtual': _virtual,
    'pixel': _pixel,
    'none': _none,
    'spectral': _none,
}
