"""Heads that give a discriminator of any family more outputs."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.linear import Dense
from gan_jax.layers.networks import flatten


class Classifying(nn.Module):
    """A discriminator with class logits from its last features, by hidden layers with LeakyReLU 0.2.

    Attributes:
        discriminator: examples -> a `Judgement` with features.
        num_classes: number of classes, of `Judgement.classes`.
        widths: units of the hidden layers; () for none.
        dtype: dtype of their arithmetic; the class logits are float32.
    """

    discriminator: nn.Module
    num_classes: int
    widths: tuple[int, ...] = ()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, examples: jax.Array, *, train: bool) -> Judgement:
        """The judgement of the discriminator, with classes."""
        judged = self.discriminator(examples, train=train)
        if not isinstance(judged, Judgement) or not judged.features:
            raise UserError('Classes are recognised from features: return a Judgement with features.')
        *_, last = judged.features.values()
        hidden = flatten(last)
        for i, width in enumerate(self.widths):
            hidden = nn.leaky_relu(Dense(width, dtype=self.dtype, name=f'hidden{i}')(hidden), 0.2)
        return judged._replace(classes=Dense(self.num_classes, name='classes')(hidden.astype(jnp.float32)))
