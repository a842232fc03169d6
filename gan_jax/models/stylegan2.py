"""StyleGAN2: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", https://arxiv.org/abs/1912.04958.

With the options of Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (StyleGAN2-ADA). A
stage doubles the size of the one before it, from the base, as in `gan_jax.models.dcgan`: 32 is 4 in three stages. The
stages of the four highest resolutions compute in the given dtype, the base and all sums of images in float32.
"""

import functools
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require
from gan_jax.layers.conditioning import as_vectors
from gan_jax.layers.dropout import Dropout
from gan_jax.layers.equalized import EqualizedConv, EqualizedDense, check_options
from gan_jax.layers.filters import convolve_down, convolve_up, filter_downsample, filter_upsample
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.modulated import TAPS, ImageLayer, StyleLayer, activate
from gan_jax.layers.networks import MINIBATCHES, DiscriminatorNetwork, flatten, slice_features
from gan_jax.layers.styles import StyleGenerator, StyleMapping
from gan_jax.models.dcgan import image_shape
from gan_jax.models.progan import count_levels, stage_width
from gan_jax.ranges import AMOUNT, COUNT, POSITIVE_AMOUNT, Range

ARCHITECTURES = ('skip', 'residual', 'original')
_HALF = 0.5**0.5  # keeps the deviation of the sum of two branches
_FAMILY = 'StyleGAN2'


class Generator(StyleGenerator):
    """Latents [B, n] -> images [B, *shape], float32, in [-1, 1] by training alone.

    Mapping, mixing, noise and truncation are those of `gan_jax.layers.styles.StyleGenerator`.

    Attributes:
        shape: (H, W, C) of an image.
        width: channels of a stage times its resolution, which is 4 at the base and doubles with each stage.
        max_width: the most channels of a stage.
        widths: channels of the base and of each stage; None: computed.
        architecture: 'skip': the image is a sum of one from each stage; 'residual'; 'original': neither.
        clamp: what bounds the outputs of the layers; 0: nothing. The published 256 is for arithmetic of 16 bits.
    """

    width: Annotated[int, COUNT] = 32768
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    architecture: str = 'skip'
    clamp: Annotated[float, AMOUNT] = 0.0

    def make_synthesis(self) -> nn.Module:
        """The synthesis network."""
        _check(self)
        levels = count_levels(image_shape(self.shape, _FAMILY), _FAMILY)
        return _Synthesis(
            self.shape,
            tuple(stage_width(self, stage) for stage in range(levels + 1)),
            self.architecture,
            {'clamp': self.clamp, 'noise': self.noise_options()},
            self.dtype,
        )


class _Synthesis(nn.Module):
    """ws [B, L, n] -> images [B, *shape].

    Attributes:
        shape: shape of an image.
        widths: channels of the base and of each stage.
        architecture: as of the generator.
        options: options of its layers.
        dtype: dtype of the arithmetic of the highest stages.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...]
    architecture: str
    options: dict[str, Any]
    dtype: Any

    @nn.compact
    def __call__(self, styles: jax.Array, *, train: bool) -> jax.Array:
        """The images."""
        last = len(self.widths) - 1
        base = self.shape[0] >> last, self.shape[1] >> last, self.widths[0]
        constant = self.param('constant', nn.initializers.normal(1.0), base)
        hidden, images = jnp.broadcast_to(constant, (styles.shape[0], *base)), None
        for stage, width in enumerate(self.widths):
            block = _Block(
                width,
                first=stage == 0,
                channels=self.shape[2] if stage == last or self.architecture == 'skip' else 0,
                residual=self.architecture == 'residual',
                options={**self.options, 'dtype': _dtype(self.dtype, stage, last)},
                name=f'stage{stage}',
            )
            place = max(0, 2 * stage - 1)  # the layer to the image has the w of the next stage's first one
            hidden, images = block(hidden, images, styles[:, place:], train=train)
        return images


class _Block(nn.Module):
    """The layers of a stage: the features so far and the image so far (or None) -> both after this stage.

    Attributes:
        width: channels of the features.
        first: whether it is that of the base, which has a single layer and doubles nothing.
        channels: number of channels of the image, if it makes one; 0: it makes none.
        residual: whether the features of the stage before are added.
        options: options of the layers.
    """

    width: int
    first: bool
    channels: int
    residual: bool
    options: dict[str, Any]

    @nn.compact
    def __call__(
        self, hidden: jax.Array, images: jax.Array | None, styles: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array | None]:
        """Features [B, H, W, width] and images [B, H, W, channels]."""
        ws, dtype = iter(jnp.moveaxis(styles, 1, 0)), self.options['dtype']
        before, gain = hidden, _HALF if self.residual and not self.first else 1.0
        if not self.first:
            hidden = StyleLayer(self.width, up=True, name='first', **self.options)(hidden, next(ws), train=train)
        hidden = StyleLayer(self.width, gain=gain, name='second', **self.options)(hidden, next(ws), train=train)
        if self.residual and not self.first:
            hidden = hidden + _shortcut(self.width, convolve_up, dtype)(before)
        images = None if images is None else filter_upsample(images, TAPS)
        if self.channels:
            made = ImageLayer(self.channels, self.options['clamp'], dtype, name='image')(hidden, next(ws))
            images = made if images is None else images + made
        return hidden, images


class Discriminator(DiscriminatorNetwork):
    """Images [B, H, W, C] -> judgement with float32 logits [B] and features 'stage1' and so on.

    Each stage halves the image with two 3x3 convolutions; the minibatch deviation, a 3x3 convolution and two dense
    layers follow. With the conditioning 'projection' the logit is the inner product of the last layer, which has
    `embedding_size` outputs, and a mapping of the condition, over the root of that size.

    Attributes:
        width: channels of a stage times its resolution, as of the generator.
        max_width: the most channels of a stage.
        widths: channels of the base and of each stage, as of the generator.
        architecture: 'residual'; 'skip': each stage sees the image at its resolution; 'original': neither.
        embedding_size: size of the mapping of the condition.
        depth: layers of that mapping.
        rate: multiplier of their learning rate.
        clamp: what bounds the outputs of the layers, as of the generator.
    """

    width: Annotated[int, COUNT] = 32768
    max_width: Annotated[int, COUNT] = 512
    widths: Annotated[tuple[int, ...] | None, COUNT] = None
    architecture: str = 'residual'
    embedding_size: Annotated[int, COUNT] = 512
    depth: Annotated[int, Range(0, 100)] = 8
    rate: Annotated[float, POSITIVE_AMOUNT] = 0.01
    clamp: Annotated[float, AMOUNT] = 0.0
    minibatch: str = 'deviation'

    @nn.compact
    def __call__(self, images: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the images being real."""
        _check(self)
        stages = count_levels(image_shape(images.shape[1:], _FAMILY), _FAMILY)
        seen, hidden, features = self.see(images, condition), None, {}
        dtype = functools.partial(_dtype, self.dtype, last=stages)

        def layer(hidden: jax.Array, stage: int, name: str, width: int, gain: float = 1.0, **options: Any) -> jax.Array:
            options = {'gain': 1.0, 'dtype': dtype(stage=stage), 'name': f'stage{stage}_{name}', **options}
            return activate(EqualizedConv(width, **options)(hidden), gain, self.clamp)

        def enter(hidden: jax.Array | None, stage: int) -> jax.Array:
            if hidden is not None and self.architecture != 'skip':
                return hidden
            entering = layer(seen, stage, 'image', stage_width(self, stage), kernel_size=1)
            return entering if hidden is None else hidden + entering

        gain = _HALF if self.architecture == 'residual' else 1.0
        for stage in range(stages, 0, -1):
            before = hidden = enter(hidden, stage)
            width = stage_width(self, stage - 1)
            hidden = layer(hidden, stage, 'first', stage_width(self, stage))
            hidden = layer(hidden, stage, 'second', width, gain, convolve=_down)
            if self.architecture == 'residual':
                hidden = hidden + _shortcut(width, convolve_down, dtype(stage=stage), f'stage{stage}_shortcut')(before)
            if self.architecture == 'skip':
                seen = filter_downsample(seen, TAPS)
            features[f'stage{stage}'] = hidden
            hidden = Dropout(self.dropout, self.axis_name)(hidden, train=train)
        hidden = enter(hidden, 0)

        def last(hidden: jax.Array, outputs: int) -> jax.Array:
            hidden = layer(hidden, 0, 'convolution', stage_width(self, 0))
            hidden = activate(EqualizedDense(stage_width(self, 0), gain=1.0, name='stage0_dense')(flatten(hidden)))
            return EqualizedDense(outputs, gain=1.0, name='logits')(hidden)

        if self.conditioning != 'projection':
            final = lambda hidden, outputs, train, weights: last(hidden, outputs)  # noqa: E731
            return self.judgement(hidden, condition, features, train=train, final=final)
        weights, hidden = weight_options(self) | {'dtype': jnp.float32}, hidden.astype(jnp.float32)
        turns = Dense(4, name='rotations', **weights)(flatten(hidden), train=train) if self.rotations else None
        hidden = choose(MINIBATCHES, self.minibatch, 'minibatch layer')(self, hidden, train, weights)
        hidden = last(hidden, self.embedding_size)
        mapping = StyleMapping(self.embedding_size, self.depth, self.rate, self.embedding_size, name='mapping')
        direction = mapping(None, as_vectors(condition, self.num_classes)) / self.embedding_size**0.5
        judged = Judgement((hidden * direction).sum(-1), None, features, rotations=turns)
        if self.slicing:
            logits, along = slice_features(hidden, direction)
            judged = judged._replace(logits=logits, direction=along)
        return judged


_down = functools.partial(convolve_down, taps=TAPS)


def _shortcut(width: int, convolve: Any, dtype: Any, name: str = 'shortcut') -> EqualizedConv:
    """The 1x1 convolution beside the layers of a residual stage."""
    options = {'gain': _HALF, 'use_bias': False, 'kernel_size': 1, 'dtype': dtype, 'name': name}
    return EqualizedConv(width, convolve=functools.partial(convolve, taps=TAPS), **options)


def _dtype(dtype: Any, stage: int, last: int) -> Any:
    """That of a stage's arithmetic: of the four highest resolutions that given, but float32 of the base."""
    return dtype if stage > max(0, last - 4) else jnp.float32


def _check(network: Generator | Discriminator) -> None:
    """Raises a UserError for an option that the networks would not follow."""
    check_options(network)
    name = type(network).__name__.lower()
    require(network.normalization == 'none', f'{name}.normalization', network.normalization, f"'none' in a {_FAMILY}")
    choose(dict.fromkeys(ARCHITECTURES), network.architecture, 'architecture')
