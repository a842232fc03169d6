"""Spectral normalisation of weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class SpectralNormalization(nn.Module):
    """Divides a kernel by its largest singular value, estimated by power iteration.

    Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1. The matrix is the
    kernel [..., D] reshaped to [-1, D]. The collection 'spectral' keeps the estimate of the right singular vector, `u`
    [D], from which every call iterates; it moves on when `train` is true and the collection is mutable. The singular
    value is that of the last iteration's two vectors. These are constants to the gradient, the singular value is not
    (equation 12).

    Attributes:
        iterations: power iterations for each call.
        epsilon: added to norms.
    """

    iterations: int = 1
    epsilon: float = 1e-12

    @nn.compact
    def __call__(self, kernel: jax.Array, *, train: bool) -> jax.Array:
        """The kernel [..., D], float32, with spectral norm 1 once the vector has converged."""
        matrix = kernel.reshape(-1, kernel.shape[-1])
        right = self.variable(
            'spectral', 'u', lambda: self._unit(jax.random.normal(self.make_rng('params'), matrix.shape[-1:]))
        )
        constant = lax.stop_gradient(matrix)
        # In evaluation the vector may be a moving average: shorter than 1, and not the singular vector of the averaged
        # kernel. It is therefore normalised and iterated there, too.
        vector = self._unit(right.value)
        for _ in range(self.iterations):
            left = self._unit(constant @ vector)
            vector = self._unit(left @ constant)
        if train and self.is_mutable_collection('spectral') and not self.is_initializing():
            right.value = vector
        # Not a division: XLA:CPU compiles it differently with and without gradients, and then does not merge two passes
        # over the same images.
        return kernel * (1 / (left @ (matrix @ vector) + self.epsilon))

    def _unit(self, vector: jax.Array) -> jax.Array:
        return vector / (jnp.linalg.norm(vector) + self.epsilon)
