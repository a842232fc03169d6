"""The vector field of a game, and products with its Jacobian.

The vector field F of a game consists of the gradients of all players' losses, each with respect to that player's own
parameters. Gradient descent of all players moves along -F. The Jacobian J of F has the players' Hessians on its
diagonal; its other blocks couple the players. Near an equilibrium, continuous play converges if all eigenvalues of J
have positive real parts (Mescheder et al. 2017, "The Numerics of GANs", where the field is -F).

Products with J take reverse mode only, because the rules of `gan_jax.layers.convolution` have no forward mode.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, PyTree, Turn, batch_size

Field = Callable[[PyTree, PyTree], PyTree]
"""(own, seen) -> gradients, all of them parameters of the moving players by name.

The gradients of each player at its parameters in `own`, where the opponents have those in `seen`. At a point, both are
the same.
"""


def vector_field(
    game: Game, state: GanState, batch: Batch, *, key: Key | None = None, positions: Array | None = None
) -> tuple[Field, PyTree]:
    """The vector field of a game in a state, on one batch and one draw of noise, and the parameters at that state.

    Args:
        game: the game. Every turn counts with one move; a turn of every k-th round with 1/k of its gradient.
        state: the state, for everything but the parameters.
        batch: a dict of arrays [B, ...], the batch of one move.
        key: the key of the round; None: that of the state's next round.
        positions: positions [B] of the examples in the global batch; None: 0 .. B-1.

    Returns:
        The field, and the parameters of the players that move, by name.

    Raises:
        UserError: a turn has unrolled moves; the batch is not a dict of arrays of equal size.
    """
    if unrolled := [turn.title for turn in game.turns if turn.unrolled]:
        raise UserError(f'The turn {unrolled[0]!r} has unrolled moves, so the game has no vector field: unset them.')
    key = jax.random.fold_in(state.key, state.step) if key is None else key
    size = batch_size(batch)
    positions = jnp.arange(size) if positions is None else positions
    batch = game.prepared(batch, key, positions)
    keys = {turn.title: turn.key(key) for turn in game.turns}
    return field_of_turns(game.turns, state, batch, keys, positions), moving_params(game, state)


def moving_params(game: Game, state: GanState) -> PyTree:
    """The parameters of the players that have a turn, by name."""
    return {name: state.players[name].params for name in sorted({turn.player for turn in game.turns})}


def field_of_turns(
    turns: Sequence[Turn], state: GanState, batch: Batch, keys: Mapping[str, Key], positions: Array
) -> Field:
    """The field of some turns, each with its own key; other arguments as in `vector_field`."""

    def field(own: PyTree, seen: PyTree) -> PyTree:
        total = jax.tree.map(jnp.zeros_like, own)
        for turn in turns:
            name = turn.player
            players = {
                one: player._replace(params=seen.get(one, player.params)) for one, player in state.players.items()
            }
            players[name] = players[name]._replace(params=own[name])
            gradients, _ = jax.grad(turn.checked_loss, has_aux=True)(
                own[name], state.replace(players=players), batch, keys[turn.title], positions
            )
            total[name] = jax.tree.map(lambda old, new, every=turn.every: old + new / every, total[name], gradients)
        return total

    return field


def jacobian_product(function: Callable[[PyTree], PyTree], point: PyTree, vector: PyTree) -> PyTree:
    """The Jacobian of a function at a point, times a vector like the point; by reverse mode twice."""
    outputs, transposed = jax.vjp(function, point)
    _, product = jax.vjp(lambda cotangents: transposed(cotangents)[0], jax.tree.map(jnp.zeros_like, outputs))
    return product(vector)[0]


class Linearization(NamedTuple):
    """A vector field at a point w. Vectors are trees like the parameters.

    Attributes:
        value: F(w).
        product: v -> J v.
        transposed: v -> J^T v.
        coupling: v -> J v without each player's own Hessian.
    """

    value: PyTree
    product: Callable[[PyTree], PyTree]
    transposed: Callable[[PyTree], PyTree]
    coupling: Callable[[PyTree], PyTree]

    def symmetric(self, vector: PyTree) -> PyTree:
        """S v with the symmetric part S = (J + J^T) / 2, the potential part of the game (Balduzzi et al. 2018)."""
        return jax.tree.map(lambda a, b: (a + b) / 2, self.product(vector), self.transposed(vector))

    def antisymmetric(self, vector: PyTree) -> PyTree:
        """A v with the antisymmetric part A = (J - J^T) / 2, the Hamiltonian part of the game."""
        return jax.tree.map(lambda a, b: (a - b) / 2, self.product(vector), self.transposed(vector))


def linearize(
    field: Field,
    params: PyTree,
    *,
    mean: Callable[[PyTree], PyTree] = lambda tree: tree,
    spread: Callable[[PyTree], PyTree] = lambda tree: tree,
) -> Linearization:
    """The linearisation of a field at a point.

    Args:
        field: from `vector_field`.
        params: the point.
        mean: averages over the devices, each of which has the field of its share of the batch.
        spread: the inverse of `mean` for values that all devices share: gives each device its own copy.
    """
    params = spread(params)

    def both(params: PyTree) -> PyTree:
        return field(params, params)

    value, transposed = jax.vjp(both, params)
    return Linearization(
        mean(value),
        lambda vector: mean(jacobian_product(both, params, spread(vector))),
        lambda vector: mean(transposed(spread(vector))[0]),
        lambda vector: mean(jacobian_product(lambda seen: field(params, seen), params, spread(vector))),
    )
