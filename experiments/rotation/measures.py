"""Trains a config's game, and measures its vector field on the way."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from ml_collections import ConfigDict

from experiments.loop import make_loop
from gan_jax import build
from gan_jax.dynamics.field import linearize, moving_params, vector_field
from gan_jax.dynamics.paths import path
from gan_jax.dynamics.spectrum import arnoldi
from gan_jax.game import GanState, named_key
from gan_jax.training import run

EIGENVALUES = 20
SHARES = np.linspace(0.0, 1.3, 27)  # of the way from the first state to the last
_MEASURED = 2**20  # number of the batch of all measurements, far from those of training
Record = dict[str, Any]


class Program(NamedTuple):
    """The compiled functions of a config.

    Attributes:
        start: seed -> the state before the first step.
        train: (state, seed, step) -> the state at that step.
        product: (state, seed, vector [n]) -> J v [n].
        along: (first state, last state, seed) -> the `Path` between them.
    """

    start: Any
    train: Any
    product: Any
    along: Any


def make_program(config: ConfigDict) -> Program:
    """Makes the functions of a config's game on its data."""
    dataset = run.load_data(config.data)
    game = build.make_game(config, dataset.shape)
    loop = make_loop(config, dataset, game, build.make_step(config, game))
    examples = jax.tree.map(jnp.asarray, dataset.arrays)

    def field_at(state, seed):
        batch = loop.batch_at(examples, seed, _MEASURED)
        return vector_field(game, state, batch, key=named_key(seed, 'measured'))

    def train(state: GanState, seed, until) -> GanState:
        return loop.train(state, examples, seed, until)

    def product(state: GanState, seed, vector):
        field, params = field_at(state, seed)
        unravel = ravel_pytree(params)[1]
        return ravel_pytree(linearize(field, params).product(unravel(vector)))[0]

    def along(first: GanState, last: GanState, seed):
        field, end = field_at(last, seed)
        return path(field, moving_params(game, first), end, SHARES)

    def start(seed) -> GanState:
        return build.initializer(config, game)(build.initial_key(config, seed))

    return Program(*map(jax.jit, (start, train, product, along)))


def measure(program: Program, seed: int, steps: Sequence[int]) -> Record:
    """Trains with a seed; the eigenvalues {step: [[real, imaginary], ...]}, 'angle' and 'norm' of the path, as JSON."""
    first = state = program.start(seed)
    found = {}
    for step in steps:
        state = program.train(state, seed, step)
        like = ravel_pytree({name: player.params for name, player in state.players.items()})[0]
        values = arnoldi(
            lambda vector, state=state: program.product(state, seed, vector), like, EIGENVALUES, tolerance=1e-2
        )
        found[str(step)] = [[float(value.real), float(value.imag)] for value in values]
    way = program.along(first, state, seed)
    return {'eigenvalues': found, 'angle': way.angle.tolist(), 'norm': way.norm.tolist()}


def summary(record: Record) -> dict[str, dict[str, float]]:
    """Numbers about the eigenvalues of each step."""
    found = {}
    for step, pairs in record['eigenvalues'].items():
        real, imaginary = np.array(pairs).T
        magnitude = np.hypot(real, imaginary)
        found[step] = {
            'largest magnitude': float(magnitude.max()),
            'smallest real part': float(real.min()),
            'largest imaginary part': float(np.abs(imaginary).max()),
            'share that rotates': float((np.abs(imaginary) > magnitude / 10).mean()),
        }
    return found
