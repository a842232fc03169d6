"""The durations of a config: steps, thousands of images, epochs, and the updates of a stretch."""

import math

from ml_collections import ConfigDict

from gan_jax.errors import UserError

_MOST_STEPS = 2**31 - 1  # an int32 counts them
INTERVALS = (
    'duration',
    'sample_every',
    'checkpoint_every',
    'evaluate_every',
)  # the duration of a run, and the intervals of its outputs
REPEATS = (
    'discriminator_steps',
    'generator_steps',
    'unrolled_steps',
    'discriminators.number',
)  # how often a network moves in a round


def most_discriminator_steps(config: ConfigDict) -> int:
    """The maximum number of discriminator steps in a round."""
    return max(config.discriminator_steps, config.discriminator_schedule.steps)


def updates_of_a_stretch(config: ConfigDict) -> int:
    """The number of updates of one network in a stretch, including unrolled updates."""
    rounds = min(steps(config, 'log_every'), steps(config, 'duration'))
    discriminators = config.discriminators.number
    unrolled = config.generator_steps * config.unrolled_steps
    return rounds * (config.generator_steps + discriminators * (most_discriminator_steps(config) + unrolled))


def steps(config: ConfigDict, key: str) -> int:
    """A duration of the config in generator steps; see `steps_of`."""
    return steps_of(config, str(config[key]), key)


def steps_of(config: ConfigDict, text: str, what: str) -> int:
    """A duration in generator steps: '500', '500 steps', '32 kimg' or '10 epochs'.

    The last two are rounded up to whole batches. Before the data are loaded, an epoch counts as one step.

    Args:
        config: the config that defines the steps.
        text: the duration.
        what: it is of, for the error.
    """
    text = text.strip()
    number, unit = text, 'steps'
    for suffix in ('steps', 'step', 'kimg', 'epochs', 'epoch'):
        if text.endswith(suffix):
            number, unit = text.removesuffix(suffix).strip(), suffix
            break
    images = {'kimg': 1000, 'epoch': config.data.examples, 'epochs': config.data.examples}.get(unit)
    try:
        value = float(number)
        count = math.ceil(value if images is None else value * images / config.batch_size)
        if not 1 <= count <= _MOST_STEPS or (unit in ('steps', 'step') and count != value):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{what} is {text!r}; write a duration as '500 steps', '32 kimg' or '10 epochs', from one step to "
            f'{_MOST_STEPS}.'
        ) from error
    return count


def kimg(config: ConfigDict, step: int) -> float:
    """Thousands of images by the generator's steps, at a step of a phase, including those of earlier phases."""
    return (config.phase.images + step * config.batch_size) / 1000
