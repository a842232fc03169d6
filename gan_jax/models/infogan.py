"""The networks of InfoGAN for MNIST (Chen et al. 2016, appendix C.1), and the recognition head of any discriminator.

Sizes follow from the shape of the images, whose sides are multiples of 4: both networks have two stages of strided
convolutions, and a dense layer at the remaining size. As published every layer but the first and the last is batch
normalised. They were made for pixels in [0, 1]; the generator's sigmoid is scaled to [-1, 1].
"""

import math
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, flatten
from gan_jax.layers.normalization import normalize, normalizer, replaces_bias
from gan_jax.layers.resampling import downsample, upsample
from gan_jax.ranges import COUNT

_SLOPE = 0.1


class Generator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape] in (-1, 1), float32.

    Attributes:
        shape: (H, W, C) of an image; H and W are multiples of 4.
        width: channels of the stage at half the size; there are twice as many at a quarter of it.
        hidden: units of the first layer.
    """

    width: Annotated[int, COUNT] = 64
    hidden: Annotated[int, COUNT] = 1024
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        require_positive(self, 'width', 'hidden')
        base = (*_quarter(self.shape), 2 * self.width)
        latents, condition = self.take(latents, condition, train=train)
        weights, normalize = weight_options(self), normalizer(self, condition)
        use_bias = not replaces_bias(self.normalization, condition)
        convolution = {'kernel_size': 4, 'train': train, **weights}
        values = latents
        for size in (self.hidden, math.prod(base)):
            values = Dense(size, use_bias=use_bias, **weights)(values, train=train)
            values = nn.relu(normalize(values, train=train))
        values = upsample('transposed', values.reshape(-1, *base), self.width, use_bias=use_bias, **convolution)
        values = nn.relu(normalize(values, train=train))
        images = upsample('transposed', values, self.shape[-1], **convolution)
        return 2 * nn.sigmoid(images.astype(jnp.float32)) - 1


class Discriminator(DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and 'dense'.

    Attributes:
        width: channels of the first stage; the second has twice as many.
        hidden: units of the dense layer.
    """

    width: Annotated[int, COUNT] = 64
    hidden: Annotated[int, COUNT] = 1024
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        require_positive(self, 'width', 'hidden')
        _quarter(images.shape[1:])
        weights, normalize = weight_options(self), normalizer(self)
        use_bias = not replaces_bias(self.normalization)
        convolution = {'kernel_size': 4, 'train': train, **weights}
        features, values = {}, self.see(images, condition)
        values = downsample('strided', values, self.width, **convolution)
        features['stage0'] = values = nn.leaky_relu(values, _SLOPE)
        values = downsample('strided', values, 2 * self.width, use_bias=use_bias, **convolution)
        features['stage1'] = values = nn.leaky_relu(normalize(values, train=train), _SLOPE)
        values = Dense(self.hidden, use_bias=use_bias, **weights)(flatten(values), train=train)
        features['dense'] = values = nn.leaky_relu(normalize(values, train=train), _SLOPE)
        return self.judgement(values, condition, features, train=train)


class Recognizing(nn.Module):
    """A discriminator with a recognition head on its last features: a hidden layer and the outputs.

    Attributes:
        discriminator: examples -> a `Judgement` with features.
        outputs: number of outputs of the head, `Judgement.codes`.
        width: units of its hidden layer, which is batch normalised.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    discriminator: nn.Module
    outputs: int
    width: int = 128
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, examples: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the discriminator, with codes."""
        judged = self.discriminator(examples, train=train)
        if not isinstance(judged, Judgement) or not judged.features:
            raise UserError('InfoGAN recognises codes from features: return a Judgement with features.')
        *_, last = judged.features.values()
        hidden = Dense(self.width, use_bias=False, dtype=self.dtype, name='hidden')(flatten(last))
        hidden = normalize('batch', hidden, train=train, axis_name=self.axis_name, dtype=self.dtype)
        codes = Dense(self.outputs, name='codes')(nn.leaky_relu(hidden, _SLOPE).astype(jnp.float32))
        return judged._replace(codes=codes)


def _quarter(shape: tuple[int, ...]) -> tuple[int, int]:
    """A quarter of the sides of images of shape (H, W, C)."""
    if len(shape) != 3 or any(side % 4 for side in shape[:2]):
        raise UserError(
            f'The networks of InfoGAN are for images (H, W, C) whose sides are multiples of 4, not {tuple(shape)}: set '
            'data.size, or choose another model.'
        )
    return shape[0] // 4, shape[1] // 4
