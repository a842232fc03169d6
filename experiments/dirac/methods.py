"""The Dirac-GAN and its training methods, with the eigenvalues that theory gives them.

Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", section 2 and appendix. The data are the
point 0, the generator makes the point theta, the discriminator is linear with slope psi. With f(t) = -log(1 + exp(-t))
the discriminator maximises, and the generator minimises, f(psi theta) + f(0).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import losses, optim, plays, steps, terms
from gan_jax.adversarial import adversarial
from gan_jax.dynamics.field import Field, linearize, vector_field
from gan_jax.game import Game, GanState
from gan_jax.networks import pure

RATE = 0.1  # h, of both players
START = (1.0, 1.0)  # theta, psi
SLOPE, CURVATURE = 0.5, -0.25  # f'(0) and f''(0)
CLIP, TARGET, PENALTY, NOISE = 0.3, 0.3, 0.3, 1.0  # as in the authors' code
Matrix = Sequence[Sequence[float]]


class Method(NamedTuple):
    """A way to train the Dirac-GAN.

    Attributes:
        loss: of both players.
        linear: the Jacobian of the field along which theta and psi move, at the equilibrium; None: there is none.
        options: further arguments of `adversarial`.
        play: how the players move at once; in turn they always move along their gradients.
        optimizer: of both players.
        clip: bound of psi; 0: none.
        rounds: polynomials of the eigenvalues of a simultaneous and an alternating round, where they are not those of
            gradient descent along the field.
        published: the paper's answer: whether it converges; None: the paper does not have it.
    """

    loss: losses.Loss
    linear: Matrix | None
    options: Mapping[str, Any] = {}
    play: plays.Play = plays.simultaneous()
    optimizer: Callable[[], optax.GradientTransformation] = functools.partial(optim.sgd, RATE)
    clip: float = 0.0
    rounds: Mapping[str, Sequence[float]] = {}
    published: bool | None = None

    def game(self, start: tuple[float, float] = START) -> Game:
        """The game, over batches {'real': zeros [B, 1]}."""
        return adversarial(
            pure(lambda key: jnp.asarray(start[0], float), lambda theta, z: theta * jnp.ones_like(z)),
            pure(lambda key: jnp.asarray(start[1], float), lambda psi, x: -psi * x[:, 0]),
            self.loss,
            1,
            **self.options,
        )

    def state(self, start: tuple[float, float] = START) -> GanState:
        """The state before the first round."""
        return steps.init_state(self.game(start), self._optimizers(), jax.random.key(0))

    def step(self, order: str) -> steps.TrainStep:
        """The train step of an order, 'simultaneous' or 'alternating'."""
        play = self.play if order == 'simultaneous' else plays.alternating()
        return steps.make_train_step(self.game(), self._optimizers(), play=play)

    def field(self, size: int) -> Field:
        """The field along whose negative the players move at once, on a batch of so many examples."""
        plain, _ = vector_field(self.game(), self.state(), batch(size))
        if self.play.direct is None:
            return plain
        return lambda own, seen: self.play.direct(linearize(plain, own))

    def orders(self) -> tuple[str, ...]:
        """The orders in which the method can be played."""
        return ('simultaneous',) if self.play.is_directed else ('simultaneous', 'alternating')

    def field_eigenvalues(self) -> np.ndarray:
        """Those of the vector field -F in closed form, as in the paper."""
        return -np.linalg.eigvals(np.array(self.linear))

    def round_radius(self, order: str) -> float:
        """The largest magnitude of an eigenvalue of a round in closed form."""
        if order in self.rounds:
            return float(np.abs(np.roots(self.rounds[order])).max())
        (a, b), (c, d) = (RATE * np.array(self.linear)).tolist()
        if order == 'alternating':  # psi first: psi' = (1 - d) psi - c theta, theta' = (1 - a) theta - b psi'
            polynomial = [1.0, -(1 - a) - (1 - d) - b * c, (1 - a) * (1 - d)]
        else:
            polynomial = np.poly([[1 - a, -b], [-c, 1 - d]])
        return float(np.abs(np.roots(polynomial)).max())

    def _optimizers(self) -> dict[str, optax.GradientTransformation]:
        return {'generator': self.optimizer(), 'discriminator': self.optimizer(clip_weights=self.clip)}


def batch(size: int) -> dict[str, jax.Array]:
    """The data: the point 0, so many times."""
    return {'real': jnp.zeros((size, 1))}


def rotation(slope: float, of_theta: float = 0.0, of_psi: float = 0.0) -> Matrix:
    """The Jacobian of F = (slope psi + of_theta theta, -slope theta + of_psi psi)."""
    return [[of_theta, slope], [-slope, of_psi]]


_MINIMAX, _WASSERSTEIN = losses.minimax(), losses.wasserstein()
_ROTATION = RATE * SLOPE
METHODS = {
    'GAN': Method(_MINIMAX, rotation(SLOPE), published=False),
    'non-saturating GAN': Method(losses.non_saturating(), rotation(SLOPE), published=False),
    'WGAN': Method(_WASSERSTEIN, rotation(1.0), clip=CLIP, published=False),
    'WGAN-GP': Method(_WASSERSTEIN, None, {'terms': terms.gradient_penalty(0.5, target=TARGET)}, published=False),
    'consensus optimisation': Method(
        _MINIMAX,
        rotation(SLOPE, PENALTY * SLOPE**2, PENALTY * SLOPE**2),
        play=plays.consensus(PENALTY),
        published=True,
    ),
    'instance noise': Method(
        _MINIMAX, rotation(SLOPE, 0.0, -2 * CURVATURE * NOISE**2), {'noise': lambda step: NOISE}, published=True
    ),
    'gradient penalty (R1)': Method(
        _MINIMAX, rotation(SLOPE, 0.0, PENALTY), {'terms': terms.r1(PENALTY)}, published=True
    ),
    'critical gradient penalty': Method(
        _MINIMAX, rotation(SLOPE, 0.0, 2 * SLOPE), {'terms': terms.r1(2 * SLOPE)}, published=True
    ),
    'symplectic adjustment': Method(_MINIMAX, rotation(SLOPE, SLOPE**2, SLOPE**2), play=plays.symplectic(1.0)),
    'competitive descent': Method(
        _MINIMAX,
        np.linalg.solve(np.eye(2) + RATE * np.array(rotation(SLOPE)), rotation(SLOPE)),
        play=plays.competitive(RATE),
    ),
    'extragradient': Method(
        _MINIMAX,
        rotation(SLOPE),
        play=plays.extragradient(),
        rounds={'simultaneous': np.poly([1 - _ROTATION**2 + 1j * _ROTATION, 1 - _ROTATION**2 - 1j * _ROTATION])},
    ),
    'optimism': Method(
        _MINIMAX,
        rotation(SLOPE),
        optimizer=functools.partial(optim.sgd, RATE, optimism=1.0),
        # (z^2 - z)^2 + (h f'(0))^2 (2 z - 1)^2, and in turn with z (2 z - 1)^2 for the last factor
        rounds={
            'simultaneous': np.polyadd(np.poly([0, 0, 1, 1]), _ROTATION**2 * np.array([4.0, -4.0, 1.0])),
            'alternating': np.polyadd(np.poly([0, 0, 1, 1]), _ROTATION**2 * np.array([4.0, -4.0, 1.0, 0.0])),
        },
    ),
    'negative momentum': Method(
        _MINIMAX,
        rotation(SLOPE),
        optimizer=functools.partial(optim.sgd, RATE, momentum=-0.5),
        # (z - 1)^2 (z - beta)^2 + (h f'(0))^2 z^2, and z^3 in turn (Gidel et al. 2019)
        rounds={
            'simultaneous': np.polyadd(np.poly([1, 1, -0.5, -0.5]), _ROTATION**2 * np.array([1.0, 0.0, 0.0])),
            'alternating': np.polyadd(np.poly([1, 1, -0.5, -0.5]), _ROTATION**2 * np.array([1.0, 0.0, 0.0, 0.0])),
        },
    ),
}
