"""The networks of EBGAN: the generator of DCGAN, and a convolutional autoencoder as discriminator.

Zhao et al. 2017, "Energy-based Generative Adversarial Networks", section 4: strided convolutions of size 4 encode an
image, transposed ones decode it. In the paper's notation the autoencoder of 64x64 images is
(64)4c2s-(128)4c2s-(256)4c2s and (128)4c2s-(64)4c2s-(3)4c2s.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require_positive
from gan_jax.layers.linear import Conv, ConvTranspose, weight_options
from gan_jax.layers.networks import flatten
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.models import dcgan
from gan_jax.ranges import COUNT, SHARE, Range

ENERGIES = True  # as in `gan_jax.models.began`

Generator = dcgan.Generator


class Discriminator(nn.Module):
    """Images [B, H, W, C] -> judgement whose logits are minus the reconstruction errors, with the feature 'code'.

    The error of an image is the Euclidean distance between it and its reconstruction, over all values (section 2.3).
    Each layer but the first and the last is normalised, and all but the last have LeakyReLU 0.2. The code is what the
    encoder leaves: [B, H / 8, W / 8, 256] as published.

    Attributes:
        width: channels after the first halving; they double with each further one.
        halvings: strided convolutions of the encoder; small images have as many as DCGAN's networks.
        normalization: normalization of the activations, as in `gan_jax.layers.normalization.normalize`; 'spectral': of
            all weights instead.
        spectral_iterations: power iterations of spectral normalisation beside it; 0: none, or 1 for 'spectral'.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights, as in `gan_jax.layers.initializers`.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    width: Annotated[int, COUNT] = 64
    halvings: Annotated[int, COUNT] = 3
    normalization: str = 'batch'
    spectral_iterations: Annotated[int, Range(0, 100)] = 0
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        require_positive(self, 'width', 'halvings')
        shape = dcgan.image_shape(images.shape[1:], 'EBGAN')
        widths = [self.width << i for i in range(min(self.halvings, dcgan.count_stages(shape, 'EBGAN')))]
        weights, normalize = weight_options(self), normalizer(self)

        def resized(layer: type[Conv | ConvTranspose], hidden: jax.Array, width: int, *, first: bool) -> jax.Array:
            use_bias = first or not replaces_bias(self.normalization)
            hidden = layer(width, kernel_size=4, stride=2, use_bias=use_bias, **weights)(hidden, train=train)
            return nn.leaky_relu(hidden if first else normalize(hidden, train=train), 0.2)

        code = images
        for i, width in enumerate(widths):
            code = resized(Conv, code, width, first=i == 0)
        hidden = code
        for width in widths[-2::-1]:
            hidden = resized(ConvTranspose, hidden, width, first=False)
        decoded = ConvTranspose(shape[-1], kernel_size=4, stride=2, **weights)(hidden, train=train)
        errors = flatten(decoded.astype(jnp.float32) - images.astype(jnp.float32))
        return Judgement(-jnp.sqrt(jnp.sum(errors**2, axis=1) + 1e-12), features={'code': code})
