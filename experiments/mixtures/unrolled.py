"""Networks and loss of unrolled GAN's ring, as a family: `model=experiments.mixtures.unrolled`.

Metz et al. 2017, "Unrolled Generative Adversarial Networks", appendix A. Its ring has radius 2 and deviation 0.02, the
one of `gan_jax.data` half of both. So the generator's points are halved here and the discriminator doubles them, which
leaves the gradients of all parameters as they are.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import losses
from gan_jax.losses import Logits, Loss

_ORTHOGONAL = nn.initializers.orthogonal(0.8)
_HALF = 0.5


class Generator(nn.Module):
    """Latents [B, n] -> points [B, *shape]: hidden layers with ReLU, and a linear one.

    Attributes:
        shape: shape of one example.
        widths: widths of the hidden layers.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128)
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool = False) -> jax.Array:
        """The points."""
        for width in self.widths:
            latents = nn.relu(nn.Dense(width, kernel_init=_ORTHOGONAL, dtype=self.dtype)(latents))
        points = nn.Dense(math.prod(self.shape), kernel_init=_ORTHOGONAL)(latents)
        return _HALF * points.reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """Points [B, n] -> logits [B]: a quarter of the published points, a hidden layer with ReLU, and a linear one.

    Attributes:
        width: width of the hidden layer.
    """

    width: int = 128
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, points: jax.Array, *, train: bool = False) -> jax.Array:
        """The logits."""
        points = points / _HALF / 4
        hidden = nn.relu(nn.Dense(self.width, kernel_init=_ORTHOGONAL, dtype=self.dtype)(points))
        return nn.Dense(1, kernel_init=_ORTHOGONAL)(hidden)[:, 0]


def zero_sum() -> Loss:
    """The minimax game whose generator minimises log D(x) + log(1 - D(G(z))).

    The first term depends on the generator where the discriminator is unrolled, and not otherwise.
    """
    minimax = losses.minimax()

    def generator(fake: Logits, real: Logits) -> jax.Array:
        return -minimax.discriminator(real, fake)

    return minimax._replace(generator=generator, generator_sees_real=True)
