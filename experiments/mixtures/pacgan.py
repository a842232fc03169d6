"""The networks of PacGAN's experiments on mixtures of Gaussians, as a family: `model=experiments.mixtures.pacgan`.

Lin et al. 2018, "PacGAN", as in the authors' code (github.com/fjxmlzn/PacGAN, synthetic_data_experiments).
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

_NORMAL = nn.initializers.normal(0.02)


class Generator(nn.Module):
    """Latents [B, n] -> points [B, *shape]: hidden layers with batch normalisation and ReLU, and a linear one.

    Attributes:
        shape: shape of one example.
        widths: widths of the hidden layers.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (400, 400, 400, 400)
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool = False) -> jax.Array:
        """The points."""
        for width in self.widths:
            latents = nn.Dense(width, use_bias=False, kernel_init=_NORMAL, dtype=self.dtype)(latents)
            options = {'momentum': 0.95, 'epsilon': 1e-4, 'axis_name': self.axis_name, 'dtype': self.dtype}
            latents = nn.relu(nn.BatchNorm(use_running_average=not train, **options)(latents))
        points = nn.Dense(math.prod(self.shape), kernel_init=_NORMAL)(latents)
        return points.reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """Points, or packs of them, [B, n] -> logits [B]: hidden layers of maxout units (Goodfellow et al. 2013).

    Attributes:
        widths: numbers of maxout units of the hidden layers.
        pieces: linear pieces of each unit.
    """

    widths: tuple[int, ...] = (200, 200, 200)
    pieces: int = 5
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, points: jax.Array, *, train: bool = False) -> jax.Array:
        """The logits."""
        for width in self.widths:
            pieces = nn.Dense(self.pieces * width, kernel_init=_NORMAL, dtype=self.dtype)(points)
            points = pieces.reshape(-1, width, self.pieces).max(-1)
        return nn.Dense(1, kernel_init=_NORMAL)(points)[:, 0]
