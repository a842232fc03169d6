"""Games whose vector fields are linear, F(w) = M w + b: every play of them has a closed form."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game import Game, Outcome, Turn

PLACES = {'x': slice(0, 2), 'y': slice(2, 5), 'z': slice(5, 6)}  # the parameters of each player


def split(vector):
    """A vector [6] as parameters by player."""
    return {name: jnp.asarray(vector)[place] for name, place in PLACES.items()}


def join(params):
    """The inverse of `split`."""
    return np.concatenate([params[name] for name in PLACES])


def blocks(matrix):
    """A matrix [6, 6] with the players' own blocks only."""
    diagonal = np.zeros_like(matrix)
    for own in PLACES.values():
        diagonal[own, own] = matrix[own, own]
    return diagonal


def random_matrix(seed=0):
    """A matrix M [6, 6] whose diagonal blocks are symmetric, as those of Hessians are."""
    matrix = np.random.default_rng(seed).normal(size=(6, 6))
    return matrix + (blocks(matrix).T - blocks(matrix)) / 2


def quadratic_game(matrix, offset, start):
    """The game of three players with F(w) = M w + b, where b is `offset` [6] times the mean of 'real' [B]."""
    own_blocks = blocks(matrix)

    def turn(name):
        own = PLACES[name]

        def loss(params, state, batch, key, positions):
            del key, positions
            point = jnp.concatenate([state.players[one].params for one in PLACES])
            slope = (matrix - own_blocks)[own] @ point + offset[own] * batch['real'].mean()
            return params @ own_blocks[own, own] @ params / 2 + params @ slope, Outcome({}, {})

        return Turn(name, loss)

    return Game(
        lambda key: {name: (params, {}) for name, params in split(start).items()},
        tuple(map(turn, PLACES)),
        sample=lambda params, variables, latents, condition=None: latents,
        latents=lambda key, positions: jax.random.normal(key, (len(positions), 1)),
        averaged=(),
    )
