"""Optimisers and learning-rate schedules by name, and the decay of the generator's moving average.

All optimisers share the options of `_optimizer`. With these off, the updates are those of optax.
"""

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.layers.choices import is_on, is_traced, require
from gan_jax.ranges import AMOUNT, DECAY, MOMENTUM, POSITIVE_AMOUNT, SHARE, Range, checked

Scheduler = Callable[[int], optax.Schedule]  # the number of updates in a run -> update count -> factor
Rate = Annotated[float, Range(0, 1e38)]  # one that is too large is found by training, as a divergence
Decay = Annotated[float, DECAY]
Momentum = Annotated[float, MOMENTUM]
Epsilon = Annotated[float, Range(0, 1, above=True)]
Amount = Annotated[float, AMOUNT]
Share = Annotated[float, SHARE]


@checked
def adam(
    learning_rate: Rate = 2e-4,
    b1: Momentum = 0.5,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    clip_norm: Amount = 0.0,
    weight_decay: Amount = 0.0,
    clip_weights: Amount = 0.0,
    optimism: Amount = 0.0,
    *,
    schedule: optax.Schedule | None = None,
    eps_root: float = 0.0,
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) with the DCGAN paper's defaults (Radford et al. 2016, section 4).

    Args:
        learning_rate: at least 0.
        b1: weight of the past in the mean of gradients, in (-1, 1); negative values as for `sgd`.
        b2: weight of the past in the mean of their squares, in [0, 1).
        eps: added to the square root of that mean.
        clip_norm: gradients with a larger global norm are scaled to it; 0: off (as in every optimiser here).
        weight_decay: decoupled decay (AdamW, Loshchilov and Hutter 2019): each update subtracts learning_rate *
            weight_decay times the value of every parameter with two or more dimensions (not biases and scales); 0: off.
        clip_weights: parameters are kept in [-clip_weights, clip_weights]; 0: off.
        optimism: weight of the change since the last update, which is added to each update direction: 1 is optimistic
            Adam (Daskalakis et al. 2018, "Training GANs with Optimism", algorithm 1), or extrapolation from the past
            (Gidel et al. 2019, whose extrapolated points are then the parameters); 0: off.
        schedule: update count -> factor of the learning rate (see `SCHEDULES`).
        eps_root: added under that square root, for differentiating through updates (an unrolled discriminator), where
            the root's derivative at 0 would be infinite.
    """
    direction = optax.scale_by_adam(b1, b2, eps, eps_root)
    return _optimizer(direction, learning_rate, schedule, clip_norm, weight_decay, clip_weights, optimism)


@checked
def rmsprop(
    learning_rate: Rate = 5e-5,
    decay: Decay = 0.99,
    eps: Epsilon = 1e-8,
    clip_norm: Amount = 0.0,
    weight_decay: Amount = 0.0,
    clip_weights: Amount = 0.0,
    optimism: Amount = 0.0,
    *,
    schedule: optax.Schedule | None = None,
) -> optax.GradientTransformation:
    """RMSProp with the WGAN paper's rate (Arjovsky et al. 2017, algorithm 1).

    Args:
        learning_rate: at least 0.
        decay: weight of the past in the mean of squared gradients, in [0, 1).
        eps: added to the square root of that mean.
        clip_norm: gradients with a larger global norm are scaled to it; 0: off.
        weight_decay: as in `adam`; 0: off.
        clip_weights: parameters are kept in [-clip_weights, clip_weights]; 0: off.
        optimism: as in `adam`; 0: off.
        schedule: update count -> factor of the learning rate.
    """
    direction = optax.scale_by_rms(decay, eps)
    return _optimizer(direction, learning_rate, schedule, clip_norm, weight_decay, clip_weights, optimism)


@checked
def sgd(
    learning_rate: Rate = 1e-2,
    momentum: Momentum = 0.0,
    clip_norm: Amount = 0.0,
    weight_decay: Amount = 0.0,
    clip_weights: Amount = 0.0,
    optimism: Amount = 0.0,
    *,
    schedule: optax.Schedule | None = None,
) -> optax.GradientTransformation:
    """Stochastic gradient descent, with heavy-ball momentum if it is not 0.

    Args:
        learning_rate: at least 0.
        momentum: weight of the past updates, in (-1, 1). Negative momentum damps the rotation of a game that is played
            in turn (Gidel et al. 2019, "Negative Momentum for Improved Game Dynamics").
        clip_norm: gradients with a larger global norm are scaled to it; 0: off.
        weight_decay: as in `adam`; 0: off.
        clip_weights: parameters are kept in [-clip_weights, clip_weights]; 0: off.
        optimism: as in `adam`; 0: off.
        schedule: update count -> factor of the learning rate.
    """
    direction = optax.trace(momentum) if momentum else optax.identity()
    return _optimizer(direction, learning_rate, schedule, clip_norm, weight_decay, clip_weights, optimism)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {'adam': adam, 'rmsprop': rmsprop, 'sgd': sgd}


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Keeps parameters in [-limit, limit] (WGAN, Arjovsky et al. 2017, algorithm 1); the last link of a chain.

    It replaces an update u of a parameter p by clip(p + u, -limit, limit) - p. Adding that to p rounds: a
    parameter from far outside may miss the limit by a rounding error until the next update.
    """

    def update(updates, state, params):
        clipped = jax.tree.map(lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params)
        return clipped, state

    return optax.GradientTransformation(optax.init_empty_state, update)


def _optimizer(
    direction: optax.GradientTransformation,
    learning_rate: float,
    schedule: optax.Schedule | None,
    clip_norm: float,
    weight_decay: float,
    limit: float,
    optimism: float,
) -> optax.GradientTransformation:
    """An optimiser from its update direction; the shared options are described in `adam`."""
    rate = (lambda count: learning_rate * schedule(count)) if schedule else learning_rate
    return optax.chain(
        *([optax.clip_by_global_norm(clip_norm)] if is_on(clip_norm) else []),
        direction,
        *([optax.scale_by_optimistic_gradient(1.0, optimism)] if is_on(optimism) else []),
        *([optax.add_decayed_weights(weight_decay, mask=_is_weight)] if is_on(weight_decay) else []),
        optax.scale_by_learning_rate(rate),
        *([clip_weights(limit)] if is_on(limit) else []),
    )


def _is_weight(params: Any) -> Any:
    return jax.tree.map(lambda param: param.ndim >= 2, params)


def lazy_adam_options(options: dict[str, Any], every: int) -> dict[str, Any]:
    """The options of an optimiser whose player has a regulariser only in every k-th step.

    Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B: with c = k / (k + 1), the
    learning rate times c, and Adam's betas to the power of c. Other optimisers only have their learning rate changed.

    Args:
        options: as in a config; 'learning_rate', and 'b1' and 'b2' where they are Adam's.
        every: k, at least 1; with 1 nothing is lazy, and the options do not change.

    Raises:
        UserError: k is below 1, or b1 is negative, which has no such power.
    """
    require(every >= 1, 'The number of steps from one lazy penalty to the next', every, 'at least 1')
    if every == 1:
        return options
    b1 = options.get('b1', 0.0)
    require(is_traced(b1) or b1 >= 0, "The b1 of a player's optimizer with lazy penalties", b1, 'at least 0')
    share = every / (every + 1)
    betas = {name: options[name] ** share for name in ('b1', 'b2') if name in options}
    return {**options, 'learning_rate': options['learning_rate'] * share, **betas}


@checked
def constant(warm_up: Share = 0.0) -> Scheduler:
    """The full learning rate, after a linear rise from 0.

    Args:
        warm_up: the share of the run over which the rate rises from 0.
    """
    return _schedule(lambda updates: optax.constant_schedule(1.0), warm_up)


@checked
def linear(begin: Share = 0.0, end: Amount = 0.0, warm_up: Share = 0.0) -> Scheduler:
    """A straight line from the full rate to `end` of it; with begin=0.5, the schedule of CycleGAN (Zhu et al. 2017).

    Args:
        begin: where in the run the decay begins, in [0, 1] (as in all schedules).
        end: the factor after the run's last update, at least 0.
        warm_up: the share of the run, in [0, 1], over which the rate rises from 0. Its factor multiplies the decay's,
            whose clock runs from the first update.
    """
    return _schedule(lambda updates: optax.linear_schedule(1.0, end, updates), warm_up, begin)


@checked
def cosine(begin: Share = 0.0, end: Amount = 0.0, warm_up: Share = 0.0) -> Scheduler:
    """Half a cosine from the full rate to `end` of it (Loshchilov and Hutter 2017, equation 5, without restarts).

    Args:
        begin: where in the run the decay begins, in [0, 1].
        end: the factor after the run's last update.
        warm_up: the share of the run over which the rate rises from 0.
    """
    return _schedule(lambda updates: optax.cosine_decay_schedule(1.0, updates, end), warm_up, begin)


@checked
def exponential(begin: Share = 0.0, end: Annotated[float, POSITIVE_AMOUNT] = 0.01, warm_up: Share = 0.0) -> Scheduler:
    """A constant ratio from each update to the next, from the full rate to `end` of it.

    Args:
        begin: where in the run the decay begins, in [0, 1].
        end: the factor after the run's last update, above 0.
        warm_up: the share of the run over which the rate rises from 0.
    """
    return _schedule(lambda updates: optax.exponential_decay(1.0, updates, end, end_value=end), warm_up, begin)


@checked
def inverse(gamma: Amount = 10.0, power: Amount = 0.75, warm_up: Share = 0.0) -> Scheduler:
    """A fall as (1 + gamma p)^-power over the share p of the run (Ganin et al. 2016, DANN, section 5.2.2).

    Args:
        gamma: at least 0.
        power: at least 0.
        warm_up: the share of the run over which the rate rises from 0.
    """
    return _schedule(lambda updates: lambda count: (1 + gamma * count / updates) ** -power, warm_up)


@checked
def step(
    at: Annotated[tuple[float, ...], SHARE] = (0.5, 0.75), factor: Amount = 0.1, warm_up: Share = 0.0
) -> Scheduler:
    """Multiplies the rate by `factor` at each of the points `at` of the run.

    Args:
        at: shares of the run, in [0, 1].
        factor: at least 0.
        warm_up: the share of the run over which the rate rises from 0.
    """

    def steps(updates: int) -> optax.Schedule:
        places = Counter(round(place * updates) for place in at)
        return optax.piecewise_constant_schedule(1.0, {place: factor**n for place, n in places.items()})

    return _schedule(steps, warm_up)


SCHEDULES: dict[str, Callable[..., Scheduler]] = {
    'constant': constant,
    'linear': linear,
    'cosine': cosine,
    'exponential': exponential,
    'inverse': inverse,
    'step': step,
}


def _schedule(decay: Callable[[int], optax.Schedule], warm_up: float, begin: float = 0.0) -> Scheduler:
    """1 until `begin`, then `decay` over the remaining updates, multiplied by the rise over `warm_up`."""

    def schedule(num_updates: int) -> optax.Schedule:
        first, risen = round(begin * num_updates), round(warm_up * num_updates)
        factor = optax.join_schedules([optax.constant_schedule(1.0), decay(max(num_updates - first, 1))], [first])
        if not risen:
            return factor
        rise = optax.linear_schedule(0.0, 1.0, risen)
        return lambda count: rise(count) * factor(count)

    return schedule


def ema_decay(
    half_life_kimg: float, ramp_up: float, batch_size: int, images: int = 0
) -> Callable[[jax.Array], jax.Array]:
    """The decay of a moving average given by its half-life in thousands of images.

    As in StyleGAN2 (Karras et al. 2020) and its successors' training code: decay = 0.5^(batch / half-life), where the
    half-life is at most `ramp_up` times the images seen so far, so that the average follows closely at the start
    (`ramp_up=0` disables this).

    Args:
        half_life_kimg: half-life in thousands of real images shown to the game, one batch for each generator step.
        ramp_up: fraction of the images seen; 0.05 is usual.
        batch_size: examples in a global batch.
        images: images seen before the first step.

    Returns:
        step (int scalar, the steps taken before this one) -> decay, a float32 scalar in [0, 1).
    """

    def decay(step: jax.Array) -> jax.Array:
        half_life = jnp.float32(half_life_kimg * 1000)
        if ramp_up:
            half_life = jnp.minimum(half_life, ramp_up * batch_size * step.astype(jnp.float32) + ramp_up * images)
        return 0.5 ** (batch_size / jnp.maximum(half_life, 1e-8))

    return decay
