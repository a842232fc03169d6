"""The bilinear game x^T A y and its optimisers, with the eigenvalues that theory gives their rounds."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import losses, optim, plays, steps
from gan_jax.adversarial import adversarial
from gan_jax.game import Game
from gan_jax.networks import pure

SIZE = 10  # of x and of y
SINGULAR_VALUES = np.linspace(0.5, 1.0, SIZE)
MOMENTUM, WEIGHT = -0.5, 1.0


class Method(NamedTuple):
    """An optimiser of games.

    Attributes:
        play: learning rate -> how the players move.
        optimizer: learning rate -> the optimiser of each player.
        polynomial: s = (rate times a singular value, rate) -> the polynomial of the eigenvalues of a round in the plane
            of that singular value; None: no closed form.
        gradients: gradients, or products with the Jacobian, in a round; at most.
        source: where the closed form or the method is from.
    """

    play: Callable[[float], plays.Play]
    optimizer: Callable[[float], optax.GradientTransformation]
    polynomial: Callable[[float, float], np.ndarray] | None
    gradients: int
    source: str

    def radius(self, rate: float) -> float:
        """The largest magnitude of an eigenvalue of a round: the asymptotic factor of the distance."""
        return max(float(np.abs(np.roots(self.polynomial(rate * one, rate))).max()) for one in SINGULAR_VALUES)

    def best_rate(self) -> float:
        """The learning rate with the smallest radius, of 400 between 0.005 and 2."""
        rates = np.linspace(0.005, 2.0, 400)
        return float(rates[np.argmin([self.radius(rate) for rate in rates])])

    def distances(self, rate: float, rounds: int) -> np.ndarray:
        """The distance [rounds + 1] of (x, y) from the solution 0, relative to the first."""
        game, optimizers = bilinear_game(), dict.fromkeys(('generator', 'discriminator'), self.optimizer(rate))
        state = steps.init_state(game, optimizers, jax.random.key(0))
        step = steps.make_train_step(game, optimizers, play=self.play(rate))

        def distance(state):
            return jnp.hypot(jnp.linalg.norm(state.generator.params), jnp.linalg.norm(state.discriminator.params))

        def one(state, _):
            state, _ = step(state, {'real': jnp.zeros((1, SIZE))})
            return state, distance(state)

        found = jax.jit(lambda state: jax.lax.scan(one, state, None, rounds)[1])(state)
        return np.concatenate([[1.0], np.asarray(found / distance(state))])


def matrix() -> np.ndarray:
    """A, with known singular values and random singular vectors."""
    left, right = (np.linalg.qr(np.random.default_rng(seed).normal(size=(SIZE, SIZE)))[0] for seed in (0, 1))
    return left * SINGULAR_VALUES @ right


def bilinear_game() -> Game:
    """The generator minimises x^T A y over x, the discriminator maximises it over y; both start at random."""
    payoff = matrix()
    return adversarial(
        pure(lambda key: jax.random.normal(key, (SIZE,), float), lambda x, z: jnp.tile(x, (len(z), 1))),
        pure(lambda key: jax.random.normal(key, (SIZE,), float), lambda y, x: -x @ payoff @ y),
        losses.wasserstein(),
        1,
    )


def _rotating(polynomial: Callable[[complex, float], np.ndarray]) -> Callable[[float, float], np.ndarray]:
    """The product over the two eigenvalues ± i s of rate times the Jacobian."""
    return lambda s, rate: np.polymul(polynomial(1j * s, rate), polynomial(-1j * s, rate))


def _gradients(name: str) -> Callable[[float], plays.Play]:
    return lambda rate: plays.PLAYS[name]()


_SGD = optim.sgd
_ADAM = functools.partial(optim.adam, b1=0.5, b2=0.9)
METHODS = {
    'simultaneous': Method(
        _gradients('simultaneous'), _SGD, _rotating(lambda m, rate: np.array([1, m - 1])), 1, 'Gidel et al. 2019a'
    ),
    'alternating': Method(
        _gradients('alternating'), _SGD, lambda s, rate: np.array([1, s**2 - 2, 1]), 1, 'Gidel et al. 2019a'
    ),
    'negative momentum, simultaneous': Method(
        _gradients('simultaneous'),
        functools.partial(optim.sgd, momentum=MOMENTUM),
        _rotating(lambda m, rate: np.polyadd(np.poly([1, MOMENTUM]), [m, 0])),
        1,
        'Gidel et al. 2019b',
    ),
    'negative momentum, alternating': Method(
        _gradients('alternating'),
        functools.partial(optim.sgd, momentum=MOMENTUM),
        lambda s, rate: np.polyadd(np.poly([1, 1, MOMENTUM, MOMENTUM]), [s**2, 0, 0, 0]),
        1,
        'Gidel et al. 2019b',
    ),
    'optimism': Method(
        _gradients('simultaneous'),
        functools.partial(optim.sgd, optimism=1.0),
        _rotating(lambda m, rate: np.array([1, 2 * m - 1, -m])),
        1,
        'Daskalakis et al. 2018',
    ),
    'extragradient': Method(
        _gradients('extragradient'),
        _SGD,
        _rotating(lambda m, rate: np.array([1, m - m**2 - 1])),
        2,
        'Gidel et al. 2019a',
    ),
    'consensus': Method(
        lambda rate: plays.consensus(WEIGHT),
        _SGD,
        lambda s, rate: np.poly([1 - WEIGHT * s**2 / rate + 1j * s, 1 - WEIGHT * s**2 / rate - 1j * s]),
        2,
        'Mescheder et al. 2017',
    ),
    'symplectic adjustment': Method(
        lambda rate: plays.symplectic(WEIGHT),
        _SGD,
        lambda s, rate: np.poly([1 - WEIGHT * s**2 / rate + 1j * s, 1 - WEIGHT * s**2 / rate - 1j * s]),
        3,
        'Balduzzi et al. 2018: A = J here',
    ),
    'competitive': Method(
        lambda rate: plays.competitive(rate, iterations=2 * SIZE, tolerance=1e-12),
        _SGD,
        lambda s, rate: np.poly([1 / (1 + 1j * s), 1 / (1 - 1j * s)]),
        1 + 2 * SIZE,
        'Schaefer and Anandkumar 2019: implicit steps here',
    ),
    'Adam, alternating': Method(_gradients('alternating'), _ADAM, None, 1, 'no closed form'),
    'optimistic Adam': Method(
        _gradients('simultaneous'),
        functools.partial(_ADAM, optimism=1.0),
        None,
        1,
        'Daskalakis et al. 2018, algorithm 1',
    ),
    'ExtraAdam': Method(_gradients('extragradient'), _ADAM, None, 2, 'Gidel et al. 2019a, algorithm 4'),
}
