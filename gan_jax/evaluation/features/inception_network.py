"""Inception-v3 of 2015-12-05, the network of the Inception Score and of FID.

It differs from Inception-v3 as others have it: 1008 outputs; average pools that do not count the padding; and in the
last block a maximum pool in the place of the average. Szegedy et al. 2016, "Rethinking the Inception Architecture for
Computer Vision"; used by Salimans et al. 2016 (Inception Score) and Heusel et al. 2017 (FID). Here each batch norm is
folded into the convolution before it.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Array = jax.Array
Window = tuple[int, int]

NAME = 'inception-v3-2015-12-05'
TAPS = (64, 192, 768, 2048)


class Inception(nn.Module):
    """The network, up to one of its taps.

    Attributes:
        tap: the number of features at the last tap that is wanted, of `TAPS`.
        dtype: what it computes in; means over space and logits are float32.

    Its parameters are {name: {'kernel', 'bias'}} by the published names of the layers ('Mixed_5b.branch1x1'), as
    `folded` makes them, with kernels [height, width, in, out].
    """

    tap: int = 2048
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Array) -> dict[str, Array]:
        """From images [n, 299, 299, 3], normalised, to all that there is up to the tap.

        Returns:
            '64', '192', '768' and '2048', float32 [n, D], means over space; and with tap 2048 'logits_unbiased' and
            'logits', float32 [n, 1008], without and with the last layer's bias.
        """
        taps = {}
        x = self.conv('Conv2d_1a_3x3', images.astype(self.dtype), 32, (3, 3), stride=2)
        x = self.conv('Conv2d_2a_3x3', x, 32, (3, 3), padding='VALID')
        x = max_pool(self.conv('Conv2d_2b_3x3', x, 64, (3, 3)))
        taps['64'] = _mean(x)
        if self.tap == 64:
            return taps
        x = self.conv('Conv2d_3b_1x1', x, 80)
        x = max_pool(self.conv('Conv2d_4a_3x3', x, 192, (3, 3), padding='VALID'))
        taps['192'] = _mean(x)
        if self.tap == 192:
            return taps
        x = self.block_35('Mixed_5b', x, pool_width=32)
        x = self.block_35('Mixed_5c', x, pool_width=64)
        x = self.block_35('Mixed_5d', x, pool_width=64)
        x = self.reduction_17('Mixed_6a', x)
        x = self.block_17('Mixed_6b', x, width=128)
        x = self.block_17('Mixed_6c', x, width=160)
        x = self.block_17('Mixed_6d', x, width=160)
        x = self.block_17('Mixed_6e', x, width=192)
        taps['768'] = _mean(x)
        if self.tap == 768:
            return taps
        x = self.reduction_8('Mixed_7a', x)
        x = self.block_8('Mixed_7b', x, average_pool)
        x = self.block_8('Mixed_7c', x, functools.partial(max_pool, stride=1, padding=1))
        taps['2048'] = x = _mean(x)
        kernel, bias = self.weights('fc', (x.shape[-1], 1008))
        taps['logits_unbiased'] = jnp.matmul(x, kernel, precision='highest')
        taps['logits'] = taps['logits_unbiased'] + bias
        return taps

    def block_35(self, name: str, x: Array, pool_width: int) -> Array:
        """5b, 5c, 5d, at 35x35."""
        one, five, double, pool = self.heads(
            name, x, {'branch1x1': 64, 'branch5x5_1': 48, 'branch3x3dbl_1': 64, 'branch_pool': pool_width}
        )
        five = self.conv(f'{name}.branch5x5_2', five, 64, (5, 5))
        double = self.conv(f'{name}.branch3x3dbl_2', double, 96, (3, 3))
        double = self.conv(f'{name}.branch3x3dbl_3', double, 96, (3, 3))
        return jnp.concatenate([one, five, double, pool], axis=-1)

    def reduction_17(self, name: str, x: Array) -> Array:
        """6a, from 35x35 to 17x17."""
        three = self.conv(f'{name}.branch3x3', x, 384, (3, 3), stride=2)
        double = self.conv(f'{name}.branch3x3dbl_1', x, 64)
        double = self.conv(f'{name}.branch3x3dbl_2', double, 96, (3, 3))
        double = self.conv(f'{name}.branch3x3dbl_3', double, 96, (3, 3), stride=2)
        return jnp.concatenate([three, double, max_pool(x)], axis=-1)

    def block_17(self, name: str, x: Array, width: int) -> Array:
        """6b, 6c, 6d, 6e, at 17x17."""
        one, seven, double, pool = self.heads(
            name, x, {'branch1x1': 192, 'branch7x7_1': width, 'branch7x7dbl_1': width, 'branch_pool': 192}
        )
        seven = self.conv(f'{name}.branch7x7_2', seven, width, (1, 7))
        seven = self.conv(f'{name}.branch7x7_3', seven, 192, (7, 1))
        double = self.conv(f'{name}.branch7x7dbl_2', double, width, (7, 1))
        double = self.conv(f'{name}.branch7x7dbl_3', double, width, (1, 7))
        double = self.conv(f'{name}.branch7x7dbl_4', double, width, (7, 1))
        double = self.conv(f'{name}.branch7x7dbl_5', double, 192, (1, 7))
        return jnp.concatenate([one, seven, double, pool], axis=-1)

    def reduction_8(self, name: str, x: Array) -> Array:
        """7a, from 17x17 to 8x8."""
        three, seven = self.heads(name, x, {'branch3x3_1': 192, 'branch7x7x3_1': 192})
        three = self.conv(f'{name}.branch3x3_2', three, 320, (3, 3), stride=2)
        seven = self.conv(f'{name}.branch7x7x3_2', seven, 192, (1, 7))
        seven = self.conv(f'{name}.branch7x7x3_3', seven, 192, (7, 1))
        seven = self.conv(f'{name}.branch7x7x3_4', seven, 192, (3, 3), stride=2)
        return jnp.concatenate([three, seven, max_pool(x)], axis=-1)

    def block_8(self, name: str, x: Array, pool: Callable[[Array], Array]) -> Array:
        """7b and 7c, at 8x8."""
        one, three, double = self.heads(name, x, {'branch1x1': 320, 'branch3x3_1': 384, 'branch3x3dbl_1': 448})
        double = self.conv(f'{name}.branch3x3dbl_2', double, 384, (3, 3))
        forks = [
            self.conv(f'{name}.{fork}{side}', branch, 384, window)
            for fork, branch in (('branch3x3_2', three), ('branch3x3dbl_3', double))
            for side, window in (('a', (1, 3)), ('b', (3, 1)))
        ]
        pooled = self.conv(f'{name}.branch_pool', pool(x), 192)
        return jnp.concatenate([one, *forks, pooled], axis=-1)

    def weights(self, name: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Kernel and bias of a layer; zeros at `init`, for this network is never trained here."""
        layer = self.param(name, lambda _: {'kernel': jnp.zeros(shape), 'bias': jnp.zeros(shape[-1:])})
        return layer['kernel'], layer['bias']

    def conv(
        self, name: str, x: Array, width: int, window: Window = (1, 1), stride: int = 1, padding: str | None = None
    ) -> Array:
        """A convolution and its ReLU; without a given padding, 'SAME' at stride 1 and 'VALID' at stride 2."""
        kernel, bias = self.weights(name, (*window, x.shape[-1], width))
        return nn.relu(_convolve(x, kernel, bias, stride, padding or ('SAME' if stride == 1 else 'VALID')))

    def heads(self, name: str, x: Array, widths: Mapping[str, int]) -> list[Array]:
        """The 1x1 convolutions at the head of a block's branches, as one, with their ReLUs.

        'branch_pool' averages its input in the paper. Averaging and a 1x1 convolution commute, bias included, so that
        it is done to the fewer channels of the output.
        """
        layers = [self.weights(f'{name}.{branch}', (1, 1, x.shape[-1], width)) for branch, width in widths.items()]
        kernel, bias = (jnp.concatenate(parts, axis=-1) for parts in zip(*layers, strict=True))
        outputs = jnp.split(_convolve(x, kernel, bias), np.cumsum(list(widths.values()))[:-1], axis=-1)
        return [
            nn.relu(average_pool(output) if branch == 'branch_pool' else output)
            for branch, output in zip(widths, outputs, strict=True)
        ]


def parameter_shapes(tap: int = 2048) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of the network's parameters, {name: {'kernel', 'bias'}}."""
    images = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    parameters = jax.eval_shape(Inception(tap).init, jax.ShapeDtypeStruct((2,), jnp.uint32), images)['params']
    return jax.tree.map(lambda leaf: leaf.shape, parameters)


def average_pool(x: Array) -> Array:
    """3x3 average at stride 1; padding is not counted."""
    counts = [np.minimum(np.minimum(np.arange(size), np.arange(size)[::-1]) + 2, min(size, 3)) for size in x.shape[1:3]]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return _reduce_3x3(padded, jnp.add, 1) / np.multiply.outer(*counts)[:, :, None].astype(x.dtype)


def max_pool(x: Array, stride: int = 2, padding: int = 0) -> Array:
    """3x3 maximum."""
    padded = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=-jnp.inf)
    return _reduce_3x3(padded, jnp.maximum, stride)


def _reduce_3x3(x: Array, combine: Callable[[Array, Array], Array], stride: int) -> Array:
    """Combines 3 rows and 3 columns; by slices, which XLA:CPU fuses and its own windows are not."""
    for axis in (1, 2):
        extent = (x.shape[axis] - 3) // stride * stride + 1
        slices = [jax.lax.slice_in_dim(x, start, start + extent, stride, axis) for start in range(3)]
        x = functools.reduce(combine, slices)
    return x


def _convolve(x: Array, kernel: Array, bias: Array, stride: int = 1, padding: str = 'VALID') -> Array:
    numbers = ('NHWC', 'HWIO', 'NHWC')
    products = jax.lax.conv_general_dilated(
        x, kernel.astype(x.dtype), (stride, stride), padding, dimension_numbers=numbers, precision='highest'
    )
    return products + bias.astype(x.dtype)


def _mean(x: Array) -> Array:
    return x.astype(jnp.float32).mean(axis=(1, 2))
