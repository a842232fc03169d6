"""Deep convolutional GAN: Radford et al. 2016, https://arxiv.org/abs/1511.06434.

Sizes follow from the shape of the images. Height and width are halved as long as both stay even numbers of at least 4;
the remaining size is the base, from which the generator starts and at which the discriminator ends, and each halving is
a stage of both: 28 is 7 in two stages, 32 is 4 in three, 64 is 4 in four.

Networks that grow name their layers by stage, counted from the base, so that phases of a run share them
(`earlier_phases`, see configs/growing_dcgan.py).
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.networks import DiscriminatorNetwork, GeneratorNetwork, dense_logits
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.layers.progress import blended, faded_in
from gan_jax.layers.resampling import average_pool, downsample, interpolate, upsample
from gan_jax.ranges import COUNT, SHARE, Range

SMALLEST_BASE = 4


class Generator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape] in [-1, 1], float32.

    A dense projection to base x base x widths[0], normalised and through a ReLU like every later stage, then stages of
    up-sampling, the last of them to the image's channels and through tanh.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of the last hidden stage when widths are computed; they double with each stage towards the base.
        max_width: maximum number of channels of a stage when widths are computed.
        widths: channels of the projection and of each stage but the last; None: computed.
        kernel_size: size of all convolutions.
        upsampling: 'transposed', 'nearest', 'bilinear' or 'pixel_shuffle'.
        growing: whether its layers are named by stage, so that networks for images of other sizes share them.
        fade: for a growing network, the share of a phase over which its last stage fades in; 0: it is there at once.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    kernel_size: Annotated[int, Range(1, 1024)] = 4
    upsampling: str = 'transposed'
    growing: bool = False
    fade: Annotated[float, SHARE] = 0.0
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        require_positive(self, 'kernel_size')
        height, width, channels = image_shape(self.shape)
        stages = count_stages(self.shape)
        widths = stage_widths(self, stages, self.shape)
        widths = widths[::-1] if self.widths is None else widths
        latents, condition = self.take(latents, condition, train=train)
        weights, normalize = weight_options(self), normalizer(self, condition)
        use_bias = not replaces_bias(self.normalization, condition)

        base = height >> stages, width >> stages, widths[0]
        images = Dense(base[0] * base[1] * base[2], use_bias=use_bias, **weights)(latents, train=train)
        images = nn.relu(normalize(images.reshape(-1, *base), train=train))
        convolution = {'kernel_size': self.kernel_size, 'train': train, **weights}
        for features in widths[1:]:
            before = images
            images = upsample(self.upsampling, images, features, use_bias=use_bias, **convolution)
            images = nn.relu(normalize(images, train=train))

        def to_image(hidden: jax.Array) -> jax.Array:
            return jnp.tanh(upsample(self.upsampling, hidden, channels, **convolution).astype(jnp.float32))

        def shown(hidden: jax.Array, stage: int) -> jax.Array:
            return Named(to_image, name=f'image{stage}')(hidden) if self.growing else to_image(hidden)

        images = shown(images, stages)
        if not _fades(self, stages):
            return images
        return blended(interpolate('nearest', shown(before, stages - 1)), images, faded_in(self))


class Discriminator(DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    Stages of down-sampling with LeakyReLU 0.2, normalised except for the first, then one layer to the logit, which
    computes in float32 whatever the dtype. 'spectral' is of all weights, the first layer's and the last's included.

    Attributes:
        width: channels of the first stage when widths are computed; they double with each stage.
        max_width: maximum number of channels of a stage when widths are computed.
        widths: channels of each stage; None: computed.
        kernel_size: size of all convolutions but the final one.
        downsampling: 'strided' or 'average'.
        final: 'dense' from all remaining features, or a 'convolution' without padding of their size. The two are
            the same map of the same number of parameters.
        growing: as in the generator.
        fade: for a growing network, the share of a phase over which its first stage fades in; 0: it is there at once.
    """

    width: Annotated[int, COUNT] = 64
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    kernel_size: Annotated[int, Range(1, 1024)] = 4
    downsampling: str = 'strided'
    final: str = 'dense'
    growing: bool = False
    fade: Annotated[float, SHARE] = 0.0
    normalization: str = 'batch'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        require_positive(self, 'kernel_size')
        shape = image_shape(images.shape[1:])
        stages = count_stages(shape)
        widths = stage_widths(self, stages, shape)
        final = choose(FINAL_LAYERS, self.final, 'final layer')
        hidden = seen = self.see(images, condition)
        weights, normalize = weight_options(self), normalizer(self)
        features = {}

        def halved(hidden: jax.Array, width: int, level: int, *, first: bool) -> jax.Array:
            def layers(hidden: jax.Array) -> jax.Array:
                use_bias = first or not replaces_bias(self.normalization)
                convolution = {'kernel_size': self.kernel_size, 'use_bias': use_bias, 'train': train, **weights}
                hidden = downsample(self.downsampling, hidden, width, **convolution)
                return nn.leaky_relu(hidden if first else normalize(hidden, train=train), 0.2)

            name = f'image{level}' if first else f'stage{level}'
            return Named(layers, name=name)(hidden) if self.growing else layers(hidden)

        for stage, width in enumerate(widths):
            hidden = halved(hidden, width, stages - stage, first=stage == 0)
            if stage == 1 and _fades(self, stages):
                before = halved(average_pool(seen), width, stages - 1, first=True)
                hidden = blended(before, hidden, faded_in(self))
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        return self.judgement(hidden, condition, features, train=train, final=final)


class Named(nn.Module):
    """Calls a function that adds layers, so that they belong to this named module.

    Attributes:
        function: a function of arrays.
    """

    function: Callable[..., jax.Array]

    @nn.compact
    def __call__(self, *arrays: jax.Array) -> jax.Array:
        """The result of the function."""
        return self.function(*arrays)


def _fades(network: Generator | Discriminator, stages: int) -> bool:
    """Whether a stage of the network fades in; a UserError if the network does not grow."""
    name = type(network).__name__.lower()
    require(network.growing or not network.fade, f'{name}.fade', network.fade, f'0, or {name}.growing true')
    return bool(network.fade) and stages > 1


def image_shape(shape: Sequence[int], family: str = 'DCGAN') -> tuple[int, int, int]:
    """The shape if it is an image's; raises a UserError that names the family otherwise."""
    if len(shape) != 3:
        raise UserError(
            f'{family} is for images of shape (H, W, C), not {tuple(shape)}; choose the model mlp for that.'
        )
    return tuple(shape)


def count_stages(shape: Sequence[int], family: str = 'DCGAN', smallest: int = SMALLEST_BASE) -> int:
    """The number of halvings of an image (H, W, C) to the base, whose sides are at least `smallest`.

    Raises:
        UserError: there is none, because a side is odd or too small.
    """
    for side, size in zip(('high', 'wide'), shape, strict=False):
        if size % 2 or size < 2 * smallest:
            nearest = max(size - size % 2, 2 * smallest)
            raise UserError(
                f'{family} cannot make images {size} pixels {side}, because a size must be a base of at least '
                f'{smallest} times a power of two; the nearest valid sizes are {nearest} and {nearest + 2}.'
            )
    stages = 0
    while all(size % 2 ** (stages + 1) == 0 and size >> (stages + 1) >= smallest for size in shape[:2]):
        stages += 1
    return stages


def stage_widths(network: nn.Module, count: int, shape: Sequence[int]) -> Sequence[int]:
    """The network's widths if it has any, or else the computed ones, from the image to the base.

    Args:
        network: with the fields width, max_width and widths.
        count: number of widths.
        shape: (H, W, C) of an image.

    Raises:
        UserError: a width is impossible, or the given widths have another number.
    """
    require_positive(network, 'width', 'max_width', 'widths')
    if network.widths is None:
        return [min(network.width * 2**stage, network.max_width) for stage in range(count)]
    if len(network.widths) != count:
        raise UserError(
            f'{len(network.widths)} widths {tuple(network.widths)} do not fit images of shape {tuple(shape)}, which '
            f'have {count_stages(shape)} stages: give {count} widths, or None to have them computed.'
        )
    return network.widths


def _convolution(images: jax.Array, outputs: int, train: bool, weights: dict[str, Any]) -> jax.Array:
    if images.ndim != 4:
        raise UserError(
            "The final layer 'convolution' needs images, but the last features are flat after minibatch "
            "discrimination or a concatenated condition: choose 'dense'."
        )
    return Conv(outputs, kernel_size=images.shape[1:3], padding='VALID', **weights)(images, train=train)[:, 0, 0]


FINAL_LAYERS = {'dense': dense_logits, 'convolution': _convolution}
