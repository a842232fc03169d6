"""The outputs of a classifier that is a player, and losses of classes and of domains."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class Classification(NamedTuple):
    """A classifier's outputs.

    Attributes:
        logits: class logits [B, K].
        features: [B, n], by which a domain classifier tells domains apart.
    """

    logits: jax.Array
    features: jax.Array


def class_loss(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The mean cross-entropy of classes, and the metrics `class_loss` and `class_error`, the share of wrong answers.

    Args:
        logits: [B, K].
        labels: int [B].
    """
    value = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return value, {'class_loss': value, 'class_error': (logits.argmax(-1) != labels).mean()}


def domain_loss(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean cross-entropy of two domains, and the share of wrong answers.

    Args:
        logits: [2 B], of being of the source: of B source examples, and then of B target examples.
    """
    source, target = jnp.split(logits, 2)
    loss = (jax.nn.softplus(-source).mean() + jax.nn.softplus(target).mean()) / 2
    return loss, ((source <= 0).mean() + (target > 0).mean()) / 2
