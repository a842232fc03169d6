"""Optimisers by name, and the decay of the generator's moving average."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from gan_jax.layers.choices import require


def adam(learning_rate: float = 2e-4, b1: float = 0.5, b2: float = 0.999, eps: float = 1e-8):
    """Adam (Kingma and Ba 2015) with the DCGAN paper's defaults (Radford et al. 2016, section 4)."""
    _check(learning_rate=learning_rate, b1=b1, b2=b2, eps=eps)
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def rmsprop(learning_rate: float = 5e-5, decay: float = 0.99, eps: float = 1e-8):
    """RMSProp with the WGAN paper's rate (Arjovsky et al. 2017, algorithm 1)."""
    _check(learning_rate=learning_rate, decay=decay, eps=eps)
    return optax.rmsprop(learning_rate, decay=decay, eps=eps)


def sgd(learning_rate: float = 1e-2, momentum: float = 0.0):
    """Stochastic gradient descent, with heavy-ball momentum where it is not 0."""
    _check(learning_rate=learning_rate, momentum=momentum)
    return optax.sgd(learning_rate, momentum=momentum or None)


def _check(*, learning_rate: float, eps: float | None = None, **shares: float) -> None:
    """Raises a UserError for a value of which no optimiser comes; `shares` are the weights of the past in averages."""
    require(0 <= learning_rate < math.inf, "An optimiser's learning_rate", learning_rate, 'at least 0 and finite')
    if eps is not None:
        require(0 < eps < math.inf, "An optimiser's eps", eps, 'above 0 and finite')
    for name, value in shares.items():
        require(0 <= value < 1, f"An optimiser's {name}", value, 'at least 0 and below 1')


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {'adam': adam, 'rmsprop': rmsprop, 'sgd': sgd}


def ema_decay(half_life_kimg: float, ramp_up: float, batch_size: int) -> Callable[[jax.Array], jax.Array]:
    """The decay of a moving average given by its half-life in thousands of images.

    As in StyleGAN2 (Karras et al. 2020) and its successors' training code: decay = 0.5^(batch / half-life), where the
    half-life is at most `ramp_up` times the images seen so far, so that the average follows closely at the start
    (`ramp_up=0` switches that off).

    Args:
        half_life_kimg: half-life in thousands of real images shown to the game, one batch for each generator step.
        ramp_up: fraction of the images seen; 0.05 is usual.
        batch_size: examples in a global batch.

    Returns:
        step (int scalar, the steps taken before this one) -> decay, a float32 scalar in [0, 1).
    """

    def decay(step: jax.Array) -> jax.Array:
        half_life = jnp.float32(half_life_kimg * 1000)
        if ramp_up:
            half_life = jnp.minimum(half_life, ramp_up * batch_size * step.astype(jnp.float32))
        return 0.5 ** (batch_size / jnp.maximum(half_life, 1e-8))

    return decay
