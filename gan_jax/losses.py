"""Adversarial losses from logits.

Each factory returns a `Loss`: two pure functions of the discriminator's logits on real and on generated examples, one
for each player to minimise. With $D(x) = sigmoid(logit)$ all of them are written with `softplus`, so that no
probability is ever formed and large logits keep their gradients.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError

Logits = jax.Array


class Loss(NamedTuple):
    """What each player minimises.

    Attributes:
        discriminator: (real logits [n], fake logits [m]) -> scalar.
        generator: fake logits [m] -> scalar.
    """

    discriminator: Callable[[Logits, Logits], jax.Array]
    generator: Callable[[Logits], jax.Array]


def binary_cross_entropy(logits: Logits, target: float) -> jax.Array:
    """Mean of -(t log D + (1 - t) log(1 - D)) over logits of any shape, for one target t in [0, 1]."""
    return jnp.mean(target * jax.nn.softplus(-logits) + (1.0 - target) * jax.nn.softplus(logits))


def _classification(real_label: float, fake_label: float) -> Callable[[Logits, Logits], jax.Array]:
    """The discriminator of the original game: cross-entropy of real against fake, with smoothed targets."""
    for name, label in (('real_label', real_label), ('fake_label', fake_label)):
        if not 0.0 <= label <= 1.0:
            raise UserError(f'loss.{name} is {label}, but a label is a probability: choose one between 0 and 1.')

    def discriminator(real: Logits, fake: Logits) -> jax.Array:
        return binary_cross_entropy(real, real_label) + binary_cross_entropy(fake, fake_label)

    return discriminator


def non_saturating(real_label: float = 1.0, fake_label: float = 0.0) -> Loss:
    """The non-saturating game: the generator maximises log D(G(z)).

    Goodfellow et al. 2014, "Generative Adversarial Nets", section 3: same fixed point as the minimax game, with strong
    gradients early in training. `real_label=0.9` is one-sided label smoothing (Salimans et al. 2016, "Improved
    Techniques for Training GANs", section 3.4); `fake_label=0.1` beside it makes it two-sided. The generator's own
    target stays 1.
    """
    return Loss(_classification(real_label, fake_label), lambda fake: binary_cross_entropy(fake, 1.0))


def minimax(real_label: float = 1.0, fake_label: float = 0.0) -> Loss:
    """The saturating zero-sum game: the generator minimises log(1 - D(G(z))).

    Goodfellow et al. 2014, equation 1. At the generator's optimum the discriminator's loss is log 4. The labels smooth
    the discriminator's targets as in `non_saturating`.
    """
    return Loss(_classification(real_label, fake_label), lambda fake: -binary_cross_entropy(fake, 0.0))


LOSSES: dict[str, Callable[..., Loss]] = {'non_saturating': non_saturating, 'minimax': minimax}
