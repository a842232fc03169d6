"""The game: a frozen tuple of pure functions, and the state that training carries.

A `Game` is to a GAN what `optax.GradientTransformation` is to an optimiser. It knows its two players' losses and how to
sample, and nothing of devices, files, configs or optimisers. `adversarial` makes the usual game of a generator against
a discriminator; any other game is another tuple of the same four functions.

Which pass updates what (batch statistics and all other variables; tested in tests/test_steps.py):

| step | differentiated | variables that change |
| --- | --- | --- |
| discriminator | its parameters | its own, by its pass over the real and then by its pass over the fake examples |
| generator | its parameters | its own, by its one pass |

The opponent always runs in training mode (batch norm normalises with the batch at hand) and what it would have
updated is thrown away. So a step leaves every bit of the opponent as it was.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from gan_jax.losses import Loss

Array = jax.Array
Key = jax.Array
PyTree = Any
Batch = Mapping[str, Array]


class Pair(NamedTuple):
    """One thing for each player."""

    generator: Any
    discriminator: Any


class Player(NamedTuple):
    """All that belongs to one player.

    Attributes:
        params: float32 parameters, what its optimiser moves.
        variables: all else its network carries (batch statistics, spectral vectors); `{}` when stateless.
        opt_state: its optax state.
        ema: moving averages of (params, variables), or None.
    """

    params: PyTree
    variables: PyTree
    opt_state: PyTree
    ema: PyTree | None = None


@flax.struct.dataclass
class GanState:
    """Everything that training carries; saving it saves the run.

    Attributes:
        step: int32 scalar, the number of generator steps taken.
        key: the root key (typed). A step derives its randomness from `fold_in(key, step)`; the key never changes.
        generator: the generator's `Player`.
        discriminator: the discriminator's `Player`.
    """

    step: Array
    key: Key
    generator: Player
    discriminator: Player


class Network(NamedTuple):
    """A network as two pure functions.

    Attributes:
        init: key -> (params, variables).
        apply: (params, variables, inputs, key, train) -> (outputs, new variables). `train` is a Python bool; with
            `train=False` the key may be None and the variables come back unchanged.
    """

    init: Callable[[Key], tuple[PyTree, PyTree]]
    apply: Callable[[PyTree, PyTree, Array, Key | None, bool], tuple[Array, PyTree]]


def named_key(seed: int, name: str) -> Key:
    """The root key of one of a run's streams of randomness: the same for the same seed and name."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


class Game(NamedTuple):
    """A two-player game as pure functions.

    A player's loss is `(params, state, batch, key, positions) -> (scalar, (new variables, metrics))`: it is
    differentiated with respect to `params`, that player's own; everything else is read from `state`. `positions` are
    the places [B] of the batch's examples in the global batch: noise drawn from them does not depend on how the batch
    lies over devices.

    Attributes:
        init: key -> Pair of (params, variables).
        discriminator_loss: the discriminator's loss.
        generator_loss: the generator's loss.
        sample: (params, variables, latents [n, ...]) -> examples [n, ...], the generator in evaluation mode.
        latents: (key, positions [n]) -> latents [n, ...], one independent draw for each position.
    """

    init: Callable[[Key], Pair]
    discriminator_loss: Callable[..., tuple[Array, tuple[PyTree, dict[str, Array]]]]
    generator_loss: Callable[..., tuple[Array, tuple[PyTree, dict[str, Array]]]]
    sample: Callable[[PyTree, PyTree, Array], Array]
    latents: Callable[[Key, Array], Array]


def pure(init: Callable[[Key], PyTree], apply: Callable[[PyTree, Array], Array]) -> Network:
    """A network from any pure pair `init(key) -> params` and `apply(params, inputs) -> outputs`."""

    def apply_stateless(params, variables, inputs, key, train):
        del key, train
        return apply(params, inputs), variables

    return Network(lambda key: (init(key), {}), apply_stateless)


def from_flax(module: nn.Module, input_shape: tuple[int, ...]) -> Network:
    """A network from a linen module called as `module(inputs, train=...)`, for inputs [batch, *input_shape].

    Collections other than `params` are the network's variables, all of them mutable in training. The key feeds every
    random stream the module asks for (dropout among them).
    """

    def init(key: Key) -> tuple[PyTree, PyTree]:
        variables = dict(module.init(key, jnp.zeros((1, *input_shape)), train=False))
        return variables.pop('params'), variables

    def apply(params, variables, inputs, key, train):
        if not train:
            return module.apply({'params': params, **variables}, inputs, train=False), variables
        outputs, updated = module.apply(
            {'params': params, **variables}, inputs, train=True, rngs=key, mutable=list(variables)
        )
        return outputs, {**variables, **updated}

    return Network(init, apply)


def normal_latents(shape: tuple[int, ...] | int) -> Callable[[Key, Array], Array]:
    """Standard normal latents of the given shape, one draw for each position."""
    return _per_position(jax.random.normal, shape)


def uniform_latents(shape: tuple[int, ...] | int) -> Callable[[Key, Array], Array]:
    """Latents uniform in [-1, 1), as in the DCGAN paper, one draw for each position."""
    return _per_position(lambda key, shape: jax.random.uniform(key, shape, minval=-1.0), shape)


def _per_position(draw, shape):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)

    def latents(key: Key, positions: Array) -> Array:
        return jax.vmap(lambda position: draw(jax.random.fold_in(key, position), shape))(positions)

    return latents


LATENTS = {'normal': normal_latents, 'uniform': uniform_latents}


def adversarial(
    generator: Network, discriminator: Network, loss: Loss, latents: Callable[[Key, Array], Array] | int
) -> Game:
    """The game of one generator against one discriminator (Goodfellow et al. 2014, algorithm 1).

    Args:
        generator: latents [B, ...] -> examples [B, ...].
        discriminator: examples [B, ...] -> logits [B].
        loss: what each minimises.
        latents: how latents are drawn, or the size of a standard normal latent vector.

    Returns:
        A game over batches `{'real': [B, ...]}`. Real and fake examples pass through the discriminator one after the
        other, each normalised by its own batch statistics (Ioffe and Szegedy 2015; the DCGAN practice).
    """
    if isinstance(latents, int):
        latents = normal_latents(latents)

    def init(key: Key) -> Pair:
        generator_key, discriminator_key = jax.random.split(key)
        return Pair(generator.init(generator_key), discriminator.init(discriminator_key))

    def discriminator_loss(params, state: GanState, batch: Batch, key: Key, positions: Array):
        latent_key, generator_key, real_key, fake_key = jax.random.split(key, 4)
        player = state.generator
        fake, _ = generator.apply(player.params, player.variables, latents(latent_key, positions), generator_key, True)
        variables = state.discriminator.variables
        real_logits, variables = discriminator.apply(params, variables, batch['real'], real_key, True)
        fake_logits, variables = discriminator.apply(params, variables, fake, fake_key, True)
        metrics = {
            'real_probability': jax.nn.sigmoid(real_logits).mean(),
            'fake_probability': jax.nn.sigmoid(fake_logits).mean(),
            'accuracy': ((real_logits > 0).mean() + (fake_logits < 0).mean()) / 2,
        }
        return loss.discriminator(real_logits, fake_logits), (variables, metrics)

    def generator_loss(params, state: GanState, batch: Batch, key: Key, positions: Array):
        del batch
        latent_key, generator_key, fake_key = jax.random.split(key, 3)
        fake, variables = generator.apply(
            params, state.generator.variables, latents(latent_key, positions), generator_key, True
        )
        player = state.discriminator
        logits, _ = discriminator.apply(player.params, player.variables, fake, fake_key, True)
        return loss.generator(logits), (variables, {})

    def sample(params: PyTree, variables: PyTree, latents: Array) -> Array:
        return generator.apply(params, variables, latents, None, False)[0]

    return Game(init, discriminator_loss, generator_loss, sample, latents)
