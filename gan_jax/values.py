"""What the values of a config's keys may be: their types, ranges and choices."""

import ast
import inspect
import types
import typing
from typing import Any

from gan_jax import models
from gan_jax.adversarial import COMBINATIONS
from gan_jax.balance import BALANCES
from gan_jax.errors import UserError
from gan_jax.game import LATENTS
from gan_jax.layers.choices import require
from gan_jax.parallel import MODES

_KINDS = {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'text', tuple: 'a tuple'}
# The types of the keys whose default, None, does not tell; a network's fields have theirs in their annotations.
_TYPES = {
    'data.size': int,
    'data.channels': int,
    'data.directory': str,
    'data.cache': str,
    'checkpoints.best_metric': str,
    'evaluation.split': str,
}
_SMALLEST = {
    'data.size': 1,
    'batch_size': 1,
    'population': 1,
    'discriminator_steps': 1,
    'discriminator_schedule.steps': 0,
    'generator_steps': 1,
    'accumulate': 1,
    'lazy.generator': 1,
    'lazy.discriminator': 1,
    'instance_noise.deviation': 0,
    'replay': 0,
    'discriminators.number': 1,
    'unrolled_steps': 0,
    'reference_batch': 2,
    'latents.size': 1,
    'ema.half_life_kimg': 0,
    'ema.ramp_up': 0,
    'parallel.devices': 0,
    'samples': 1,
    'evaluation.samples': 2,
    'checkpoints.keep_last': 1,
    'checkpoints.keep_best': 0,
}
_SHARES = {
    'flip_labels': 'from 0 to 1',
    'balance.fooling': 'from 0 to 1',
    'discriminator_schedule.until': 'above 0 and at most 1',
    'instance_noise.until': 'above 0 and at most 1',
    'top_k.share': 'above 0 and at most 1',
    'top_k.until': 'above 0 and at most 1',
}
_CHOICES = {
    'balance.measure': BALANCES,
    'discriminators.combine': tuple(COMBINATIONS),
    'data.placement': ('auto', 'device', 'host'),
    'latents.distribution': tuple(LATENTS),
    'dtype': ('float32', 'bfloat16'),  # not float16, which would need its losses scaled
    'parallel.mode': MODES,
    'checkpoints.best_mode': ('min', 'max'),
    'on_nan': ('stop', 'restore'),
}


def type_of(key: str, default: Any, model: str) -> type:
    """The type that a key's values must have; `object` where neither default nor annotation tells."""
    if default is not None:
        return type(default)
    if key in _TYPES:
        return _TYPES[key]
    player, option, *_ = key.split('.')
    annotation = inspect.signature(getattr(models.find(model), player.capitalize())).parameters[option].annotation
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return object
    some, *others = (kind for kind in typing.get_args(annotation) if kind is not types.NoneType)
    return object if others else typing.get_origin(some) or some


def parse(text: str, wanted: type, default: Any) -> Any:
    """The value of an override's text, which is of the wanted type unless the text is wrong."""
    if wanted is str:
        return None if default is None and text == 'None' else text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        if wanted is tuple and default is not None:  # of names: fid,kid
            return tuple(part.strip() for part in text.split(',') if part.strip())
        return {'true': True, 'false': False}.get(text.lower(), text)
    exact = {(int, float): float, (list, tuple): tuple}.get((type(value), wanted))
    return exact(value) if exact else value


def check_type(key: str, value: Any, default: Any, wanted: type) -> None:
    """Raises a UserError for a value of another type than the wanted one; None is for keys whose default it is."""
    if wanted not in _KINDS or (value is None and default is None):
        return
    accepted = {float: (float, int), tuple: (tuple, list)}.get(wanted, (wanted,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        example = ' or None' if default is None else f', such as {default!r}'
        raise UserError(f'{key} takes {_KINDS[wanted]}{example}, not {value!r}.')


def check_range(key: str, value: Any) -> None:
    """Raises a UserError for a value of the right type with which no run could work."""
    if key == 'seed':
        require(0 <= value < 2**32, key, value, f'a whole number from 0 to {2**32 - 1}')
    if key in _SMALLEST and value is not None:
        kind = 'a number' if isinstance(value, float) else 'a whole number'
        require(value >= _SMALLEST[key], key, value, f'{kind} of at least {_SMALLEST[key]}')
    if key in _SHARES:
        require(0 <= value <= 1 and (value > 0 or 'above' not in _SHARES[key]), key, value, _SHARES[key])
    if key in _CHOICES and value not in _CHOICES[key]:
        raise UserError(f'{key} is {value!r}; choose one of {", ".join(_CHOICES[key])}.')
