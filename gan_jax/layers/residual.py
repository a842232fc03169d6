"""Residual blocks of generators and discriminators, as in WGAN-GP, SNGAN, cGAN-PD, SAGAN and BigGAN.

Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", appendix F; Miyato et al. 2018, "Spectral Normalization
for Generative Adversarial Networks", appendix B. The 1x1 convolution of a shortcut comes before up-sampling and after
down-sampling, whatever the order in the papers' code: both orders are the same map, and this one is the cheaper.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
from jax.nn.initializers import Initializer

from gan_jax.layers.linear import Conv
from gan_jax.layers.resampling import average_pool, interpolate


class _Block(nn.Module):
    """Common parts of both blocks.

    Attributes:
        features: D, channels of the outputs.
        weights: options of `Conv`.
        branch_init: initialiser of the 3x3 kernels.
        normalize: (inputs, train=...) -> normalised inputs, before a ReLU, as in `gan_jax.layers.normalization`.
    """

    features: int
    weights: Mapping[str, Any]
    branch_init: Initializer
    normalize: Callable[..., jax.Array]

    def layers(self, train: bool) -> tuple[Callable[..., Conv], Callable[[jax.Array], jax.Array]]:
        """(features -> 3x3 convolution), and normalisation with a ReLU."""
        options = {**self.weights, 'kernel_init': self.branch_init}

        def activate(hidden: jax.Array) -> jax.Array:
            return nn.relu(self.normalize(hidden, train=train))

        return functools.partial(Conv, kernel_size=3, **options), activate

    def shortcut(self, images: jax.Array, train: bool) -> jax.Array:
        """A 1x1 convolution to the outputs' channels."""
        return Conv(self.features, kernel_size=1, name='shortcut', **self.weights)(images, train=train)


class UpBlock(_Block):
    """A block of a generator: [B, H, W, C] -> [B, 2 H, 2 W, D].

    Normalisation, ReLU, interpolation, 3x3 convolution, normalisation, ReLU, 3x3 convolution; beside it interpolation
    and a 1x1 convolution.

    Attributes:
        upsampling: 'nearest' or 'bilinear'.
    """

    upsampling: str = 'nearest'

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """The outputs."""
        convolution, activate = self.layers(train)
        hidden, is_nearest = activate(images), self.upsampling == 'nearest'
        hidden = hidden if is_nearest else interpolate(self.upsampling, hidden)
        hidden = activate(convolution(self.features, name='first', doubling=is_nearest)(hidden, train=train))
        hidden = convolution(self.features, name='second')(hidden, train=train)
        return hidden + interpolate(self.upsampling, self.shortcut(images, train))


class DownBlock(_Block):
    """A block of a discriminator: [B, H, W, C] -> [B, H / 2, W / 2, D], or [B, H, W, D].

    Normalisation, ReLU, 3x3 convolution, normalisation, ReLU, 3x3 convolution and, if it halves the image, the average
    of 2x2 blocks; beside it that average and a 1x1 convolution, or the images as they are where the shape stays.

    Attributes:
        hidden: channels between the two convolutions.
        halves: whether it halves the image.
        first: whether it is the network's first: it begins with the convolution, has no normalisation, and always the
            1x1 convolution.
    """

    hidden: int = 0
    halves: bool = True
    first: bool = False

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """The outputs."""
        convolution, activate = self.layers(train)
        hidden = images if self.first else activate(images)
        hidden = convolution(self.hidden, name='first')(hidden, train=train)
        hidden = nn.relu(hidden) if self.first else activate(hidden)
        hidden = convolution(self.features, name='second')(hidden, train=train)
        if self.halves:
            hidden, images = average_pool(hidden), average_pool(images)
        if self.first or self.halves or images.shape[-1] != self.features:
            images = self.shortcut(images, train)
        return hidden + images
