"""Layers that show a discriminator the complete batch, against mode collapse.

They mix examples, so a gradient penalty, which uses the gradient of each example's own logit, is not exact with them.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.layers.choices import require
from gan_jax.layers.linear import Dense


def minibatch_deviation(
    inputs: jax.Array, group_size: int = 4, num_features: int = 1, axis_name: str | None = None
) -> jax.Array:
    """Appends the mean standard deviation of groups of examples as constant channels.

    Karras et al. 2018, "Progressive Growing of GANs", section 3; groups and several features are those of StyleGAN
    (Karras et al. 2019). The deviation (its variance biased, plus 1e-8) of every value over the group is averaged over
    space and over the channels of each feature.

    Args:
        inputs: [B, ..., C]; under `pmap`, one device's share.
        group_size: examples of a group, at consecutive positions; 0: the whole global batch is one group.
        num_features: F, the number of runs of C / F channels that get a mean of their own.
        axis_name: the mapped axis of the batch; only the group of all examples reaches over it.

    Returns:
        [B, ..., C + F].

    Raises:
        UserError: the batch cannot be divided into groups, or the channels into features; the inputs have no channels.
    """
    require(inputs.ndim >= 2, 'The shape of inputs of the minibatch standard deviation', inputs.shape, '[B, ..., C]')
    require(group_size >= 0, 'The group size of the minibatch standard deviation', group_size, 'at least 0')
    require(num_features >= 1, 'The number of features of the minibatch standard deviation', num_features, 'at least 1')
    batch, channels = len(inputs), inputs.shape[-1]
    size = group_size or batch
    if batch % size:
        raise UserError(
            f'A batch of {batch} (on one device) cannot be divided into groups of {size} for the minibatch standard '
            'deviation: choose a group size that divides it, or 0 for the whole batch.'
        )
    if channels % num_features:
        raise UserError(
            f'{channels} channels cannot be divided into {num_features} features of the minibatch standard deviation: '
            f'choose a number that divides {channels}.'
        )
    space = math.prod(inputs.shape[1:-1])
    groups = inputs.astype(jnp.float32).reshape(-1, size, space, num_features, channels // num_features)

    def mean(values: jax.Array) -> jax.Array:
        return global_batch.mean(values.mean(1, keepdims=True), None if group_size else axis_name)

    deviation = jnp.sqrt(mean((groups - mean(groups)) ** 2) + 1e-8).mean((1, 2, 4)).repeat(size, 0)
    deviation = deviation.reshape(batch, *(1,) * (inputs.ndim - 2), num_features)
    constant = jnp.broadcast_to(deviation, (*inputs.shape[:-1], num_features))
    return jnp.concatenate([inputs, constant.astype(inputs.dtype)], axis=-1)


class MinibatchDiscrimination(nn.Module):
    """Appends the similarity of each example to all examples of the batch: [B, n] -> [B, n + kernels].

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.2. With the rows M_ib [dims] of the
    inputs times a learnt tensor [n, kernels x dims], feature b of example i is the sum over all j of
    exp(-|M_ib - M_jb|_1). As in the paper j = i is among them: a constant 1.

    Attributes:
        kernels: features appended.
        dims: number of dimensions of the space of each, in which distances are taken.
        axis_name: the mapped axis of the batch, or None: the sum is over the whole global batch.
        kernel_init: initialiser of the tensor.
        spectral_iterations: power iterations of spectral normalisation of the tensor in a training call; 0: none.
    """

    kernels: int = 50
    dims: int = 5
    axis_name: str | None = None
    kernel_init: Initializer = nn.initializers.normal(0.02)
    spectral_iterations: int = 0

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False) -> jax.Array:
        """The inputs with the appended features; raises a UserError for inputs that are not vectors."""
        what = 'The shape of inputs of minibatch discrimination'
        require(inputs.ndim == 2, what, inputs.shape, '[B, n]: flatten them')
        tensor = Dense(
            self.kernels * self.dims,
            use_bias=False,
            kernel_init=self.kernel_init,
            spectral_iterations=self.spectral_iterations,
            name='tensor',
        )
        rows = tensor(inputs, train=train).reshape(-1, self.kernels, self.dims)
        others = global_batch.gather(rows, global_batch.axis_of(self))
        # XLA:CPU is several times slower when the last axis is short: pairs of examples come last, and the sum over the
        # few dimensions is unrolled.
        rows, others = rows.transpose(1, 2, 0), others.transpose(1, 2, 0)
        distances = sum(jnp.abs(rows[:, i, :, None] - others[:, i, None]) for i in range(self.dims))
        return jnp.concatenate([inputs, jnp.exp(-distances).sum(-1).T.astype(inputs.dtype)], axis=-1)
