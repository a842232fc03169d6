"""Loads configs by `file.py:argument` or `recipe:argument`, and checks them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config import files
from gan_jax.config.defaults import defaults_of, factories, roles_of
from gan_jax.config.durations import INTERVALS, REPEATS, steps, updates_of_a_stretch
from gan_jax.config.making import make, make_schedules, make_terms
from gan_jax.config.overrides import (
    apply_overrides,
    naming_phase,
    parse_override,
    phase_changes,
    phase_text,
    split,
    unknown_key,
)
from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import BEST, best_of, check_best, check_names
from gan_jax.layers.choices import nearest
from gan_jax.values import flat

_MOST_UPDATES = 10**7  # of a player in one stretch; nothing is recorded before its end
_TINY = {
    'width': 16,
    'depth': 2,
    'heads': 2,
    'stages': 2,
    'minibatch_group': 4,
}  # upper limits of networks for debugging


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
    path, argument = files.located(spec)
    parts = argument.split(',')
    debug = 'debug' in parts
    argument = ','.join(part for part in parts if part != 'debug')
    config = files.read(path, argument)
    check(config)
    if debug:
        _make_tiny(config)
    if not isinstance(overrides, Mapping):
        overrides = dict(parse_override(text) for text in overrides)
    if given := sorted(key for key in overrides if key.startswith('phase.')):
        raise UserError(f'{given[0]} is computed when a run begins: set earlier_phases instead.')
    apply_overrides(config, overrides)
    check(config)
    files.make_absolute(config)
    return config


def run_name(spec: str, config: ConfigDict) -> str:
    """A name for the run of a command line: 'dcgan-digits', 'dcgan-cifar10-debug'."""
    path, argument = files.located(spec)
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
            f'anything is reported: lower log_every, {", ".join(REPEATS[:-1])} or {REPEATS[-1]}.'
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
