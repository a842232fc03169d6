"""Differential privacy of a training by noisy gradients: what is promised, and what has been spent.

Definition (Dwork et al. 2006): a random training M is (epsilon, delta)-private if P(M(D) in S) <= e^epsilon P(M(D') in
S) + delta for every set S of results and all data sets D and D' of which one has one example more. The accountants are
those of Google's dp-accounting.
"""

import functools
import math
import warnings
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax import games
from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, is_on

ACCOUNTANTS = {'pld': 'PLDAccountant', 'rdp': 'RdpAccountant'}
_TOLERANCE = 1e-3  # of a noise multiplier that is found for an epsilon; it is never too small
_DRAWS = 2**32  # an example is drawn by comparing 32 random bits with the rate
_FAR = 500.0  # e^epsilon beyond it is no guarantee, and would overflow


class Privacy(NamedTuple):
    """Noisy gradient steps on Poisson batches: DP-SGD (Abadi et al. 2016, algorithm 1).

    Attributes:
        examples: number of examples of the data; None before they are loaded.
        batch_size: places of a batch; those of a Poisson batch that has more examples are left out.
        filling: the expected number of examples in a batch, as a share of its places.
        rounds: number of rounds of the training.
        moves: noisy steps in each round, each on a batch of its own.
        epsilon: that of the complete training, which determines the noise; 0: the noise is given.
        delta: the probability delta.
        noise: standard deviation of the noise over the norm to which gradients are clipped, if no epsilon is given; 0:
            no noise, and no privacy.
        accountant: 'pld', privacy loss distributions (Koskela et al. 2020), or 'rdp', Renyi differential privacy
            (Mironov 2017), which is quicker and needs more noise.
    """

    examples: int | None
    batch_size: int
    filling: float
    rounds: int
    moves: int = 1
    epsilon: float = 0.0
    delta: float = 0.0
    noise: float = 0.0
    accountant: str = 'pld'

    @property
    def expected(self) -> float:
        """The expected number of examples in a batch."""
        return self.filling * self.batch_size

    @property
    def rate(self) -> float:
        """The probability with which each example is in a batch, a multiple of 2^-32."""
        if self.examples is None:
            raise UserError('A private game needs the number of examples of its data: set data.examples.')
        return min(1.0, round(self.expected / self.examples * _DRAWS) / _DRAWS)

    @property
    def noise_multiplier(self) -> Any:
        """Standard deviation of the noise over the norm of clipped gradients: given, or found for the epsilon.

        Raises:
            UserError: dp-accounting is not installed, or no noise suffices.
        """
        if not float(self.epsilon):
            return self.noise
        return _calibrated(self.accountant, self.rate, self.rounds * self.moves, float(self.epsilon), self.delta)

    @property
    def is_private(self) -> bool:
        """Whether there is noise."""
        return is_on(self.epsilon) or is_on(self.noise)

    def check(self) -> None:
        """Raises a UserError for numbers that do not make a promise."""
        choose(ACCOUNTANTS, self.accountant, 'accountant')
        if self.epsilon and self.noise:
            raise UserError(
                f'game.epsilon={self.epsilon} determines the noise, so game.noise={self.noise} has no effect: set one '
                'of them to 0.'
            )
        if self.is_private and not self.delta:
            what = 'epsilon' if self.epsilon else 'noise'
            raise UserError(f'game.{what} needs a game.delta above 0, such as 1e-5, far below 1 / number of examples.')

    def spent(self, rounds: int) -> tuple[float, float]:
        """The (epsilon, delta) of the first rounds; epsilon is infinite without noise.

        A batch with more examples than places loses some, which the accountants do not know. With tau, the
        probability that this happens in any of the batches, the training is within tau of one with all examples, and
        delta grows by (1 + e^epsilon) tau (Chua et al. 2024, "Scalable DP-SGD: Shuffling vs. Poisson Subsampling").
        """
        steps = rounds * self.moves
        if not self.is_private:
            return (math.inf if steps else 0.0), self.delta
        epsilon = _epsilon(self.accountant, self.rate, steps, self.noise_multiplier, self.delta)
        return epsilon, min(1.0, self.delta + (1 + math.exp(min(epsilon, _FAR))) * steps * self.overflow)

    @property
    def overflow(self) -> float:
        """The probability that a batch has more examples than places."""
        from scipy import stats

        return float(stats.binom.sf(self.batch_size, self.examples, self.rate))

    def statement(self) -> dict[str, Any]:
        """What the complete training promises, for `run.json`; epsilon is None without noise."""
        epsilon, delta = self.spent(self.rounds)
        if delta > 1.01 * self.delta:
            warnings.warn(
                f'delta is {delta:.3g} instead of {self.delta:.3g}, because batches overflow: raise batch_size, or '
                'lower game.filling.',
                stacklevel=2,
            )
        return {
            'epsilon': epsilon if math.isfinite(epsilon) else None,
            'delta': delta,
            'noise_multiplier': self.noise_multiplier,
            'sampling_rate': self.rate,
            'steps': self.rounds * self.moves,
            'overflow': self.overflow,
            'accountant': f'{ACCOUNTANTS[self.accountant]} of dp-accounting',
            'neighbours': 'data sets of which one has one example more',
        }


def of_config(config: ConfigDict) -> Privacy | None:
    """What the game of a config promises, by the function `privacy` of its module; None: nothing."""
    find = getattr(games.find(config.game.name, importing=False), 'privacy', None)
    return find and find(config)


def _event(library: Any, rate: float, steps: int, noise: float) -> Any:
    noisy = library.PoissonSampledDpEvent(rate, library.GaussianDpEvent(noise))
    return library.SelfComposedDpEvent(noisy, steps)


@functools.cache
def _epsilon(accountant: str, rate: float, steps: int, noise: float, delta: float) -> float:
    library, make = _library(accountant)
    return float(make().compose(_event(library, rate, steps, noise)).get_epsilon(delta)) if steps else 0.0


@functools.cache
def _calibrated(accountant: str, rate: float, steps: int, epsilon: float, delta: float) -> float:
    library, make = _library(accountant)
    try:
        return float(
            library.calibrate_dp_mechanism(
                make, lambda noise: _event(library, rate, steps, noise), epsilon, delta, tol=_TOLERANCE
            )
        )
    except library.mechanism_calibration.NoBracketIntervalFoundError as error:
        raise UserError(f'No noise gives an epsilon of {epsilon}: raise it.') from error


def _library(accountant: str) -> tuple[Any, Any]:
    """The module dp_accounting, and the class of an accountant."""
    try:
        import dp_accounting
        from dp_accounting import pld, rdp
    except ImportError as error:
        raise UserError(
            "Privacy is accounted by dp-accounting, which is not installed: pip install 'gan_jax[privacy]'."
        ) from error
    return dp_accounting, getattr({'pld': pld, 'rdp': rdp}[accountant], ACCOUNTANTS[accountant])
