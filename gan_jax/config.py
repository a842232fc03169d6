"""Configs: the base defaults, the `file.py:argument` grammar, overrides and their errors.

A config file defines `get_config(argument: str) -> ConfigDict`, which starts from `base(model)` and changes what its
recipe needs. Every option that exists has its default in the config, so whatever can be set can be seen. Configs stop
at `train.py` and the `make` functions it calls.
"""

import ast
import difflib
import importlib.util
import inspect
import json
import math
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import models
from gan_jax.errors import UserError
from gan_jax.losses import LOSSES
from gan_jax.optim import OPTIMIZERS

# Sections whose remaining keys are the options of whatever their `name` chooses.
_FACTORIES: dict[str, Mapping[str, Callable]] = {
    'loss': LOSSES,
    'generator_optimizer': OPTIMIZERS,
    'discriminator_optimizer': OPTIMIZERS,
}
_GIVEN_TO_NETWORKS = {'shape', 'dtype', 'axis_name', 'parent', 'name'}  # what train.py passes, and linen's own


def base(model: str) -> ConfigDict:
    """The defaults of everything, for a model family ('dcgan', 'mlp', or a dotted path)."""
    family = models.find(model)
    return ConfigDict(
        {
            'seed': 0,
            'data': {
                'name': 'digits',  # digits, ring, grid, spiral, folder:/path, or any TFDS image data set
                'split': 'train',
                'size': None,  # pixels, height = width; None: the data's own
                'channels': None,  # 1 or 3; None: the data's own
                'flip': False,  # mirror every other image at random
                'directory': None,  # where TFDS data sets are; None: TFDS_DATA_DIR or TFDS's default
                'cache': None,  # where decoded images are kept; None: the user's cache directory
                'placement': 'auto',  # 'device': resident; 'host': streamed from a memory map; 'auto': what fits
            },
            'batch_size': 64,  # over all devices
            'duration': '1000 steps',  # steps of the generator, or thousands of images as '100 kimg'
            'discriminator_steps': 1,  # in each step of the generator
            'latents': {'size': 100, 'distribution': 'normal'},
            'model': model,
            'generator': _network_options(family.Generator),
            'discriminator': _network_options(family.Discriminator),
            'loss': _section(LOSSES, 'non_saturating'),
            'generator_optimizer': _section(OPTIMIZERS, 'adam'),
            'discriminator_optimizer': _section(OPTIMIZERS, 'adam'),
            'ema': {'half_life_kimg': 10.0, 'ramp_up': 0.05},  # half_life_kimg 0: no average is kept
            'dtype': 'float32',  # of the networks' arithmetic; parameters are float32
            'parallel': {'mode': 'pmap', 'devices': 0},  # on several devices: pmap or sharding; 0: all there are
            'log_every': '50 steps',  # also the stretch that is one compiled call; the other intervals round up to it
            'sample_every': '500 steps',
            'checkpoint_every': '500 steps',
            'samples': 64,  # images in a grid
            'checkpoints': {'keep_last': 3, 'keep_best': 1, 'best_metric': None, 'best_mode': 'min'},
            'on_nan': 'stop',  # 'stop', or 'restore' the last good checkpoint and go on with other noise
        }
    ).lock()


def load(spec: str, overrides: Mapping[str, str] | Iterable[str] = ()) -> ConfigDict:
    """The config of a command line.

    Args:
        spec: `path/to/file.py` or `path/to/file.py:argument`. The argument goes to the file's `get_config`, by
            convention the name of a data set; `debug` in it, alone or behind a comma, makes the run tiny.
        overrides: `x.y=value` strings, or a mapping from 'x.y' to the value's text. Python literals where the key
            does not hold text.

    Raises:
        UserError: no such file, an unknown key (naming the nearest), a value of the wrong type.
    """
    path, argument = _split(spec)
    parts = argument.split(',')
    debug = 'debug' in parts
    argument = ','.join(part for part in parts if part != 'debug')
    try:
        config = _load_file(path).get_config(argument)
    except (AttributeError, KeyError) as error:  # what a locked ConfigDict says of an unknown key
        raise UserError(f'{path}: {" ".join(str(error.args[0]).split())}') from error
    if debug:
        _make_tiny(config)
    if not isinstance(overrides, Mapping):
        overrides = dict(_parse_override(text) for text in overrides)
    # A name decides which options there are, so it comes first.
    for key in sorted(overrides, key=lambda key: key.split('.')[-1] not in ('name', 'model')):
        _override(config, key, overrides[key])
    check(config)
    return config


def run_name(spec: str, config: ConfigDict) -> str:
    """A name for the run of a command line: 'dcgan-digits', 'dcgan-cifar10-debug'."""
    path, argument = _split(spec)
    data = re.sub(r'[^\w.]+', '-', config.data.name.rstrip('/').rpartition('/')[-1])
    return f'{path.stem}-{data}' + ('-debug' if 'debug' in argument.split(',') else '')


def check(config: ConfigDict) -> None:
    """Raises a UserError for the first key or value that no run could work with."""
    defaults = _flat(base(config.model))
    for section, table in _FACTORIES.items():
        defaults.update({f'{section}.{key}': None for key in _section(table, config[section].name, section)})
    for key in _flat(config):
        if key not in defaults:
            raise UserError(_unknown_key(key, defaults))
    for key in ('batch_size', 'discriminator_steps', 'latents.size', 'samples'):
        value = _get(config, key)
        if not isinstance(value, int) or value < 1:
            raise UserError(f'{key} is {value!r}; it must be a whole number of at least 1.')
    for key, choices in (
        ('data.placement', ('auto', 'device', 'host')),
        ('on_nan', ('stop', 'restore')),
        ('dtype', ('float32', 'bfloat16', 'float16')),
        ('latents.distribution', ('normal', 'uniform')),
        ('parallel.mode', ('pmap', 'sharding')),
        ('checkpoints.best_mode', ('min', 'max')),
    ):
        if _get(config, key) not in choices:
            raise UserError(f'{key} is {_get(config, key)!r}; choose one of {", ".join(choices)}.')
    for key in ('duration', 'log_every', 'sample_every', 'checkpoint_every'):
        steps(config, key)


def steps(config: ConfigDict, key: str) -> int:
    """A duration of the config in generator steps: '500', '500 steps', or '32 kimg' rounded up to whole batches."""
    text = str(config[key]).strip()
    number, unit = text, 'steps'
    for suffix in ('steps', 'step', 'kimg'):
        if text.endswith(suffix):
            number, unit = text.removesuffix(suffix).strip(), suffix
            break
    try:
        value = float(number)
        count = math.ceil(value * 1000 / config.batch_size) if unit == 'kimg' else int(value)
        if count < 1 or (unit != 'kimg' and count != value):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{key} is {text!r}; write a duration as '500 steps' or '32 kimg', at least one step."
        ) from error
    return count


def make(config: ConfigDict, section: str) -> Any:
    """What a section with a `name` and options stands for: a Loss, an optimiser."""
    options = config[section].to_dict()
    return _FACTORIES[section][options.pop('name')](**options)


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The config as plain JSON values (tuples become lists)."""
    return json.loads(config.to_json())


def from_json(values: dict[str, Any]) -> ConfigDict:
    """The inverse of `to_json`."""

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(entry) for key, entry in value.items()}
        return tuple(tuples(entry) for entry in value) if isinstance(value, list) else value

    return ConfigDict(tuples(values)).lock()


def differences(saved: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """The keys in which two configs (from `to_json`) differ, each as 'x.y (saved -> current)'."""
    saved, current = _flat(saved), _flat(current)
    missing = '(absent)'
    return [
        f'{key} ({saved.get(key, missing)!r} -> {current.get(key, missing)!r})'
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key, missing) != current.get(key, missing)
    ]


def _split(spec: str) -> tuple[pathlib.Path, str]:
    path, found, argument = spec.partition('.py:')
    return pathlib.Path(path + '.py' if found else path), argument


def _load_file(path: pathlib.Path):
    if not path.is_file():
        known = sorted(str(file) for file in path.parent.glob('*.py'))
        nearest = difflib.get_close_matches(str(path), known, n=1, cutoff=0.0)
        hint = f'did you mean {nearest[0]}?' if nearest else 'give the path of a config file.'
        raise UserError(f'There is no config file {path}; {hint}')
    module_spec = importlib.util.spec_from_file_location(f'gan_jax_config_{path.stem}', path)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    if not hasattr(module, 'get_config'):
        raise UserError(f'The config file {path} defines no get_config(argument).')
    return module


def _parse_override(text: str) -> tuple[str, str]:
    key, found, value = text.partition('=')
    if not found:
        raise UserError(f'The override {text!r} has no value: write --config.{key}=value.')
    return key, value


def _override(config: ConfigDict, key: str, text: str) -> None:
    known = _flat(config)
    if key not in known:
        raise UserError(_unknown_key(key, known))
    section, _, name = key.rpartition('.')
    current = known[key]
    value = text
    if not isinstance(current, str):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            if text.lower() in ('true', 'false'):
                value = text.lower() == 'true'
    if value is not None and current is not None and not _same_kind(current, value):
        raise UserError(f'{key} takes {_kind(current)}, such as {current!r}, not {text!r}.')
    if isinstance(current, float):
        value = float(value)
    if name == 'name' and section in _FACTORIES:
        options = _section(_FACTORIES[section], value, section)
        options |= {name: kept for name, kept in config[section].items() if name in options and name != 'name'}
        with config.unlocked():
            config[section] = options
    elif key == 'model':
        family = models.find(value)
        with config.unlocked():
            config.model = value
            config.generator = _network_options(family.Generator)
            config.discriminator = _network_options(family.Discriminator)
    else:
        holder = _get(config, section) if section else config
        with holder.ignore_type():
            holder[name] = value


def _same_kind(current: Any, value: Any) -> bool:
    if isinstance(current, bool) or isinstance(value, bool):
        return isinstance(current, bool) and isinstance(value, bool)
    if isinstance(current, float):
        return isinstance(value, int | float)
    return isinstance(value, type(current))


def _kind(value: Any) -> str:
    return {bool: 'True or False', int: 'a whole number', float: 'a number', tuple: 'a tuple'}.get(type(value), 'text')


def _make_tiny(config: ConfigDict) -> None:
    """A run of seconds that goes through every part."""
    config.batch_size = min(config.batch_size, 16)
    config.duration, config.log_every = '20 steps', '5 steps'
    config.sample_every = config.checkpoint_every = '10 steps'
    config.samples = 16
    for options in (config.generator, config.discriminator):
        if options.get('width'):
            options.width = min(options.width, 16)


def _options(factory: Callable, given: Iterable[str] = ()) -> dict[str, Any]:
    """The options of a function or dataclass, with their defaults."""
    parameters = inspect.signature(factory).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name not in given}


def _network_options(network: Callable) -> dict[str, Any]:
    return _options(network, _GIVEN_TO_NETWORKS)


def _section(table: Mapping[str, Callable], name: str, section: str = '') -> dict[str, Any]:
    if name not in table:
        raise UserError(f'{section}.name is {name!r}; choose one of {", ".join(table)}.')
    return {'name': name, **_options(table[name])}


def _flat(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        flat |= _flat(value, f'{prefix}{key}.') if isinstance(value, Mapping | ConfigDict) else {prefix + key: value}
    return flat


def _get(config: ConfigDict, key: str) -> Any:
    for part in key.split('.'):
        config = config[part]
    return config


def _unknown_key(key: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return f'The config has no key {key!r}; the nearest is {nearest[0]!r}.'
