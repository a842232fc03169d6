"""Schedules: numbers of a config that change during a run, as functions of the step.

A schedule is a string 'KEY: SHAPE to END in DURATION', optionally followed by 'after DURATION':

    penalties.r1.weight: cosine to 0.005 in 20000 kimg
    generator_optimizer.learning_rate: linear to 0 in 50 kimg after 100 kimg

The number starts at its config value, reaches END after DURATION ('500 steps', '32 kimg', '10 epochs'), and
stays there. Several schedules of one key follow one another, each starting at the END of the previous one. SHAPE is
one of `SHAPES`. Each phase of a run restarts the count of steps.

The config is assembled inside the compiled step with the numbers traced, like that of a population's member
(`gan_jax.training.population`). A number can have a schedule if it is an input of the program (rates, betas, weights,
half-lives, probabilities), but not if it determines the program.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.errors import UserError
from gan_jax.layers.choices import choose, is_traced
from gan_jax.values import Default, value_of

Number = float | jax.Array
Shape = Callable[[Number, float, jax.Array], jax.Array]
SWITCHED_OFF_AT_0 = ('clip_norm', 'clip_weights')  # 0 means off, but a traced 0 would clip everything to 0

SHAPES: dict[str, Shape] = {
    'linear': lambda start, end, share: start + (end - start) * share,
    'cosine': lambda start, end, share: end + (start - end) * (1 + jnp.cos(math.pi * share)) / 2,  # half a period
    'exponential': lambda start, end, share: start * (end / start) ** share,  # both above 0
    'jump': lambda start, end, share: jnp.where(share < 1, start, end),
}
"""(start, end, share of the way in time) -> the number."""

_FORM = re.compile(r'(\S+): *(\S+) to (\S+) in (.+?)(?: after (.+))?')


class Schedule(NamedTuple):
    """The change of a number of a config.

    Attributes:
        key: the key of the number.
        shape: one of `SHAPES`.
        end: the final value.
        steps: the number of steps until the final value.
        after: the number of steps before the change begins.
    """

    key: str
    shape: str
    end: float
    steps: int
    after: int

    def value(self, start: Number, step: jax.Array) -> jax.Array:
        """The number at a step (an int32 scalar), float32, with the value `start` before the change."""
        share = jnp.clip((step - self.after) / jnp.float32(self.steps), 0.0, 1.0)
        return SHAPES[self.shape](jnp.float32(start), self.end, share)

    @property
    def metric(self) -> str:
        """The name of its value in the metrics of a step: 'penalties.r1/weight'."""
        section, _, name = self.key.rpartition('.')
        return f'{section}/{name}' if section else name


def parse(text: str, steps: Callable[[str], int]) -> Schedule:
    """The schedule of a text; `steps` turns a duration into steps.

    Raises:
        UserError: the text is not a schedule.
    """
    match = _FORM.fullmatch(text.strip())
    try:
        key, shape, end, duration, after = match.groups()
        end = float(end)
    except (AttributeError, ValueError) as error:
        raise UserError(
            f"schedules has {text!r}; write 'KEY: SHAPE to END in DURATION', such as "
            "'penalties.r1.weight: cosine to 0.005 in 20000 kimg', or the same with 'after DURATION'."
        ) from error
    return Schedule(key, shape, end, steps(duration), 0 if after is None else steps(after))


def check(schedules: Iterable[Schedule], config: ConfigDict, known: Mapping[str, Default]) -> None:
    """Raises a UserError for an invalid schedule.

    Args:
        schedules: the schedules of the config.
        config: the config with the initial numbers.
        known: all keys of the config.
    """
    starts: dict[str, Number] = {}
    for one in schedules:
        choose(SHAPES, one.shape, 'shape of a schedule')
        if known[one.key].kind is not float:
            raise UserError(f'schedules names {one.key}, which is not a floating-point number: it cannot change.')
        known[one.key].check(one.key, one.end)
        ends = starts.get(one.key, value_of(config, one.key)), one.end
        starts[one.key] = one.end
        if one.shape == 'exponential' and not all(is_traced(end) or end > 0 for end in ends):
            raise UserError(
                f'schedules changes {one.key} exponentially from {ends[0]} to {ends[1]}: both must be above 0.'
            )
        if one.key.rpartition('.')[2] in SWITCHED_OFF_AT_0 and 0 in ends:
            raise UserError(f'schedules changes {one.key} from {ends[0]} to {ends[1]}, but 0 would clip everything.')


def values(schedules: Iterable[Schedule], config: ConfigDict, step: jax.Array) -> dict[str, jax.Array]:
    """The scheduled numbers of a config at a step, by key."""
    found: dict[str, jax.Array] = {}
    for one in schedules:
        found[one.key] = one.value(found.get(one.key, value_of(config, one.key)), step)
    return found
