"""Weight normalisation: weight vectors as a length times a direction."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer


class WeightNormDense(nn.Module):
    """An affine map [..., C] -> [..., D] with weights w_j = scale_j kernel_j / |kernel_j| for each output j.

    Salimans and Kingma 2016, "Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural
    Networks", equation 2. With `from_data` the scale and the bias start such that every output has mean 0 and standard
    deviation 1 over the inputs that the layer is initialised with (equations 5 and 6). An output that is constant over
    these gets mean 0 and the scale 1.

    Attributes:
        features: D.
        from_data: whether scale and bias start from the inputs; else they start at 1 and 0.
        learn_scale: whether the scale is a parameter; else it stays as it started, among the variables 'scales'.
        kernel_init: initialiser of the float32 kernel [C, D].
        dtype: dtype of the arithmetic and of the outputs.
    """

    features: int
    from_data: bool = True
    learn_scale: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.1)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """The outputs."""
        kernel = self.param('kernel', self.kernel_init, (inputs.shape[-1], self.features))
        direction = kernel * jax.lax.rsqrt((kernel**2).sum(0))

        def start() -> tuple[jax.Array, jax.Array]:
            if not self.from_data:
                return jnp.ones(self.features), jnp.zeros(self.features)
            outputs = inputs.reshape(-1, inputs.shape[-1]).astype(jnp.float32) @ direction
            mean, deviation = outputs.mean(0), outputs.std(0)
            scale = jnp.where(deviation > 0, 1 / deviation, 1.0)
            return scale, -mean * scale

        if self.learn_scale:
            scale = self.param('scale', lambda key: start()[0])
        else:
            scale = self.variable('scales', 'scale', lambda: start()[0]).value
        bias = self.param('bias', lambda key: start()[1])
        return inputs.astype(self.dtype) @ (scale * direction).astype(self.dtype) + bias.astype(self.dtype)
