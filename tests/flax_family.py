"""A network family of a stranger's, of Flax's own layers, for tests of what surrounds networks."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp


class Generator(nn.Module):
    """Latents [B, n] -> images of a shape whose sides are even."""

    shape: tuple[int, ...]
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents, *, train=False):
        height, width, channels = self.shape
        hidden = nn.relu(nn.Dense(height * width)(latents)).reshape(-1, height // 2, width // 2, 4)
        return nn.tanh(nn.ConvTranspose(channels, (4, 4), strides=(2, 2))(hidden))


class Discriminator(nn.Module):
    """Images -> logits [B]."""

    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *, train=False):
        hidden = nn.leaky_relu(nn.Conv(4, (4, 4), strides=2)(images))
        return nn.Dense(1)(hidden.reshape(len(images), -1))[:, 0]
