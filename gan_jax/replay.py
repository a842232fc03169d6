"""Experience replay: a buffer of earlier fake examples in the state, so that a resumed run has it too."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError


class Replay(NamedTuple):
    """The stored fake examples.

    Attributes:
        examples: [N, ...].
        conditions: [N, ...] or None.
        filled: bool [N], whether a place is used.
    """

    examples: jax.Array
    conditions: jax.Array | None
    filled: jax.Array


def start_replay(size: int, shape: tuple[int, ...], condition: jax.ShapeDtypeStruct | None) -> Replay:
    """An empty buffer of `size` places for examples of that shape."""
    conditions = None if condition is None else jnp.zeros((size, *condition.shape), condition.dtype)
    return Replay(jnp.zeros((size, *shape)), conditions, jnp.zeros(size, bool))


def exchange(
    replay: Replay,
    examples: jax.Array,
    conditions: jax.Array | None,
    key: jax.Array,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array | None, Replay]:
    """Exchanges some of the examples with stored ones.

    The pool of Shrivastava et al. 2017 ("Learning from Simulated and Unsupervised Images through Adversarial
    Training", section 2.3) as in CycleGAN: each example gets a different random place. An empty
    place stores and shows it. A full place shows, with probability 1/2, the stored example instead, and the
    new one replaces it.

    Args:
        replay: the buffer.
        examples: this device's share [B, ...] of the global batch.
        conditions: the conditions of the examples, or None.
        key: the random key of the complete batch.
        axis_name: the mapped axis of the global batch, or None.

    Returns:
        The examples to show [B, ...], their conditions, and the buffer, which is the same on every device.

    Raises:
        UserError: the buffer has fewer places than the global batch has examples, or the generator shows several images
            of each.
    """
    everywhere = global_batch.gather(jax.lax.stop_gradient((examples, conditions)), axis_name)
    here = global_batch.positions(len(examples), axis_name)
    size, batch = len(replay.filled), len(everywhere[0])
    if batch > size:
        raise UserError(f'replay={size} is too small: the buffer must hold at least a batch of {batch} examples.')
    if replay.examples.shape[1:] != examples.shape[1:]:
        raise UserError(
            'The replay buffer stores one image per example, but this generator returns several during '
            'training: set replay=0, or generator.stages=1.'
        )
    place_key, coin_key = jax.random.split(key)
    places = jax.random.permutation(place_key, size)[:batch]
    swap = jax.random.bernoulli(coin_key, 0.5, (batch,)) & replay.filled[places]
    store = swap | ~replay.filled[places]

    def choose(flags, yes, no):
        return jnp.where(flags.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)

    def shown(memory, values):
        return choose(swap[here], memory[places[here]].astype(values.dtype), values)

    def stored(memory, values):
        return memory.at[places].set(choose(store, values.astype(memory.dtype), memory[places]))

    memory = (replay.examples, replay.conditions)
    # The shown examples keep their gradients: an unrolled discriminator passes them to the generator.
    examples, conditions = jax.tree.map(shown, memory, (examples, conditions))
    return examples, conditions, Replay(*jax.tree.map(stored, memory, everywhere), replay.filled.at[places].set(True))
