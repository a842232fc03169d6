"""Configs: loading by `file.py:argument` or `recipe:argument`, validation, and the parts that a config names.

A config file defines `get_config(argument: str) -> ConfigDict`, which starts from `base(model)` and changes what its
recipe needs. A config contains every option with its default, so all options are visible. Configs are used only
in `train.py` and the `make` functions it calls.
"""

import ast
import inspect
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from gan_jax import config_files, config_json, defaults, schedules
from gan_jax.augmentation.augment import Augmentation
from gan_jax.data.computed import FACTORS
from gan_jax.defaults import choices, defaults_of, factories, roles_of
from gan_jax.errors import UserError, blaming
from gan_jax.evaluation.metrics import BEST, best_of, check_best, check_names
from gan_jax.game import Pair
from gan_jax.layers.choices import nearest
from gan_jax.losses import Loss
from gan_jax.open_sets import OpenDict
from gan_jax.overrides import (
    apply_overrides,
    naming_phase,
    parse_override,
    phase_changes,
    phase_text,
    split,
    unknown_key,
)
from gan_jax.plays import Play
from gan_jax.schedules import Schedule
from gan_jax.terms import PENALTIES, check_terms, feature_matching, joined, rotation, slicing
from gan_jax.terms.classes import CLASS_TERMS
from gan_jax.values import flat

_KINDS = {'loss': Loss, 'augment': Augmentation, 'optimizer': optax.GradientTransformation, 'play': Play}
_MOST_STEPS = 2**31 - 1  # an int32 counts them
_MOST_UPDATES = 10**7  # of a player in one stretch; nothing is recorded before its end
base, section = defaults.base, defaults.section  # config files use these
_TINY = {
    'width': 16,
    'depth': 2,
    'heads': 2,
    'stages': 2,
    'minibatch_group': 4,
}  # upper limits of networks for debugging
INTERVALS = (
    'duration',
    'sample_every',
    'checkpoint_every',
    'evaluate_every',
)  # the duration of a run, and the intervals of its outputs


def choose_data(config: ConfigDict, argument: str) -> None:
    """Sets the data set that follows the colon of `--config`; by default the embedded digits at 16x16."""
    if argument:
        config.data.name = argument
    else:
        config.data.size = 16  # the digits are 8x8


def choose_small(config: ConfigDict, argument: str) -> bool:
    """As `choose_data`, for a recipe with a small variant for a laptop; returns whether it was chosen.

    The small variant is chosen by 'small' in the argument, alone for fashion_mnist or after a comma ('cifar10,small'),
    and for the embedded digits.
    """
    parts = argument.split(',')
    data = ','.join(part for part in parts if part != 'small')
    choose_data(config, data or ('fashion_mnist' if 'small' in parts else ''))
    return not data or 'small' in parts


def choose_small_images(config: ConfigDict, argument: str) -> None:
    """Sets the data of super-resolution, images with smaller copies of them, and the factor of the generator.

    Args:
        config: config of a game of super-resolution.
        argument: 'DATA' or 'DATA,FACTOR' with the factor 2 or 4; the generated images and 4 by default.

    Raises:
        UserError: there is no such factor.
    """
    name, _, factor = argument.rpartition(',')
    if not factor.isdigit():
        name, factor = argument, '4'
    kinds = {str(number): kind for kind, number in FACTORS.items()}
    if factor not in kinds:
        raise UserError(f'Super-resolution enlarges by {" or ".join(kinds)}, not by {factor}: choose one of these.')
    config.data.name = f'{kinds[factor]}:{name or "leaves"}'
    config.generator.factor = int(factor)


def grow(config: ConfigDict, levels: Iterable[Mapping[str, Any]]) -> None:
    """Makes a config the last of several phases; see `gan_jax.training.phases`.

    Args:
        config: config of all phases.
        levels: in order, the values of each phase by 'x.y'.
    """
    *earlier, last = ({key: str(value) for key, value in level.items()} for level in levels)
    config.earlier_phases = tuple(map(phase_text, earlier))
    apply_overrides(config, last)


def load(spec: str, overrides: Mapping[str, str] | Iterable[str] = ()) -> ConfigDict:
    """The config of a command line.

    Args:
        spec: `path/to/file.py` or `path/to/file.py:argument`; or, instead of the file, the name of one of the
            package's recipes, such as `dcgan:argument`. The argument goes to the file's `get_config`, by
            convention the name of a data set; `debug` in it, alone or after a comma, makes the run tiny.
        overrides: `x.y=value` strings, or a mapping from 'x.y' to the value's text: a Python literal unless the key
            holds text.

    Raises:
        UserError: the file does not exist or returns no config, a key is unknown (the nearest is suggested), or a value
            is impossible.
    """
    path, argument = config_files.located(spec)
    parts = argument.split(',')
    debug = 'debug' in parts
    argument = ','.join(part for part in parts if part != 'debug')
    config = config_files.read(path, argument)
    check(config)
    if debug:
        _make_tiny(config)
    if not isinstance(overrides, Mapping):
        overrides = dict(parse_override(text) for text in overrides)
    if given := sorted(key for key in overrides if key.startswith('phase.')):
        raise UserError(f'{given[0]} is computed when a run begins: set earlier_phases instead.')
    apply_overrides(config, overrides)
    check(config)
    config_files.make_absolute(config)
    return config


def run_name(spec: str, config: ConfigDict) -> str:
    """A name for the run of a command line: 'dcgan-digits', 'dcgan-cifar10-debug'."""
    path, argument = config_files.located(spec)
    data = re.sub(r'[^\w.]+', '-', config.data.name.rstrip('/').rpartition('/')[-1])
    return f'{path.stem}-{data}' + ('-debug' if 'debug' in argument.split(',') else '')


def check(config: ConfigDict) -> None:
    """Raises a UserError for the first invalid key or value.

    Sizes and names among a network's options are checked by the network, when the game is made.
    """
    _check_keys(config)
    for number, phase in enumerate(split(config)[:-1]):
        with naming_phase(number):
            check(phase)
    for name in factories(roles_of(config)).keys() - {'game'}:  # a game can only be made for data
        make(config, name)
    make_terms(config)
    make_schedules(config)
    check_names(config.evaluate)
    for key in (*INTERVALS, 'log_every'):
        steps(config, key)
    retention(config)
    if updates_of_a_stretch(config) > _MOST_UPDATES:
        raise UserError(
            f'A stretch of log_every={config.log_every} would make {updates_of_a_stretch(config):.1e} updates before '
            f'anything is reported: lower log_every, {", ".join(_REPEATS[:-1])} or {_REPEATS[-1]}.'
        )


def _check_keys(config: ConfigDict) -> None:
    """Raises a UserError for a missing or unknown key, or a value of another type or outside of its range."""
    values = flat(config)

    def require_names(keys: Iterable[str]) -> None:
        for key in keys:
            if not isinstance(values.get(key), str):
                raise UserError(_missing_key(key))

    require_names(('model', 'game.name'))
    require_names(f'{name}.name' for name in factories(roles_of(config)))
    for role in roles_of(config):
        if not isinstance(config.get(role), ConfigDict):
            raise UserError(_missing_key(role))
    known = defaults_of(config)
    for key, value in values.items():
        if key not in known:
            raise UserError(unknown_key(key, known, config.model))
        known[key].check(key, value)
    for key in known:
        if key not in values:
            raise UserError(_missing_key(key))


def retention(config: ConfigDict) -> dict[str, Any]:
    """The options of `gan_jax.runtime.checkpoint.Checkpoints`.

    `best_mode` defaults to the direction of the metric.

    Raises:
        UserError: no checkpoint can have such a metric, or its best direction is unknown.
    """
    options = config.checkpoints.to_dict()
    name, mode = options['best_metric'], options['best_mode']
    if name is None:
        return options | {'best_mode': 'min'}
    player, _, value = name.partition('/')
    if player == 'eval':
        check_best(value, config.evaluate)
    elif player not in roles_of(config):
        known = [f'eval/{one}' for one in BEST] + [f'{role}/loss' for role in roles_of(config)]
        raise UserError(
            f'checkpoints.best_metric is {name!r}, which does not exist; the nearest name is {nearest(name, known)!r}.'
        )
    if mode == 'auto':
        mode = best_of(value) if player == 'eval' else 'min' if value.endswith('loss') else None
        if mode not in ('min', 'max'):
            raise UserError(
                f'It is unknown whether high or low values of {name} are better: set checkpoints.best_mode.'
            )
    return options | {'best_mode': mode}


_REPEATS = ('discriminator_steps', 'generator_steps', 'unrolled_steps', 'discriminators.number')


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


def make(config: ConfigDict, name: str) -> Any:
    """Makes what a section with a `name` and options describes: a loss, an optimiser, a play, an augmentation, ..."""
    options = config[name].to_dict()
    choice = options.pop('name')
    with blaming(f'The {name} {choice}'):
        made = choices(name)[choice](**options)
    kind = _KINDS.get('optimizer' if name.endswith('_optimizer') else name)
    if kind and not isinstance(made, kind):
        raise UserError(f'{name}.name is {choice!r}, which returns a {type(made).__name__}, not a {kind.__name__}.')
    return made


def make_schedules(config: ConfigDict) -> tuple[Schedule, ...]:
    """The schedules of the config's numbers."""
    made = tuple(
        schedules.parse(text, lambda duration: steps_of(config, duration, 'A duration of schedules'))
        for text in config.schedules
    )
    known = defaults_of(config) if made else {}
    for one in made:
        if one.key not in known:
            raise UserError(unknown_key(one.key, known, config.model))
        if one.key.startswith(config_json.OPERATIONAL):
            raise UserError(f'schedules names {one.key}, which is not used in a training step: it cannot change.')
    schedules.check(made, config, known)
    return made


def make_terms(config: ConfigDict) -> Pair:
    """The terms that the config adds to each player's losses."""
    made = [PENALTIES[name](**options) for name, options in config.penalties.to_dict().items()]
    matching = config.feature_matching.to_dict()
    del matching['alone']
    made.append(feature_matching(**matching))
    if config.get('discriminator', {}).get('slicing'):
        made.append(slicing())
    if config.get('discriminator', {}).get('rotations'):
        made.append(rotation(**config.rotation))
    conditioning = config.get('discriminator', {}).get('conditioning')
    if conditioning in CLASS_TERMS:
        made.append(CLASS_TERMS[conditioning](**config[conditioning]))
    for text in config.terms:
        made.append(_own_terms(text))
    return joined(made)


def _own_terms(text: str) -> Pair:
    """The terms made by a user's function."""
    name, options = _parse_call(text)
    function = OpenDict({}, 'term')[name]
    try:
        inspect.signature(function).bind(**options)
    except TypeError as error:
        raise UserError(f'terms has {text!r}, but {name} cannot be called with these arguments: {error}.') from error
    with blaming(f'The term {name}'):
        made = function(**options)
    check_terms(made)
    return made


def _parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """'my_terms.smooth(weight=3)' as ('my_terms.smooth', {'weight': 3}); without brackets there are no options."""
    name, bracket, rest = text.partition('(')
    try:
        call = ast.parse(f'f({rest}' if bracket else 'f()', mode='eval').body
        if call.args:
            raise ValueError
        return name.strip(), {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise UserError(f"terms has {text!r}; write 'module.function' or 'module.function(option=value)'.") from error


def _make_tiny(config: ConfigDict) -> None:
    """A run of seconds that goes through every part."""
    config.batch_size = min(config.batch_size, 16)
    config.duration, config.log_every = '20 steps', '5 steps'
    config.earlier_phases = tuple(map(_tiny_phase, config.earlier_phases))
    config.sample_every = config.checkpoint_every = config.evaluate_every = '10 steps'
    config.evaluation.samples = 64
    config.samples = 16
    for role in roles_of(config):
        for name, most in _TINY.items():
            if name in config[role]:
                config[role][name] = min(config[role][name] or most, most)


def _tiny_phase(text: str) -> str:
    changes = phase_changes(text) | {'duration': '10 steps'}
    own = {'batch_size', 'samples', 'log_every', *INTERVALS[1:], 'evaluation.samples'}
    own |= {key for key in changes if key.endswith('.width')}
    return phase_text({key: value for key, value in changes.items() if key not in own})


def _missing_key(key: str) -> str:
    return f'The config has no {key}: start from gan_jax.config.base(model, game), where every key has its default.'
