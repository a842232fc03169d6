"""What games of image translation have in common: translators as generators, patches as examples, and their terms.

They are made of `gan_jax.adversarial.adversarial`, whose condition is the image to translate, so that its losses,
terms, replay, balance, lazy updates and averages work here as they do there.
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
    """A term of the generator's loss, if it weighs anything."""
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
    """A discriminator that looks at the example alone."""

    def apply(params, variables, examples, key, train, condition=None):
        del condition
        return flat(network.apply(params, variables, examples, key, train))

    return Network(network.init, apply)


def flat(applied: tuple[Any, PyTree]) -> tuple[Any, PyTree]:
    """Logits [B, h, w] as [B h w]: each patch is judged as an example is."""
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
    """The turns of a game over batches whose fields have other names, {as the turns call it: as the batch does}."""

    def over(loss: PlayerLoss) -> PlayerLoss:
        return lambda params, state, batch, key, positions: loss(params, state, renamed(batch, names), key, positions)

    return tuple(turn._replace(loss=over(turn.loss)) for turn in turns)
