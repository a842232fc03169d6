"""StyleGAN: Karras, Laine and Aila 2019, "A Style-Based Generator Architecture for GANs", https://arxiv.org/abs/1812.04948.

A stage doubles the size of the one before it, from the base, as in `gan_jax.models.progan`, and phases of a run grow
both networks as they grow a ProGAN (`earlier_phases`, see configs/stylegan.py).
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.choices import require
from gan_jax.layers.convolution import convolution
from gan_jax.layers.equalized import EqualizedConv, EqualizedDense, check_options
from gan_jax.layers.filters import blur, convolve_nearest
from gan_jax.layers.noise import PlaceNoise
from gan_jax.layers.normalization import normalize
from gan_jax.layers.progress import blended, faded_in
from gan_jax.layers.resampling import interpolate
from gan_jax.layers.styles import StyleGenerator, StyleMapping
from gan_jax.models import progan
from gan_jax.models.dcgan import image_shape
from gan_jax.ranges import COUNT, SHARE

_FAMILY = 'StyleGAN'


class Generator(StyleGenerator):
    """Latents [B, n] -> images [B, *shape], float32, in [-1, 1] by training alone.

    Mapping, mixing, noise and truncation are those of `gan_jax.layers.styles.StyleGenerator`. Tutorials show a simpler
    form of the network: `blur` and `noise_layers` false, `mixing` 0, `rate` 1.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of a stage times its resolution, which is 4 at the base and doubles with each stage.
        max_width: the most channels of a stage.
        widths: channels of the base and of each stage, of more stages than there are perhaps; None: computed.
        blur: whether each doubling of the size is followed by a low-pass filter.
        fade: the share of a phase over which the last stage fades in; 0: it is there from the beginning.
    """

    width: Annotated[int, COUNT] = 16384
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    blur: bool = True
    fade: Annotated[float, SHARE] = 0.0

    def make_synthesis(self) -> nn.Module:
        """The synthesis network."""
        check_options(self)
        require(self.normalization == 'none', 'generator.normalization', self.normalization, f"'none' in a {_FAMILY}")
        levels = progan.count_levels(image_shape(self.shape, _FAMILY), _FAMILY)
        widths = tuple(progan.stage_width(self, stage) for stage in range(levels + 1))
        return _Synthesis(self.shape, widths, self.blur, self.fade, self.noise_options(), self.dtype)

    def make_mapping(self) -> StyleMapping:
        """The mapping."""
        return StyleMapping(self.w_size, self.depth, self.rate, self.embedding_size, version=1)


class Discriminator(progan.Discriminator):
    """The discriminator of `gan_jax.models.progan`; by default it blurs before it halves the size."""

    blur: bool = True


class StyledLayer(nn.Module):
    """Noise, bias, LeakyReLU 0.2 and AdaIN, after a convolution: [B, H, W, C] and w [B, n] -> [B, H', W', features].

    Adaptive instance normalisation (AdaIN; Huang and Belongie 2017) normalises each channel of each image. The scale,
    which starts at 1, and the shift of the channels are affine maps of w (Karras et al. 2019, equation 1).

    Attributes:
        features: channels of the outputs.
        convolve: (images, kernel [3, 3, C, features]) -> images; None: there is no convolution.
        noise: options of `PlaceNoise`; None: there is no noise.
        dtype: dtype of the arithmetic.
    """

    features: int
    convolve: Callable[[jax.Array, jax.Array], jax.Array] | None = convolution
    noise: Mapping[str, Any] | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, w: jax.Array, *, train: bool) -> jax.Array:
        """The outputs."""
        hidden = images.astype(self.dtype)
        if self.convolve is not None:
            options = {'use_bias': False, 'convolve': self.convolve, 'dtype': self.dtype, 'name': 'convolution'}
            hidden = EqualizedConv(self.features, **options)(hidden)
        if self.noise is not None:
            hidden = PlaceNoise(per_channel=True, name='noise', **self.noise)(hidden, train=train)
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        hidden = nn.leaky_relu(hidden + bias.astype(hidden.dtype), 0.2)
        hidden = normalize('instance', hidden, train=train, affine=False, epsilon=1e-8)
        scale, shift = jnp.split(EqualizedDense(2 * self.features, gain=1.0, name='style')(w)[:, None, None], 2, -1)
        return (hidden * (1 + scale) + shift).astype(self.dtype)


class _Synthesis(nn.Module):
    """ws [B, L, n] -> images [B, *shape], float32.

    Attributes:
        shape: shape of an image.
        widths: channels of the base and of each stage.
        blur: as of the generator.
        fade: as of the generator.
        noise: options of `PlaceNoise`; None: there is no noise.
        dtype: dtype of the arithmetic.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...]
    blur: bool
    fade: float
    noise: Mapping[str, Any] | None
    dtype: Any

    @nn.compact
    def __call__(self, styles: jax.Array, *, train: bool) -> jax.Array:
        """The images."""
        last, ws = len(self.widths) - 1, iter(jnp.moveaxis(styles, 1, 0))
        base = self.shape[0] >> last, self.shape[1] >> last, self.widths[0]

        def layer(hidden: jax.Array, stage: int, name: str, **options: Any) -> jax.Array:
            options |= {'noise': self.noise, 'dtype': self.dtype, 'name': f'stage{stage}_{name}'}
            return StyledLayer(self.widths[stage], **options)(hidden, next(ws), train=train)

        def image(hidden: jax.Array, stage: int) -> jax.Array:
            options = {'gain': 1.0, 'kernel_size': 1, 'dtype': self.dtype, 'name': f'image{stage}'}
            return EqualizedConv(self.shape[2], **options)(hidden).astype(jnp.float32)

        constant = self.param('constant', nn.initializers.ones, base)
        hidden = before = jnp.broadcast_to(constant, (styles.shape[0], *base))
        for stage in range(last + 1):
            before = hidden
            hidden = layer(hidden, stage, 'first', convolve=self._double if stage else None)
            hidden = layer(hidden, stage, 'second')
        images = image(hidden, last)
        if not (self.fade and last):
            return images
        return blended(interpolate('nearest', image(before, last - 1)), images, faded_in(self))

    def _double(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        doubled = convolve_nearest(images, kernel)
        return blur(doubled) if self.blur else doubled
