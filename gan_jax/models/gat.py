"""Transformers for both players: Hyun et al. 2026, "Scalable GANs with Transformers" (GAT, ICML 2026).

https://arxiv.org/abs/2509.24935, built from facts about the authors' code. The networks work on images and on any other
data [H, W, C], such as the latents of an autoencoder, for which they were published.

In training, the generator returns its image at several stages of its depth, each at full size. The
discriminator gets all of them, the early ones with more noise: multi-level noise-perturbed guidance, MNG.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers import transformer
from gan_jax.layers.choices import choose, require, require_positive
from gan_jax.layers.conditioning import Embedding
from gan_jax.layers.linear import Dense
from gan_jax.layers.stages import LEVELS, perturb
from gan_jax.layers.transformer import XAVIER, Attention, RMSNorm, SwiGLU, root_mean_square
from gan_jax.ranges import COUNT, POSITIVE_AMOUNT

SLOWLY = {'kernel_init': XAVIER, 'rate': 0.01}  # the mapping of latents, and of the discriminator's classes
GENTLY = nn.initializers.variance_scaling(0.1**2, 'fan_avg', 'uniform')  # gates and scales start near 0
CLASSES = nn.initializers.normal(0.02)


class _Transformer(nn.Module):
    """Options of both players.

    Without conditioning all examples are of one class, whose embedding is learnt like any other.

    Attributes:
        num_classes: the number of classes of a condition, or the width of its vectors; None: there are none.
        width: width of the tokens.
        depth: the number of blocks.
        heads: number of heads of attention, in each block; the dimensions of one are a multiple of 4.
        patch: height and width of a patch, in pixels.
        stages: number of images per example.
        dtype: dtype of the arithmetic; parameters, norms, softmax, pictures and logits are float32.
        axis_name: the mapped axis of the batch, or None.
    """

    num_classes: int | None = None
    width: Annotated[int, COUNT] = 384
    depth: Annotated[int, COUNT] = 12
    heads: Annotated[int, COUNT] = 6
    patch: Annotated[int, COUNT] = 2
    stages: Annotated[int, COUNT] = 4
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def embedded(self, condition: jax.Array | None, count: int, features: int) -> jax.Array:
        """The embedding [count, features] of the examples' classes."""
        if self.conditioning == 'none':
            return Embedding(1, features, CLASSES, name='classes')(jnp.zeros(count, jnp.int32))
        if condition is None or self.num_classes is None:
            raise UserError(
                f'{self._name()}.conditioning is {self.conditioning!r}, but there are no classes: choose data with '
                "labels, or set the conditioning of both players to 'none'."
            )
        return Embedding(self.num_classes, features, CLASSES, name='classes')(condition)

    def check(self, *conditionings: str) -> None:
        """Raises a UserError for an impossible option."""
        require_positive(self, 'width', 'depth', 'heads', 'patch', 'stages')
        choose(dict.fromkeys(('none', *conditionings)), self.conditioning, 'conditioning')
        require(self.width % self.heads == 0, f'{self._name()}.heads', self.heads, f'a divisor of {self.width}')

    def angles(self, grid: tuple[int, int]) -> Any:
        """Those of the rotary embedding, [rows columns, dimensions of a head / 2]."""
        return transformer.rotary_angles(grid, self.width // self.heads)

    def _name(self) -> str:
        return type(self).__name__.lower()


class _Maker(nn.Module):
    """A field without default, which dataclasses want before all others, and so in the last base."""

    shape: tuple[int, ...]


class Generator(_Transformer, _Maker):
    """Latents [B, n] and a class -> examples [B, *shape], float32; in training their stages [B, stages, *shape].

    The tokens start as the fixed table of positions: all variation comes from the style, a vector that two dense layers
    compute from latents and class. It scales and gates each branch of each block. After each share of the blocks a head
    adds its image; a stage is the sum of the images so far, and the last one is the example. With one stage the example
    has no axis of stages.

    Attributes:
        shape: (H, W, C) of an example.
        conditioning: 'concatenate': a class embedding is concatenated to the latents; 'none': unconditional.
        embedding_size: size of the class.
    """

    conditioning: str = 'none'
    embedding_size: Annotated[int, COUNT] = 64

    @nn.compact
    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The examples made from the latents, or their stages."""
        self.check('concatenate')
        require(self.depth % self.stages == 0, 'generator.depth', self.depth, f'a multiple of {self.stages} stages')
        grid = transformer.grid_of(self.shape, self.patch)
        angles = self.angles(grid)

        parts = latents, self.embedded(condition, latents.shape[0], self.embedding_size)
        style = jnp.concatenate([root_mean_square(part.astype(jnp.float32)) for part in parts], axis=-1)
        style = nn.silu(Dense(self.width, name='map1', **SLOWLY)(style))
        style = nn.silu(Dense(self.width, name='map2', **SLOWLY)(style)).astype(self.dtype)

        tokens = jnp.asarray(transformer.sine_table(grid, self.width), self.dtype)
        tokens = jnp.broadcast_to(tokens, (latents.shape[0], *tokens.shape))
        pictures = []
        for block in range(self.depth):
            tokens = StyledBlock(self.heads, self.dtype, name=f'block{block}')(tokens, style, angles)
            if (block + 1) % (self.depth // self.stages) == 0:
                name = f'head{len(pictures)}'
                scale = Dense(self.width, kernel_init=GENTLY, dtype=self.dtype, name=f'{name}_scale')(style)
                head = Dense(self.patch**2 * self.shape[-1], kernel_init=XAVIER, dtype=self.dtype, name=name)
                picture = head(_scaled(tokens, scale)).astype(jnp.float32)
                pictures.append(transformer.joined(picture, self.shape, self.patch))
        if not train or self.stages == 1:
            return sum(pictures)
        return jnp.cumsum(jnp.stack(pictures, axis=1), axis=1)


class Discriminator(_Transformer):
    """Examples [B, H, W, C], or their stages [B, stages, H, W, C] -> judgement with float32 logits [B].

    An example without stages stands for all of them. In training each stage gets noise of its level (see
    `gan_jax.layers.stages`). The stages are concatenated along the channels and processed in one pass: the
    logit is the inner product of a learned token's features with an embedding of the class (Miyato and Koyama 2018,
    without an unconditional term). The judgement's features are those of each block.

    Attributes:
        conditioning: 'projection', or 'none': unconditional.
        noise: the levels of the stages' noise: 'linear' as in the authors' code, 'exponential' as in the paper, 'none'.
        deviation: standard deviation of the data, by which the noise is scaled.
        projection_size: size of features and class where they are compared, 2048 as published; None: the width.
    """

    conditioning: str = 'none'
    noise: str = 'linear'
    deviation: Annotated[float, POSITIVE_AMOUNT] = 1.0
    projection_size: Annotated[int | None, COUNT] = None

    @nn.compact
    def __call__(self, examples: jax.Array, condition: jax.Array | None = None, *, train: bool) -> Judgement:
        """The judgement of the examples being real."""
        self.check('projection')
        grid = transformer.grid_of(examples.shape[-3:], self.patch)
        tokens = transformer.patches(self._seen(examples, train=train), self.patch)
        tokens = Dense(self.width, kernel_init=XAVIER, dtype=self.dtype, name='patches')(tokens)
        tokens = tokens + jnp.asarray(transformer.sine_table(grid, self.width), self.dtype)
        token = self.param('token', CLASSES, (self.width,)).astype(self.dtype)
        token = jnp.broadcast_to(token, (len(tokens), 1, self.width))
        tokens = jnp.concatenate([token, tokens], axis=1)
        angles = np.pad(self.angles(grid), ((1, 0), (0, 0)))  # the token has no position, so its angles are 0
        features = {}
        for block in range(self.depth):
            tokens = Block(self.heads, self.dtype, name=f'block{block}')(tokens, angles)
            features[f'block{block}'] = tokens

        size = self.projection_size or self.width
        judged = RMSNorm(name='normalize')(tokens[:, 0].astype(jnp.float32))
        judged = Dense(size, kernel_init=XAVIER, name='project')(judged)
        classes = self.embedded(condition, len(examples), size)
        classes = nn.silu(Dense(size, name='map1', **SLOWLY)(classes))
        classes = Dense(size, name='map2', **SLOWLY)(classes)
        return Judgement((judged * classes).sum(-1), None, features)

    def _seen(self, examples: jax.Array, *, train: bool) -> jax.Array:
        """The stages with their noise, concatenated along the channels: [B, H, W, stages C]."""
        if examples.ndim == 4:
            examples = jnp.broadcast_to(examples[:, None], (len(examples), self.stages, *examples.shape[1:]))
        if examples.shape[1] != self.stages:
            raise UserError(
                f'The discriminator has {self.stages} stages, but the generator makes {examples.shape[1]}: set both to '
                'the same number.'
            )
        levels = choose(LEVELS, self.noise, 'noise of stages')(self.stages)
        if train and levels is not None:
            where = global_batch.positions(len(examples), global_batch.axis_of(self))
            examples = perturb(examples, levels, self.make_rng('noise'), where, self.deviation)
        return jnp.concatenate(jnp.moveaxis(examples, 1, 0), axis=-1)


class StyledBlock(nn.Module):
    """A block of the generator: x + gate * branch(norm(x) * (1 + scale)), for attention and then for `SwiGLU`.

    Attributes:
        heads: number of heads of attention.
        dtype: dtype of the arithmetic.
    """

    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, tokens: jax.Array, style: jax.Array, angles: Any) -> jax.Array:
        """Tokens [B, T, D] and styles [B, D] -> [B, T, D]."""
        vectors = Dense(4 * tokens.shape[-1], kernel_init=GENTLY, dtype=self.dtype, name='style')(style)
        scale, gate, scale2, gate2 = jnp.split(vectors, 4, axis=-1)
        read = Attention(self.heads, dtype=self.dtype, name='attention')(_scaled(tokens, scale), angles)
        tokens = tokens + gate[:, None] * read
        return tokens + gate2[:, None] * SwiGLU(dtype=self.dtype, name='gated')(_scaled(tokens, scale2))


class Block(nn.Module):
    """A block of the discriminator: x + weights * branch(norm(x)), the weights of each channel starting at 0.1.

    Attributes:
        heads: number of heads of attention.
        dtype: dtype of the arithmetic.
    """

    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, tokens: jax.Array, angles: Any) -> jax.Array:
        """Tokens [B, T, D] -> [B, T, D]."""

        def weights(name: str) -> jax.Array:
            return self.param(name, nn.initializers.constant(0.1), tokens.shape[-1:]).astype(self.dtype)

        attention = Attention(self.heads, dtype=self.dtype, name='attention')
        tokens = tokens + weights('attention_weights') * attention(RMSNorm(name='normalize1')(tokens), angles)
        gated = SwiGLU(dtype=self.dtype, name='gated')(RMSNorm(name='normalize2')(tokens))
        return tokens + weights('gated_weights') * gated


def _scaled(tokens: jax.Array, scale: jax.Array) -> jax.Array:
    """Normalised tokens [B, T, D] times 1 + scale [B, D]."""
    return root_mean_square(tokens) * (1 + scale[:, None])
