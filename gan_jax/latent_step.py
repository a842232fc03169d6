"""Latent optimisation: one step of the latents towards a better judgement, before the passes of both players."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.layers.choices import is_traced, require


class LatentStep(NamedTuple):
    """The step of LOGAN (Wu et al. 2019, "LOGAN: Latent Optimisation for Generative Adversarial Networks").

    With g the gradient of an example's logit with respect to its latents, the plain step is size g, the natural one
    size (g g^T + damping I)^-1 g = size g / (damping + |g|^2). The losses are differentiated through the step. Samples
    are made from latents without it. The paper's penalty on the length of the step is left out.

    Attributes:
        size: the paper's alpha, 0.9.
        natural: whether the step is that of the natural gradient.
        damping: the paper's beta, 5.
        bound: latents are clipped to [-bound, bound]; None: they are not.
    """

    size: float
    natural: bool = True
    damping: float = 5.0
    bound: float | None = None

    def check(self) -> None:
        """Raises a UserError if a value is impossible."""
        for name, value in (('size', self.size), ('damping', self.damping)):
            require(is_traced(value) or value > 0, f'latent_step.{name}', value, 'above 0')

    def moved(self, latents: jax.Array, discriminate: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """The latents [B, n] after the step; `discriminate` maps latents to the logits [B] of their examples."""
        step = jax.grad(lambda latents: discriminate(latents).sum())(latents)
        if self.natural:
            step /= self.damping + jnp.sum(step**2, axis=-1, keepdims=True)
        latents += self.size * step
        return latents if self.bound is None else jnp.clip(latents, -self.bound, self.bound)
