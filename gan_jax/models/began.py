"""The networks of BEGAN: a decoder as generator, an autoencoder as discriminator.

Berthelot et al. 2017, "BEGAN: Boundary Equilibrium Generative Adversarial Networks", section 3.5: 3x3 convolutions with
exponential linear units, without normalisation. Height and width are halved as long as both stay even numbers of at
least 7: 64 is 8 in three halvings, 28 is 7 in two, 16 is 8 in one.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.initializers import initializer
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.networks import flatten
from gan_jax.models.dcgan import count_stages, image_shape
from gan_jax.ranges import COUNT

ENERGIES = True
"""The discriminator's logits are minus energies of at least 0, which the losses `margin` and `equilibrium` need."""

SMALLEST_BASE = 7


class Generator(nn.Module):
    """Codes or latents [B, n] -> images [B, *shape], float32, without a bound; data are in [-1, 1].

    A dense layer to the base, then for each size `repeats` convolutions, and between sizes nearest-neighbour
    up-sampling. A last convolution makes the image.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of every layer, the paper's n.
        repeats: convolutions of each size.
        initializer: initializer of the weights, as in `gan_jax.layers.initializers`.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the devices, which no layer needs.
    """

    shape: tuple[int, ...]
    width: Annotated[int, COUNT] = 64
    repeats: Annotated[int, COUNT] = 2
    initializer: str = 'xavier'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        del train
        require_positive(self, 'width', 'repeats')
        height, width, channels = image_shape(self.shape, 'BEGAN')
        stages = count_stages(self.shape, 'BEGAN', SMALLEST_BASE)
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        base = height >> stages, width >> stages, self.width
        images = Dense(base[0] * base[1] * base[2], **weights)(latents).reshape(-1, *base)
        for stage in range(stages + 1):
            for repeat in range(self.repeats):
                images = nn.elu(Conv(self.width, doubling=stage > 0 and repeat == 0, **weights)(images))
        return Conv(channels, **weights)(images).astype(jnp.float32)


class Discriminator(nn.Module):
    """Images [B, H, W, C] -> judgement whose logits are minus the reconstruction errors, with the feature 'code'.

    The error of an image is its mean absolute difference from its reconstruction, over pixels and channels (equation 1
    with the exponent 1, divided by their number). The encoder has `repeats` convolutions of each size, with `width`
    channels more after each halving by a strided convolution. Dense layers without a non-linearity lead to the code
    [B, code_size] and from it; the decoder is a `Generator` with its own weights.

    Attributes:
        width: channels at the image's size, and of the decoder.
        repeats: convolutions of each size.
        code_size: the paper's N_h.
        initializer: as in the generator.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis of the devices, which no layer needs.
    """

    width: Annotated[int, COUNT] = 64
    repeats: Annotated[int, COUNT] = 2
    code_size: Annotated[int, COUNT] = 64
    initializer: str = 'xavier'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        require_positive(self, 'width', 'repeats', 'code_size')
        shape = image_shape(images.shape[1:], 'BEGAN')
        weights = {'kernel_init': initializer(self.initializer), 'dtype': self.dtype}
        hidden = nn.elu(Conv(self.width, **weights)(images))
        for stage in range(count_stages(shape, 'BEGAN', SMALLEST_BASE) + 1):
            width = self.width * (stage + 1)
            hidden = nn.elu(Conv(width, stride=2, **weights)(hidden)) if stage else hidden
            for _ in range(self.repeats):
                hidden = nn.elu(Conv(width, **weights)(hidden))
        code = Dense(self.code_size, **weights)(flatten(hidden))
        decoder = Generator(shape, self.width, self.repeats, self.initializer, self.dtype, name='decoder')
        errors = jnp.abs(decoder(code, train=train) - images.astype(jnp.float32))
        return Judgement(-errors.mean((1, 2, 3)), features={'code': code})
