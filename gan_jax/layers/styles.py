"""Common parts of style-based generators: the mapping of latents to styles, style mixing and truncation.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks" (StyleGAN), sections 2
and 3 and appendix B, https://arxiv.org/abs/1812.04948; StyleGAN2 changed only details of the mapping.
"""

import math
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.layers.choices import is_on
from gan_jax.layers.conditioning import as_vectors
from gan_jax.layers.equalized import EqualizedDense
from gan_jax.layers.modulated import activate
from gan_jax.layers.networks import GeneratorNetwork
from gan_jax.layers.normalization import normalize
from gan_jax.ranges import COUNT, COUNT_OR_NONE, POSITIVE_AMOUNT, SHARE, Range


class StyleMapping(nn.Module):
    """Latents [B, n], condition vectors [B, k] or both, each divided by its root mean square, -> w [B, size].

    Attributes:
        size: size of w.
        depth: number of layers; 0: w is the input of the first.
        rate: multiplier of the learning rate of the layers.
        embedding_size: size of the condition.
        version: version of StyleGAN, 1 or 2. In 1 the factor sqrt(2) of a layer is in its weights, in 2 in its outputs.
            In 1 the condition is embedded by a plain matrix, and latents and embedding are normalised as one vector.
    """

    size: int
    depth: int = 8
    rate: float = 0.01
    embedding_size: int = 512
    version: int = 2

    @nn.compact
    def __call__(self, latents: jax.Array | None, condition: jax.Array | None = None) -> jax.Array:
        """w, float32."""
        inputs = [] if latents is None else [latents.astype(jnp.float32)]
        if condition is not None:
            if self.version == 1:
                init = nn.initializers.normal(1.0)
                embed = nn.Dense(self.embedding_size, use_bias=False, kernel_init=init, name='embedding')
            else:
                embed = EqualizedDense(self.embedding_size, gain=1.0, name='embedding')
            inputs.append(embed(condition))
        if self.version == 1:
            inputs = [jnp.concatenate(inputs, axis=-1)]
        hidden = jnp.concatenate([normalize('pixel', one, train=False) for one in inputs], axis=-1)
        gain = math.sqrt(2) if self.version == 1 else 1.0
        for i in range(self.depth):
            hidden = EqualizedDense(self.size, gain=gain, rate=self.rate, name=f'layer{i}')(hidden)
            hidden = activate(hidden, 1 / gain)
        return hidden


class StyleGenerator(GeneratorNetwork):
    """Latents [B, n] -> images [B, *shape], float32: a mapping to styles w, and a synthesis network of them.

    The synthesis makes an image of ws [B, L, w_size], one w for each of its layers. A conditional mapping
    ('concatenate') has the condition's embedding behind the latents. A family implements `make_synthesis`.

    Attributes:
        w_size: size of w.
        depth: layers of the mapping.
        rate: multiplier of the mapping's learning rate.
        mixing: the probability that, in training, the layers after a random one get the w of other latents.
        momentum: momentum of the running average of w, which is a variable in the collection 'styles'.
        psi: outside of training w is moved towards that average: average + psi (w - average).
        cutoff: number of first layers for that; 0: all.
        noise: whether there is noise outside of training, the same for all images.
        noise_layers: whether there is noise at all.
    """

    w_size: Annotated[int, COUNT] = 512
    depth: Annotated[int, Range(0, 100)] = 8
    rate: Annotated[float, POSITIVE_AMOUNT] = 0.01
    embedding_size: Annotated[int, COUNT] = 512
    mixing: Annotated[float, SHARE] = 0.9
    momentum: Annotated[float, SHARE] = 0.995
    psi: Annotated[float, Range(-1, 1)] = 1.0
    cutoff: Annotated[int, COUNT_OR_NONE] = 0
    noise: bool = True
    noise_layers: bool = True

    def setup(self) -> None:
        """The synthesis, the mapping, and the average of w."""
        self.synthesis = self.make_synthesis()
        self.layers = 2 * len(self.synthesis.widths)
        self.mapping = self.make_mapping()
        self.average = self.variable('styles', 'average', jnp.zeros, (self.w_size,))

    def make_synthesis(self) -> nn.Module:
        """The synthesis: called as (ws, train=...), with the attribute `widths`; it has two layers for each width."""
        raise NotImplementedError

    def make_mapping(self) -> StyleMapping:
        """The mapping."""
        return StyleMapping(self.w_size, self.depth, self.rate, self.embedding_size)

    def noise_options(self) -> dict[str, Any] | None:
        """The options of the synthesis's `gan_jax.layers.noise.PlaceNoise`; None: it has no noise."""
        return {'sampling': self.noise, 'axis_name': self.axis_name} if self.noise_layers else None

    def __call__(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The images made from the latents."""
        return self.synthesize(self.styles(latents, condition, train=train), train=train)

    def styles(self, latents: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """The ws [B, L, w_size] of latents [B, n]; mixed in training (stream 'mixing'), else truncated by psi."""
        condition = self._checked(condition, ('none', 'concatenate'))
        vectors = None if condition is None else as_vectors(condition, self.num_classes)
        w = self.mapping(latents, vectors)
        layer = jnp.arange(self.layers)[:, None]
        if not train:
            psi = jnp.where(layer < (self.cutoff or self.layers), self.psi, 1.0)
            return self.average.value + psi * (w[:, None] - self.average.value)
        if self.is_mutable_collection('styles'):
            mean = global_batch.mean(jax.lax.stop_gradient(w).mean(0), global_batch.axis_of(self))
            self.average.value = mean + self.momentum * (self.average.value - mean)
        if not is_on(self.mixing) or self.is_initializing():
            return jnp.broadcast_to(w[:, None], (len(w), self.layers, self.w_size))
        coin, place, noise = jax.random.split(self.make_rng('mixing'), 3)
        positions = global_batch.positions(len(latents), self.axis_name)
        others = global_batch.draw(lambda key: jax.random.normal(key, latents.shape[1:]), noise, positions)
        other = self.mapping(others, vectors)
        first = jax.random.randint(place, (), 1, self.layers)
        mixed = (jax.random.uniform(coin) < self.mixing) & (layer >= first)
        return jnp.where(mixed, other[:, None], w[:, None])

    def synthesize(self, styles: jax.Array, *, train: bool) -> jax.Array:
        """The images [B, *shape] of ws [B, L, w_size]."""
        return self.synthesis(styles, train=train)
