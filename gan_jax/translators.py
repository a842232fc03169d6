"""Common parts of image translation games: translators as generators, patches as examples, and terms.

The games use `gan_jax.adversarial.adversarial` with the image to translate as condition, so that its losses,
terms, replay, balance, lazy updates and averages work in the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Key, Network, Pair, PlayerLoss, PyTree, Turn
from gan_jax.judgement import judgement
from gan_jax.terms import View, one_term


def distance(one: Array, other: Array) -> Array:
    """The mean absolute difference of two batches of images, in float32."""
    return jnp.abs(one.astype(jnp.float32) - other).mean()


def of_generator(name: str, weight: float, value: Callable[[View], Array]) -> Pair:
    """A term of the generator's loss, or none for weight 0."""
    return Pair(one_term(name, weight, value), ())


def no_latents(key: Key, positions: Array) -> Array:
    """Latents [n, 0] of a game without noise."""
    del key
    return jnp.zeros((len(positions), 0))


def translator(network: Network) -> Network:
    """A network of images as a generator whose condition is the image and whose latents are empty."""

    def apply(params, variables, latents, key, train, condition=None):
        del latents
        return network.apply(params, variables, condition, key, train)

    return Network(network.init, apply)


def without_condition(network: Network) -> Network:
    """A discriminator that ignores the condition."""

    def apply(params, variables, examples, key, train, condition=None):
        del condition
        return flat(network.apply(params, variables, examples, key, train))

    return Network(network.init, apply)


def flat(applied: tuple[Any, PyTree]) -> tuple[Any, PyTree]:
    """Reshapes logits [B, h, w] to [B h w]: each patch counts as an example."""
    outputs, variables = applied
    judged = judgement(outputs)
    return judged._replace(logits=judged.logits.reshape(-1)), variables


def renamed(batch: Batch, names: Mapping[str, str]) -> Batch:
    """The fields of a batch under other names, {new: old}; a UserError for a field that the batch lacks."""
    if not set(names.values()) <= set(batch):
        needed = ' and '.join(sorted(names.values()))
        raise UserError(f'The batch has {", ".join(sorted(batch))}, but this game needs {needed}.')
    return {new: batch[old] for new, old in names.items()}


def over_fields(turns: Sequence[Turn], names: Mapping[str, str]) -> tuple[Turn, ...]:
    """The turns of a game over batches with other field names, {name in the turns: name in the batch}."""

    def over(loss: PlayerLoss) -> PlayerLoss:
        return lambda params, state, batch, key, positions: loss(params, state, renamed(batch, names), key, positions)

    return tuple(turn._replace(loss=over(turn.loss)) for turn in turns)
