"""The parts that a config names: losses, optimisers, plays, augmentations, schedules and terms."""

import ast
import inspect
from typing import Any

import optax
from ml_collections import ConfigDict

from gan_jax import schedules
from gan_jax.augmentation.augment import Augmentation
from gan_jax.config import json_values
from gan_jax.config.defaults import choices, defaults_of
from gan_jax.config.durations import steps_of
from gan_jax.config.overrides import unknown_key
from gan_jax.errors import UserError, blaming
from gan_jax.game import Pair
from gan_jax.losses import Loss
from gan_jax.open_sets import OpenDict
from gan_jax.plays import Play
from gan_jax.schedules import Schedule
from gan_jax.terms import PENALTIES, check_terms, feature_matching, joined, rotation, slicing
from gan_jax.terms.classes import CLASS_TERMS

_KINDS = {'loss': Loss, 'augment': Augmentation, 'optimizer': optax.GradientTransformation, 'play': Play}


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
        if one.key.startswith(json_values.OPERATIONAL):
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
