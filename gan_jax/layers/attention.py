"""Self-attention over the pixels of an image.

Zhang et al. 2019, "Self-Attention Generative Adversarial Networks", https://arxiv.org/abs/1805.08318, section 3, in the
form of the authors' code, also used by BigGAN: keys and values are pooled, and the products are not divided by a root.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gan_jax.errors import UserError
from gan_jax.layers.linear import Conv
from gan_jax.layers.resampling import max_pool


class SelfAttention(nn.Module):
    """Images [B, H, W, C] plus gamma times the attention output of each pixel; gamma is learnt and starts at 0.

    A pixel's query [C / 8] is compared with the keys [C / 8] of all 2x2 blocks, and the softmax over the blocks weights
    their values [C / 2]. All four maps are 1x1 convolutions without bias; keys and values are the largest of each
    block. An odd last row or column has no block.

    Attributes:
        kernel_init: initialiser of the four kernels.
        spectral_iterations: power iterations of their spectral normalisation in a training call; 0: not normalised.
        dtype: dtype of the arithmetic and of the outputs; the softmax is float32.
    """

    kernel_init: Initializer = nn.initializers.normal(0.02)
    spectral_iterations: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """The outputs [B, H, W, C]; raises a UserError if the images have too few channels or pixels."""
        batch, height, width, channels = images.shape
        if channels < 8 or min(height, width) < 2:
            raise UserError(
                f'Self-attention needs at least 8 channels and 2x2 pixels, but gets {channels} channels of '
                f'{height}x{width} pixels: choose larger widths or another resolution.'
            )

        def projection(name: str, features: int, values: jax.Array) -> jax.Array:
            options = {name: getattr(self, name) for name in ('kernel_init', 'spectral_iterations', 'dtype')}
            return Conv(features, kernel_size=1, use_bias=False, name=name, **options)(values, train=train)

        def pixels(values: jax.Array) -> jax.Array:
            return values.reshape(batch, -1, values.shape[-1])

        queries = pixels(projection('query', channels // 8, images))
        keys = pixels(max_pool(projection('key', channels // 8, images)))
        values = pixels(max_pool(projection('value', channels // 2, images)))
        weights = nn.softmax(jnp.einsum('bqc,bkc->bqk', queries, keys).astype(jnp.float32), axis=-1)
        read = jnp.einsum('bqk,bkc->bqc', weights.astype(self.dtype), values).reshape(batch, height, width, -1)
        gamma = self.param('gamma', nn.initializers.zeros, ()).astype(self.dtype)
        return images.astype(self.dtype) + gamma * projection('output', channels, read)
