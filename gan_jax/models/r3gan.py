"""R3GAN: Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN", https://arxiv.org/abs/2501.05441.

Residual networks without normalisation. A stage of the generator doubles the image and then has its blocks; a stage of
the discriminator mirrors that. Sizes and stages follow from the shape of the images as in `gan_jax.models.dcgan`: 32 is
the published 4 in three doublings, 28 is 7 in two. The published (width, max_width, group_size) are (768, 768, 16) for
CIFAR-10, (384, 768, 16) for FFHQ-64, (96, 768, 16) for FFHQ-256 and (1536, 1536, 32) for ImageNet.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require_positive
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.filters import filter_downsample, filter_upsample, interpolating_taps
from gan_jax.layers.initializers import scaled
from gan_jax.layers.linear import Conv, Dense, weight_options
from gan_jax.layers.networks import MINIBATCHES, DiscriminatorNetwork, GeneratorNetwork, slice_features
from gan_jax.layers.normalization import normalizer, replaces_bias
from gan_jax.models.dcgan import count_stages, image_shape, stage_widths
from gan_jax.ranges import COUNT

TAPS = interpolating_taps([1, 2, 1])
_SLOPE = 0.2  # of the leaky ReLU


class _Staged(nn.Module):
    """The options of both networks' stages.

    Attributes:
        width: channels of the stage of the image's size when widths are computed; they double towards the base.
        max_width: the most channels of a stage when widths are computed.
        widths: channels of each stage, as groups and blocks in the order of the network's stages; None: computed.
        expansion: channels inside a residual block, in multiples of the stage's.
        group_size: channels of a group of the 3x3 convolutions; more where that many do not divide them.
        groups: number of groups of the 3x3 convolutions of each stage; None: computed.
        blocks: residual blocks of each stage; a single number is that of all stages.
        fixup: whether the first two layers of each of the L residual blocks start sqrt(2 / 1.04) L^(-1/4) times as
            large as the initializer has them, and the third at zero (Zhang et al. 2019, "Fixup Initialization").
    """

    width: Annotated[int, COUNT] = 768
    max_width: Annotated[int, COUNT] = 768
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    expansion: Annotated[int, COUNT] = 2
    group_size: Annotated[int, COUNT] = 16
    groups: Annotated[tuple[int, ...] | None, COUNT] = None
    blocks: Annotated[tuple[int, ...], COUNT] = (2,)
    fixup: bool = True
    initializer: str = 'lecun'

    def stages(self, shape: tuple[int, ...], *, from_base: bool = False) -> list[dict[str, int]]:
        """Width, inner channels, groups and number of blocks of each stage, in the order of the network's.

        Args:
            shape: (H, W, C) of an image.
            from_base: whether the network begins at the base; options for single stages are in its order.

        Raises:
            UserError: an option's value is impossible, or there are not as many as stages.
        """
        require_positive(self, 'expansion', 'group_size')
        count = count_stages(shape, 'R3GAN') + 1
        widths = stage_widths(self, count, shape)
        widths = widths[::-1] if from_base and self.widths is None else widths
        inside = [self.expansion * width for width in widths]
        groups = self.groups or [_most_groups(channels, self.group_size) for channels in inside]
        blocks = self.blocks * count if len(self.blocks) == 1 else self.blocks
        for name, values in (('groups', groups), ('blocks', blocks)):
            if len(values) != count:
                raise UserError(
                    f'{len(values)} {name} {tuple(values)} do not fit images of shape {tuple(shape)}: give one for '
                    f'each of {count} stages.'
                )
        names = ('width', 'inside', 'groups', 'blocks')
        return [dict(zip(names, stage, strict=True)) for stage in zip(widths, inside, groups, blocks, strict=True)]

    def blocks_of(
        self, stages: list[dict[str, int]], condition: jax.Array | None = None
    ) -> Callable[[dict[str, int], dict[str, Any]], 'Block']:
        """(stage, options of its layers) -> a residual block."""
        gain = math.sqrt(2 / (1 + _SLOPE**2)) * sum(stage['blocks'] for stage in stages) ** -0.25
        return lambda stage, weights: Block(
            stage['inside'],
            stage['groups'],
            gain if self.fixup else None,
            weights,
            normalizer(self, condition),
            not replaces_bias(self.normalization, condition),
        )

    def weights(self, *, base: bool) -> dict[str, Any]:
        """The options of layers; those of the base compute in float32 whatever the dtype."""
        return weight_options(self) | ({'dtype': jnp.float32} if base else {})


class Block(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))) with biases before the activations; normalised there if at all.

    Attributes:
        inside: channels between the 1x1 convolutions.
        groups: number of groups of the 3x3 convolution.
        gain: factor of the first two layers' weights at the start, where those of the third are 0; None: the
            initialiser's weights.
        weights: options of the layers.
        normalize: normalisation of activations.
        use_bias: whether no normalisation has a shift.
    """

    inside: int
    groups: int
    gain: float | None
    weights: dict[str, Any]
    normalize: Callable[..., jax.Array]
    use_bias: bool

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Images of the same shape."""
        outer = dict(self.weights)
        inner = outer | {'use_bias': self.use_bias}
        if self.gain is not None:
            inner['kernel_init'] = scaled(outer['kernel_init'], self.gain)
            outer['kernel_init'] = nn.initializers.zeros
        hidden = images
        for options in ({'kernel_size': 1}, {'kernel_size': 3, 'groups': self.groups}):
            hidden = Conv(self.inside, **options, **inner)(hidden, train=train)
            hidden = nn.leaky_relu(self.normalize(hidden, train=train), _SLOPE)
        return images + Conv(images.shape[-1], kernel_size=1, use_bias=False, **outer)(hidden, train=train)


class Generator(_Staged, GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape], float32, of any size: no function keeps them in [-1, 1].

    A learnt basis [base, base, C] whose channels are scaled by a linear map of the latents, then the blocks of each
    stage, with a 1x1 convolution where the width changes and an up-sampling between two stages, and a 1x1 convolution
    to the image's channels. None of these has a bias, but for those before activations.

    Attributes:
        shape: (H, W, C) of an image.
        embedding_size: size of a concatenated condition.
    """

    embedding_size: Annotated[int, COUNT] = 64

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        height, width, channels = image_shape(self.shape, 'R3GAN')
        stages = self.stages(self.shape, from_base=True)
        deviation = (self.num_classes or 1) ** -0.5
        latents, condition = self.take(latents, condition, train=train, deviation=deviation)
        block = self.blocks_of(stages, condition)

        size = height >> (len(stages) - 1), width >> (len(stages) - 1), stages[0]['width']
        basis = self.param('basis', nn.initializers.normal(1.0), size)
        weights = self.weights(base=True)
        scale = Dense(size[-1], use_bias=False, **weights)(latents, train=train)
        images = basis * scale[:, None, None]
        for i, stage in enumerate(stages):
            if i:
                weights = self.weights(base=False)
                images = _to_width(images, stage['width'], weights, train)
                images = filter_upsample(images.astype(self.dtype), TAPS)
            for _ in range(stage['blocks']):
                images = block(stage, weights)(images, train=train)
        return Conv(channels, kernel_size=1, use_bias=False, **weights)(images, train=train).astype(jnp.float32)


class Discriminator(_Staged, DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage0', 'stage1' and so on.

    A 1x1 convolution, then the blocks of each stage, with a down-sampling and, where the width changes, a 1x1
    convolution between two stages; a weighted sum over the pixels of each channel of the base, and a linear map. None
    of these has a bias, but for those before activations. With the conditioning 'projection' the logit is the inner
    product of that linear map, to `embedding_size` numbers, with the condition's embedding, and nothing else.

    Attributes:
        embedding_size: size of the condition's embedding; the published size is the width at the image.
    """

    embedding_size: Annotated[int, COUNT] = 768

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        stages = self.stages(image_shape(images.shape[1:], 'R3GAN'))
        hidden = self.see(images, condition)
        block, features = self.blocks_of(stages), {}
        weights = self.weights(base=False)
        hidden = Conv(stages[0]['width'], kernel_size=1, use_bias=False, **weights)(hidden, train=train)
        for i, stage in enumerate(stages):
            if i:
                weights = self.weights(base=i == len(stages) - 1)
                hidden = _to_width(filter_downsample(hidden, TAPS), stage['width'], weights, train)
            for _ in range(stage['blocks']):
                hidden = block(stage, weights)(hidden, train=train)
            features[f'stage{i}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)

        hidden = hidden.astype(jnp.float32)
        basis = self.param('basis', _by_fan_in, hidden.shape[1:])
        hidden = (hidden * basis).sum((1, 2))
        if self.conditioning != 'projection':
            return self.judgement(hidden, condition, features, train=train, final=_logits)
        last = choose(MINIBATCHES, self.minibatch, 'minibatch layer')(self, hidden, train, weights)
        last = Dense(self.embedding_size, use_bias=False, **weights)(last, train=train)
        embedding = self._embedded(condition, (self.num_classes * self.embedding_size) ** -0.5, train)
        judged = Judgement((last * embedding).sum(-1), None, features)
        if self.slicing:
            logits, direction = slice_features(last, embedding)
            judged = judged._replace(logits=logits, direction=direction)
        turns = Dense(4, name='rotations', **weights)(hidden, train=train) if self.rotations else None
        return judged._replace(rotations=turns)


def _logits(hidden: jax.Array, outputs: int, train: bool, weights: dict[str, Any]) -> jax.Array:
    return Dense(outputs, use_bias=False, **weights)(hidden, train=train)


def _to_width(images: jax.Array, width: int, weights: dict[str, Any], train: bool) -> jax.Array:
    """The images in that many channels."""
    if images.shape[-1] == width:
        return images
    return Conv(width, kernel_size=1, use_bias=False, **weights)(images, train=train)


def _by_fan_in(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Normal weights [H, W, C] of a channel's pixels, of deviation 1 / sqrt(H W)."""
    return jax.random.normal(key, shape, dtype) / math.sqrt(shape[0] * shape[1])


def _most_groups(channels: int, size: int) -> int:
    """The largest number of equal groups of at least `size` channels; 1 if there are fewer channels."""
    return next(number for number in range(max(1, channels // size), 0, -1) if channels % number == 0)
