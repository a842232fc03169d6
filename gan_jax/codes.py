"""The codes of InfoGAN: their place in the latents and in the outputs of the recognition head.

Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets", section 4. A latent vector is noise, followed by the codes c: a one-hot vector for each categorical code, then
the continuous codes, uniform in [-1, 1). A recognition head estimates their distribution Q(c | x) from an image.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gan_jax import global_batch
from gan_jax.game import Array, Key, stream


class Codes(NamedTuple):
    """The codes of a latent vector, its last components.

    Attributes:
        categories: number of categories of each categorical code.
        continuous: number of continuous codes.
        learnt_deviations: whether the recognition head has the standard deviations of continuous codes as outputs too;
            otherwise they are 1.
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2
    learnt_deviations: bool = False

    @property
    def size(self) -> int:
        """The number of components of a latent vector that are codes."""
        return sum(self.categories) + self.continuous

    @property
    def outputs(self) -> int:
        """The number of outputs of the recognition head."""
        return self.size + self.continuous * self.learnt_deviations

    def latents(self, distribution: Callable[[Key, Array], Array]) -> Callable[[Key, Array], Array]:
        """How latents with codes are drawn.

        Args:
            distribution: (key, positions [n]) -> latents [n, d], whose last components are replaced by codes.
        """

        def one(key: Key) -> Array:
            *keys, last = jax.random.split(key, len(self.categories) + 1)
            chosen = [
                jax.nn.one_hot(jax.random.randint(key, (), 0, count), count)
                for key, count in zip(keys, self.categories, strict=True)
            ]
            return jnp.concatenate([*chosen, jax.random.uniform(last, (self.continuous,), minval=-1.0)])

        def draw(key: Key, positions: Array) -> Array:
            latents, codes_key = distribution(key, positions), stream(key, 'codes')
            codes = global_batch.draw(one, codes_key, positions)
            return jnp.concatenate([latents[:, : -self.size], codes], axis=1)

        return draw

    def of_latents(self, latents: Array) -> tuple[list[Array], Array]:
        """The codes of latents [B, d]: one-hot vectors [B, k] for each categorical code; continuous codes [B, c]."""
        *categories, continuous = self._divided(latents[:, latents.shape[1] - self.size :])
        return categories, continuous

    def of_outputs(self, outputs: Array) -> tuple[list[Array], Array, Array]:
        """The distribution of the codes by outputs [B, outputs] of the recognition head.

        Returns:
            Logits [B, k] for each categorical code; the means [B, c] of the continuous codes; the logarithms [B, c] of
            their standard deviations.
        """
        *categories, rest = self._divided(outputs)
        means, deviations = rest[:, : self.continuous], rest[:, self.continuous :]
        return categories, means, deviations if self.learnt_deviations else jnp.zeros_like(means)

    def _divided(self, values: Array) -> list[Array]:
        """[B, n] -> [B, k] for each categorical code, and the rest [B, ...]."""
        return jnp.split(values, list(itertools.accumulate(self.categories)), axis=1)

    def in_each_category(self, latents: ArrayLike) -> np.ndarray:
        """Latents [n, d] in each of the k categories of the first categorical code: [k, n, d].

        Without a categorical code there is one copy, the latents themselves.
        """
        latents = np.asarray(latents)
        if not self.categories:
            return latents[None]
        count, first = self.categories[0], latents.shape[1] - self.size
        copies = np.tile(latents, (count, 1, 1))
        copies[:, :, first : first + count] = np.eye(count)[:, None]
        return copies
