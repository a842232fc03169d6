"""Common parts of image translation games: translators as generators, patches as examples, scales, and terms.

The games use `gan_jax.adversarial.adversarial` with the image to translate as condition, so that its losses,
terms, replay, balance, lazy updates and averages work in the same way.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import losses
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, GanState, Key, Pair, PlayerLoss, PyTree, Turn
from gan_jax.judgement import judgement
from gan_jax.losses import Loss
from gan_jax.networks import Network
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
    return over_batches(turns, lambda batch, *_: renamed(batch, names))


def over_batches(turns: Sequence[Turn], change: Callable[[Batch, GanState, Key, Array], Batch]) -> tuple[Turn, ...]:
    """The turns of a game over other batches.

    Args:
        turns: the turns.
        change: (batch, state, key of the turn, positions [B]) -> the batch that the turns see. `Game.prepare` is for
            what all turns of a round share and needs no state.
    """

    def over(loss: PlayerLoss) -> PlayerLoss:
        return lambda params, state, batch, key, positions: loss(
            params, state, change(batch, state, key, positions), key, positions
        )

    return tuple(turn._replace(loss=over(turn.loss)) for turn in turns)


def at_scales(
    loss: Loss | None,
    discriminators: Mapping[str, Network],
    critics: Mapping[str, Network] | None,
    shape: tuple[int, int, int],
) -> dict[str, Any]:
    """Arguments of `gan_jax.two_domains.both_ways` for discriminators of several scales.

    Args:
        loss: the loss of each player, which is summed over the scales; None: `gan_jax.losses.mean_squares`.
        discriminators: images -> logits [B, ...], or a tuple of them, one for each scale.
        critics: those for gradient penalties, or None.
        shape: (H, W, C) of the images of one of them.

    Returns:
        The 'loss', 'discriminators' and 'critics', all over rows of logits [B, n], those of all scales.
    """
    counts = logits_of_scales(next(iter(discriminators.values())), shape)
    return {
        'loss': over_scales(loss or losses.mean_squares(), counts),
        'discriminators': {name: _with_rows(one) for name, one in discriminators.items()},
        'critics': critics and {name: _with_rows(one) for name, one in critics.items()},
    }


def _with_rows(network: Network) -> Network:
    """A discriminator that ignores the condition, with one row of logits for an image."""

    def apply(params, variables, examples, key, train, condition=None):
        del condition
        return in_rows(network.apply(params, variables, examples, key, train))

    return Network(network.init, apply)


def in_rows(applied: tuple[Any, PyTree]) -> tuple[Any, PyTree]:
    """Puts logits [B, h, w] of several scales into one row per image: [B, n], those of one scale after the other."""
    outputs, variables = applied
    judged = judgement(outputs, has_scales=True)
    rows = [logits.reshape(len(logits), -1) for logits in jax.tree.leaves(judged.logits)]
    return judged._replace(logits=jnp.concatenate(rows, axis=-1)), variables


def logits_of_scales(network: Network, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The number of logits that a discriminator has for an image of that shape at each of its scales."""

    def discriminate(key: Key) -> Any:
        outputs, _ = network.apply(*network.init(key), jnp.zeros((1, *shape)), key, True)
        return judgement(outputs, has_scales=True).logits

    return tuple(logits.size for logits in jax.tree.leaves(jax.eval_shape(discriminate, jax.random.key(0))))


def over_scales(loss: Loss, counts: Sequence[int]) -> Loss:
    """The sum of a loss over the scales of a discriminator.

    Args:
        loss: the loss at each scale.
        counts: number of logits of an image at each scale; rows of logits [B, sum(counts)] are those of one after the
            other.
    """
    ends = list(itertools.accumulate(counts))[:-1]

    def each(*logits: Array) -> zip:
        return zip(*(jnp.split(one, ends, axis=-1) for one in logits), strict=True)

    def discriminator(real: Array, fake: Array, key: Key | None = None) -> Array:
        return sum(loss.discriminator(*scale, key) for scale in each(real, fake))

    def generator(fake: Array, real: Array | None = None) -> Array:
        return sum(loss.generator(*scale) for scale in (each(fake) if real is None else each(fake, real)))

    def parts(real: Array, fake: Array, key: Key | None = None) -> tuple[Array, Array]:
        return tuple(map(sum, zip(*(loss.parts(*scale, key) for scale in each(real, fake)), strict=True)))

    controller = loss.controller
    if controller is not None:
        controller = controller._replace(at=lambda number: over_scales(loss.controller.at(number), counts))
    return loss._replace(
        discriminator=discriminator, generator=generator, parts=loss.parts and parts, controller=controller
    )
