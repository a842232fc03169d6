"""Standing statistics: batch norm statistics computed with the generator that is sampled.

Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", arXiv:1809.11096, in the form
of the first author's PyTorch code. Running averages come from the weights of past steps, and from latents that are not
truncated.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Game, Player, PyTree, named_key, stream
from gan_jax.runtime import compiler
from gan_jax.sampling.latents import drawn

_COLLECTION = 'batch_stats'


def with_standing_statistics(
    game: Game,
    generator: Player,
    passes: int,
    batch_size: int,
    *,
    num_classes: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> Player:
    """The generator with new statistics in its batch normalisations, and with averaged weights if it has some.

    Each pass in training mode has fresh latents and, in a conditional game, fresh classes, all equally likely. Means
    and variances of its batches are averaged with equal weight. The network may update its statistics as flax does:
    new = momentum old + (1 - momentum) batch, with any momentum below 1.

    Args:
        game: the game.
        generator: its player, on the host or one device.
        passes: number of passes; 16 in BigGAN-PyTorch.
        batch_size: latents of a pass.
        num_classes: how many classes there are; None in an unconditional game.
        threshold: threshold of the latents, see `gan_jax.sampling.latents.truncated`; None: they are not truncated.
        seed: seed of latents and classes.

    Raises:
        UserError: as `check`, or the threshold is too small.
    """
    params, variables = generator.weights
    check(game, variables)
    rest = {name: kept for name, kept in variables.items() if name != _COLLECTION}
    zeros = jax.tree.map(jnp.zeros_like, variables[_COLLECTION])
    average = _compiled(game, passes, batch_size, num_classes, threshold)
    weights = params, {**rest, _COLLECTION: jax.device_get(average(params, rest, zeros, named_key(seed, 'standing')))}
    return generator._replace(variables=weights[1]) if generator.ema is None else generator._replace(ema=weights)


def check(game: Game, variables: PyTree) -> None:
    """Raises a UserError if a generator with these variables has no batch statistics of latents."""
    if game.training_pass is None or game.translates or _COLLECTION not in variables:
        raise UserError(
            'Standing statistics need a generator with latents and batch normalisation, which this one is not: '
            'set standing_statistics to 0.'
        )


@functools.lru_cache(maxsize=4)
def _compiled(
    game: Game, passes: int, batch_size: int, num_classes: int | None, threshold: float | None
) -> Callable[[PyTree, PyTree, PyTree, jax.Array], PyTree]:
    """(params, other variables, zeros in place of the statistics, key) -> the statistics of all passes."""

    @functools.partial(jax.jit, compiler_options=compiler.often())
    def average(params: PyTree, rest: PyTree, zeros: PyTree, root: jax.Array) -> PyTree:
        def add(sums: PyTree, i: jax.Array) -> tuple[PyTree, None]:
            key = jax.random.fold_in(root, i)
            latents = drawn(game.latents, stream(key, 'latents'), jnp.arange(batch_size), threshold)
            classes = jax.random.randint(stream(key, 'classes'), (batch_size,), 0, num_classes or 1)
            condition = None if num_classes is None else classes

            def update(running: PyTree) -> PyTree:
                return game.training_pass(params, {**rest, _COLLECTION: running}, latents, key, condition)[_COLLECTION]

            moved, pull_back = jax.vjp(update, zeros)  # from 0, by 1 - momentum times the batch's statistics
            (momentum,) = pull_back(jax.tree.map(jnp.ones_like, moved))
            return jax.tree.map(lambda total, new, kept: total + new / (1 - kept), sums, moved, momentum), None

        sums, _ = jax.lax.scan(add, zeros, jnp.arange(passes))
        return jax.tree.map(lambda total: total / passes, sums)

    return average
