"""How the players of a game move in a round: in turn, at once, or along other directions than their gradients.

A play belongs to a train step (`gan_jax.steps.make_train_step`), works with any game, and passes its directions to the
optimisers of the players. With plain gradient descent (`sgd`) each is the method of its paper.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax.dynamics.field import Linearization
from gan_jax.dynamics.solve import solve
from gan_jax.errors import UserError
from gan_jax.game import Game, PyTree
from gan_jax.ranges import AMOUNT, COUNT, checked

Amount = Annotated[float, AMOUNT]


class Play(NamedTuple):
    """A way to play a round.

    Attributes:
        simultaneous: whether each player sees its opponents as they were at the beginning of the round.
        extrapolates: whether the gradients are those after a first update of all players, which is then taken back;
            the optimisers keep their states of both updates.
        direct: linearisation of the game at the beginning of the round -> the directions that the optimisers get
            instead of gradients; None: gradients.
    """

    simultaneous: bool
    extrapolates: bool = False
    direct: Callable[[Linearization], PyTree] | None = None

    @property
    def is_directed(self) -> bool:
        """Whether one vector field at one point determines the moves of all players."""
        return self.extrapolates or self.direct is not None

    @property
    def updates(self) -> int:
        """The number of updates of an optimiser in a move."""
        return 2 if self.extrapolates else 1

    def check(self, game: Game) -> None:
        """Raises a UserError if the game cannot be played in this way."""
        if not self.is_directed:
            return
        players = [turn.player for turn in game.turns]
        for turn in game.turns:
            plain = (turn.times, turn.every, turn.gate, turn.unrolled) == (1, 1, None, None)
            if not plain or (turn.fresh and game.batches > 1) or players.count(turn.player) > 1:
                raise UserError(
                    f'This play moves all players together, once in every round, but the turn {turn.title!r} has '
                    'several, lazy, gated or unrolled moves: unset these, or set play.name=simultaneous.'
                )


def alternating() -> Play:
    """One player after the other, each against what the others have become in the round (the default)."""
    return Play(simultaneous=False)


def simultaneous() -> Play:
    """All players at once, each against what the others were at the beginning of the round."""
    return Play(simultaneous=True)


def extragradient() -> Play:
    """The gradients after a step ahead (Korpelevich 1976; Gidel et al. 2019, "A Variational Inequality Perspective").

    Both steps see the same batch and the same noise (Mishchenko et al. 2020, "Revisiting Stochastic Extragradient").
    The state of an optimiser counts both, as in the paper's algorithm 4 (ExtraAdam).
    """
    return Play(simultaneous=True, extrapolates=True)


@checked
def consensus(weight: Amount = 10.0) -> Play:
    """Consensus optimisation: every player also minimises |F|^2 / 2 (Mescheder et al. 2017, "The Numerics of GANs").

    Args:
        weight: gamma in the direction F + gamma J^T F.
    """

    def direct(at: Linearization) -> PyTree:
        return optax.tree.add_scale(at.value, weight, at.transposed(at.value))

    return Play(simultaneous=True, direct=direct)


@checked
def symplectic(weight: Amount = 1.0, align: bool = True) -> Play:
    """Symplectic gradient adjustment (Balduzzi et al. 2018, "The Mechanics of n-Player Differentiable Games").

    Args:
        weight: lambda in the direction F + lambda A^T F, with the antisymmetric part A of the Jacobian.
        align: whether lambda gets the sign that points to stable and away from unstable fixed points (algorithm 1,
            with epsilon 1/10).
    """

    def direct(at: Linearization) -> PyTree:
        rise = at.transposed(at.value)  # the gradient of |F|^2 / 2
        adjustment = jax.tree.map(lambda a, b: (a - b) / 2, rise, at.product(at.value))
        sign = 1.0
        if align:
            alignment = optax.tree.vdot(at.value, rise) * optax.tree.vdot(adjustment, rise)
            sign = jnp.sign(alignment / optax.tree.size(at.value) + 0.1)
        return optax.tree.add_scale(at.value, weight * sign, adjustment)

    return Play(simultaneous=True, direct=direct)


@checked
def competitive(rate: Amount = 2e-4, iterations: Annotated[int, COUNT] = 10, tolerance: Amount = 1e-6) -> Play:
    """Competitive gradient descent: every player expects the others' moves (Schaefer and Anandkumar 2019).

    The direction d solves (I + rate K) d = F, where K is the Jacobian without the players' own Hessians.

    Args:
        rate: the learning rate with which all players are expected to move; the method of the paper is `sgd` with
            this rate.
        iterations: maximum number of products with K in a round; each keeps two vectors of the parameters' size.
        tolerance: the residual, relative to |F|, at which they stop; see `gan_jax.dynamics.solve`.
    """

    def direct(at: Linearization) -> PyTree:
        def system(vector: PyTree) -> PyTree:
            return optax.tree.add_scale(vector, rate, at.coupling(vector))

        return solve(system, at.value, iterations=iterations, tolerance=tolerance)

    return Play(simultaneous=True, direct=direct)


PLAYS: dict[str, Callable[..., Play]] = {
    'alternating': alternating,
    'simultaneous': simultaneous,
    'extragradient': extragradient,
    'consensus': consensus,
    'symplectic': symplectic,
    'competitive': competitive,
}
