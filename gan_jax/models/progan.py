"""ProGAN: Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs", https://arxiv.org/abs/1710.10196.

A stage doubles the size of the previous one, from the base, as in `gan_jax.models.dcgan`. Networks for images of
another size share the layers of all stages that both have, by name and shape, so that phases of a run grow them
(`earlier_phases`, see configs/progan.py). The layers of the last stage fade in over a share of their phase.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import require
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.equalized import EqualizedConv, EqualizedDense, check_options
from gan_jax.layers.filters import blur, convolve_average
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, flatten
from gan_jax.layers.normalization import normalizer
from gan_jax.layers.progress import blended, faded_in
from gan_jax.layers.resampling import average_pool, interpolate
from gan_jax.models.dcgan import SMALLEST_BASE, count_stages, image_shape
from gan_jax.ranges import COUNT, SHARE


class Generator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape], float32; they are in [-1, 1] by training, as there is no tanh.

    Normalised latents, a dense layer to the base and a 3x3 convolution; for each stage nearest-neighbour up-sampling
    and two 3x3 convolutions; a 1x1 convolution to the image. After each layer but the last LeakyReLU 0.2, and then the
    normalisation. All layers have an equalised learning rate (Karras et al. 2018, table 2).

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of a stage times its resolution, which is 4 at the base and doubles with each stage.
        max_width: maximum number of channels of a stage.
        widths: channels of the base and of each stage (possibly of further stages); None: computed.
        fade: the share of a phase over which the last stage fades in; 0: it is there from the beginning.
    """

    width: Annotated[int, COUNT] = 16384
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    fade: Annotated[float, SHARE] = 0.0
    normalization: str = 'pixel'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        check_options(self)
        height, width, channels = image_shape(self.shape, 'ProGAN')
        stages, options = count_levels(self.shape), {'dtype': self.dtype}
        latents, condition = self.take(latents, condition, train=train)
        normalize = normalizer(self, condition)

        def layer(hidden: jax.Array, stage: int, name: str) -> jax.Array:
            hidden = EqualizedConv(stage_width(self, stage), name=f'stage{stage}_{name}', **options)(hidden)
            return normalize(nn.leaky_relu(hidden, 0.2), train=train)

        def image(hidden: jax.Array, stage: int) -> jax.Array:
            made = EqualizedConv(channels, gain=1.0, kernel_size=1, name=f'image{stage}', **options)(hidden)
            return made.astype(jnp.float32)

        base = height >> stages, width >> stages, stage_width(self, 0)
        gain = 2**0.5 / 4  # as published: the latents' layer starts with a quarter of the usual deviation
        hidden = normalize(latents.astype(self.dtype), train=train)
        hidden = EqualizedDense(base[0] * base[1] * base[2], gain, use_bias=False, name='latents', **options)(hidden)
        bias = self.param('latents_bias', nn.initializers.zeros, base[2:])
        hidden = hidden.reshape(-1, *base) + bias.astype(self.dtype)
        hidden = normalize(nn.leaky_relu(hidden, 0.2), train=train)
        hidden = before = layer(hidden, 0, 'convolution')
        for stage in range(1, stages + 1):
            before, hidden = hidden, interpolate('nearest', hidden)
            hidden = layer(layer(hidden, stage, 'first'), stage, 'second')
        images = image(hidden, stages)
        if not (self.fade and stages):
            return images
        return blended(interpolate('nearest', image(before, stages - 1)), images, faded_in(self))


class Discriminator(DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage1' and so on.

    The mirror of the generator: a 1x1 convolution from the image; for each stage two 3x3 convolutions and the average
    of 2x2 blocks; the minibatch deviation, a 3x3 convolution and two dense layers. LeakyReLU 0.2 and no normalisation.
    With `blur` it is that of StyleGAN: a low-pass filter before the second convolution of each stage, and blocks
    are averaged before its activation.

    Attributes:
        width: channels of a stage times its resolution, as of the generator.
        max_width: maximum number of channels of a stage.
        widths: channels of the base and of each stage, as of the generator.
        fade: the share of a phase over which the first stage fades in; 0: it is there from the beginning.
        blur: whether it is that of StyleGAN.
    """

    width: Annotated[int, COUNT] = 16384
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    fade: Annotated[float, SHARE] = 0.0
    blur: bool = False
    minibatch: str = 'deviation'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        check_options(self)
        require(self.minibatch != 'discrimination', 'discriminator.minibatch', self.minibatch, "'deviation' or 'none'")
        require(
            self.normalization == 'none',
            'discriminator.normalization',
            self.normalization,
            "'none' in a ProGAN or StyleGAN",
        )
        stages = count_levels(image_shape(images.shape[1:], 'ProGAN'))
        options, features = {'dtype': self.dtype}, {}
        seen = self.see(images, condition)

        def layer(hidden: jax.Array, width: int, name: str, **more: Any) -> jax.Array:
            return nn.leaky_relu(EqualizedConv(width, name=name, **options, **more)(hidden), 0.2)

        def halved(hidden: jax.Array, width: int, name: str) -> jax.Array:
            if self.blur:
                return layer(blur(hidden), width, name, convolve=convolve_average)
            return average_pool(layer(hidden, width, name))

        def entrance(seen: jax.Array, stage: int) -> jax.Array:
            return layer(seen, stage_width(self, stage), f'image{stage}', kernel_size=1)

        def final(hidden: jax.Array, outputs: int, train: bool, weights: dict) -> jax.Array:
            del train, weights
            width = stage_width(self, 0)
            hidden = nn.leaky_relu(EqualizedConv(width, name='stage0_convolution')(hidden), 0.2)
            hidden = nn.leaky_relu(EqualizedDense(width, name='stage0_dense')(flatten(hidden)), 0.2)
            return EqualizedDense(outputs, gain=1.0, name='logits')(hidden)

        hidden = entrance(seen, stages)
        for stage in range(stages, 0, -1):
            hidden = layer(hidden, stage_width(self, stage), f'stage{stage}_first')
            hidden = halved(hidden, stage_width(self, stage - 1), f'stage{stage}_second')
            if stage == stages and self.fade:
                hidden = blended(entrance(average_pool(seen), stage - 1), hidden, faded_in(self))
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train, final=final)


def count_levels(shape: Sequence[int], family: str = 'ProGAN') -> int:
    """The number of halvings of an image to the base; 0 if it is the base."""
    return 0 if min(shape[:2]) < 2 * SMALLEST_BASE else count_stages(shape, family)


def stage_width(network: nn.Module, stage: int) -> int:
    """The channels of a stage of a network with the options above; stage 0 is the base."""
    if network.widths is not None:
        name, count = type(network).__name__.lower(), len(network.widths)
        require(stage < count, f'{name}.widths', network.widths, 'a width of the base and of each stage')
        return network.widths[stage]
    return max(1, min(network.width // (4 << stage), network.max_width))
