"""Trains a new discriminator against a frozen generator, and measures the generator's gradients."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from ml_collections import ConfigDict

from experiments.loop import make_loop
from gan_jax import build, data, steps
from gan_jax import config as configs
from gan_jax.game import Game, GanState, Player, named_key

BATCHES = 8  # of a measurement
READINGS = 12  # of a probe, beside that before the first step
_FRESH = 2**20  # number of the first batch of a measurement, far from those of training
Record = dict[str, Any]


def iterations(total: int) -> list[int]:
    """When to measure: before the first step, after it, and then in equal ratios up to the last."""
    return [0, *np.unique(np.geomspace(1, total, READINGS).round().astype(int)).tolist()]


def make_probe(config: ConfigDict, games: Mapping[str, Game], dataset: data.Dataset) -> Callable[[Player, int], Record]:
    """The experiment of Arjovsky and Bottou 2017, "Towards Principled Methods for Training GANs", figures 2 and 3.

    Args:
        config: config of the discriminator and its training; `duration` is the number of its steps.
        games: {loss: game}, which differ in nothing but the generator's loss.
        dataset: what the discriminator is to tell from generated examples.

    Returns:
        (generator, seed) -> the measurements along 'iterations', as JSON: the discriminator's 'accuracy' and 'loss',
        and for each loss under 'norms' the mean Euclidean norm of the generator's gradient by one batch, under
        'variances' the trace of the covariance of such gradients.
    """
    game = next(iter(games.values()))
    optimizers = build.make_optimizers(config, game) | {'generator': optax.set_to_zero()}  # frozen
    loop = make_loop(config, dataset, game, steps.make_train_step(game, optimizers))
    train, examples = jax.jit(loop.train), jax.tree.map(jnp.asarray, dataset.arrays)

    @jax.jit
    def start(generator: Player, seed) -> GanState:
        state = steps.init_state(game, optimizers, named_key(seed, 'probe'))
        return state.with_player('generator', params=generator.params, variables=generator.variables)

    generator_gradients = {name: jax.grad(one.turn('generator').loss, has_aux=True) for name, one in games.items()}

    @jax.jit
    def measure(state: GanState, arrays, seed):
        def one(number):
            key = jax.random.fold_in(named_key(seed, 'reading'), number)
            moment = state, loop.batch_at(arrays, seed, _FRESH + number), key, loop.positions
            loss, outcome = game.turn('discriminator').loss(state.discriminator.params, *moment)
            gradients = {
                name: ravel_pytree(gradient(state.generator.params, *moment)[0])[0]
                for name, gradient in generator_gradients.items()
            }
            return {'loss': loss, 'accuracy': outcome.metrics['accuracy']}, gradients

        opinions, gradients = jax.lax.map(one, jnp.arange(BATCHES))
        return {
            **jax.tree.map(jnp.mean, opinions),
            'norms': {name: jnp.linalg.norm(of, axis=1).mean() for name, of in gradients.items()},
            'variances': {name: of.var(axis=0, ddof=1).sum() for name, of in gradients.items()},
        }

    def probe(generator: Player, seed: int) -> Record:
        whens, readings = iterations(configs.steps(config, 'duration')), []
        state = start(generator, seed)
        for when in whens:
            state = train(state, examples, seed, when)
            readings.append(jax.device_get(measure(state, examples, seed)))
        return {'iterations': whens, **jax.tree.map(lambda *values: [float(value) for value in values], *readings)}

    return probe
