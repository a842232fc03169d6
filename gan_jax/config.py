"""Configs: the base defaults, the `file.py:argument` grammar, overrides and their errors.

A config file defines `get_config(argument: str) -> ConfigDict`, which starts from `base(model)` and changes what its
recipe needs. Every option that exists has its default in the config, so whatever can be set can be seen. Configs stop
at `train.py` and the `make` functions it calls.
"""

import difflib
import importlib.util
import inspect
import json
import math
import os
import pathlib
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import files, models
from gan_jax.augment import AUGMENTATIONS
from gan_jax.data import absolute_name
from gan_jax.errors import UserError
from gan_jax.evaluation.metrics import check_names
from gan_jax.game import Pair
from gan_jax.losses import LOSSES
from gan_jax.optim import OPTIMIZERS, SCHEDULES
from gan_jax.terms import PENALTIES, auxiliary_classifier, feature_matching, joined
from gan_jax.values import check_range, check_type, parse, type_of

# Sections whose remaining keys are the options of whatever their `name` chooses.
_FACTORIES: dict[str, Mapping[str, Callable]] = {
    'loss': LOSSES,
    'generator_optimizer': OPTIMIZERS,
    'discriminator_optimizer': OPTIMIZERS,
    'schedule': SCHEDULES,
    'augment': AUGMENTATIONS,
}
_GIVEN_TO_NETWORKS = {
    'shape',
    'dtype',
    'axis_name',
    'num_classes',
    'parent',
    'name',
}  # what build.py passes, and linen's own
INTERVALS = (
    'duration',
    'sample_every',
    'checkpoint_every',
    'evaluate_every',
)  # the whole, and what comes every so often
# Where and how a run runs, not what it computes: it may go on elsewhere, on other devices, keeping other checkpoints.
_OPERATIONAL = (
    'data.cache',
    'data.directory',
    'data.placement',
    'parallel.',
    'checkpoints.',
    'on_nan',
    'population',  # a member's config has none of these
    'vary',
    'evaluate',  # which of its samples are judged, and how
    'evaluation.',
)


def base(model: str) -> ConfigDict:
    """The defaults of everything, for a model family ('dcgan', 'mlp', or a module of your own)."""
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
            'population': 1,  # runs in one program, with the seeds from `seed` on; see population.py
            'vary': '',  # or with these values of a number: 'generator_optimizer.learning_rate=1e-4,2e-4'
            'batch_size': 64,  # over all devices
            'duration': '1000 steps',  # steps of the generator, or thousands of images as '100 kimg'
            'discriminator_steps': 1,  # in each round, on a batch each
            'discriminator_schedule': {
                'steps': 0,
                'until': 1.0,
            },  # goes to that many steps by that share of the run; 0: no
            'generator_steps': 1,  # in each round
            'accumulate': 1,  # parts of a batch, one after the other, whose gradients make one update
            'latents': {'size': 100, 'distribution': 'normal'},
            'model': model,
            **_network_options(model),
            'loss': _section(LOSSES, 'non_saturating'),
            'flip_labels': 0.0,  # probability that a real and a fake example change places in the discriminator's loss
            'penalties': {name: _options(penalty) for name, penalty in PENALTIES.items()},  # weight 0: off
            'lazy': {'generator': 1, 'discriminator': 1},  # gradient penalties and path length after every k-th round
            'feature_matching': {
                **_options(feature_matching),
                'alone': False,
            },  # alone: it is the generator's only loss
            'auxiliary': _options(auxiliary_classifier),  # where discriminator.conditioning is auxiliary
            'augment': _section(AUGMENTATIONS, 'none'),  # of all that the discriminator is shown
            'instance_noise': {'deviation': 0.0, 'until': 1.0},  # falls to 0 at that share of the run
            'replay': 0,  # remembered fake examples
            'discriminators': {'number': 1, 'combine': 'mean'},  # mean, max or softmax of the generator's losses
            'unrolled_steps': 0,  # of the discriminator, seen by the generator
            'top_k': {
                'share': 1.0,
                'until': 0.5,
            },  # of fakes that teach the generator, reached at that share of the run
            'balance': {
                'measure': 'none',  # by which the discriminator rests: accuracy, loss_ratio
                'threshold': 0.8,
                'fooling': 0.0,  # the generator moves on while less than this share of its examples passes for real
            },
            'reference_batch': 64,  # examples of virtual batch normalisation
            'generator_optimizer': _section(OPTIMIZERS, 'adam'),
            'discriminator_optimizer': _section(OPTIMIZERS, 'adam'),
            'schedule': _section(SCHEDULES, 'constant'),  # of both learning rates
            'ema': {'half_life_kimg': 10.0, 'ramp_up': 0.05},  # half_life_kimg 0: no average is kept
            'dtype': 'float32',  # of the networks' arithmetic; parameters and penalties are float32
            'recompute': False,  # the forward passes for the gradients: less memory, more time
            'parallel': {'mode': 'pmap', 'devices': 0},  # on several devices: pmap or sharding; 0: all there are
            'log_every': '50 steps',  # also the stretch that is one compiled call; the other intervals round up to it
            'sample_every': '500 steps',
            'checkpoint_every': '500 steps',
            'samples': 64,  # images in a grid
            'evaluate': (),  # metrics of the averaged generator's samples: ('fid', 'kid', 'precision_recall', ...)
            'evaluate_every': '2000 steps',  # and at the end
            'evaluation': {
                'samples': 10_000,
                'extractor': 'auto',  # inception[:RESIZE[:TAP]], classifier[:NAME], module:name; auto: what is there
                'split': None,  # of the real images; None: the one trained on
            },
            'checkpoints': {'keep_last': 3, 'keep_best': 1, 'best_metric': None, 'best_mode': 'min'},
            'on_nan': 'stop',  # 'stop', or 'restore' the last good checkpoint and go on with other noise
        }
    ).lock()


def section(name: str, choice: str) -> ConfigDict:
    """One choice for a section, with the defaults of its options: the 'hinge' for the section 'loss'.

    Raises:
        UserError: there is no such choice.
    """
    return ConfigDict(_section(_FACTORIES[name], choice, name))


def choose_data(config: ConfigDict, argument: str) -> None:
    """Sets the data set that stands behind a config's colon; the embedded digits at 16x16 if nothing does."""
    if argument:
        config.data.name = argument
    else:
        config.data.size = 16  # the digits are 8x8


def load(spec: str, overrides: Mapping[str, str] | Iterable[str] = ()) -> ConfigDict:
    """The config of a command line.

    Args:
        spec: `path/to/file.py` or `path/to/file.py:argument`. The argument goes to the file's `get_config`, by
            convention the name of a data set; `debug` in it, alone or behind a comma, makes the run tiny.
        overrides: `x.y=value` strings, or a mapping from 'x.y' to the value's text. Python literals where the key
            does not hold text.

    Raises:
        UserError: no such file, one that makes no config, an unknown key (naming the nearest), an impossible value.
    """
    path, argument = _split(spec)
    parts = argument.split(',')
    debug = 'debug' in parts
    argument = ','.join(part for part in parts if part != 'debug')
    config = _get_config(path, argument)
    check(config)
    if debug:
        _make_tiny(config)
    if not isinstance(overrides, Mapping):
        overrides = dict(_parse_override(text) for text in overrides)
    # A name decides which options there are, so it comes first.
    for key in sorted(overrides, key=lambda key: key.split('.')[-1] not in ('name', 'model')):
        _override(config, key, overrides[key])
    check(config)
    _make_absolute(config)
    return config


def run_name(spec: str, config: ConfigDict) -> str:
    """A name for the run of a command line: 'dcgan-digits', 'dcgan-cifar10-debug'."""
    path, argument = _split(spec)
    data = re.sub(r'[^\w.]+', '-', config.data.name.rstrip('/').rpartition('/')[-1])
    return f'{path.stem}-{data}' + ('-debug' if 'debug' in argument.split(',') else '')


def check(config: ConfigDict) -> None:
    """Raises a UserError for the first key or value that no run could work with.

    The sizes and names among a network's options are for the network to check, when the game is made.
    """
    values = _flat(config)
    for key in ('model', *(f'{section}.name' for section in _FACTORIES)):
        if not isinstance(values.get(key), str):
            raise UserError(_missing_key(key))
    defaults = _defaults(config)
    for key, value in values.items():
        if key not in defaults:
            raise UserError(_unknown_key(key, defaults))
        check_type(key, value, defaults[key], type_of(key, defaults[key], config.model))
    for key in defaults:
        if key not in values:
            raise UserError(_missing_key(key))
        check_range(key, values[key])
    for section in _FACTORIES:
        make(config, section)
    make_terms(config)
    check_names(config.evaluate)
    for key in (*INTERVALS, 'log_every'):
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
    """What a section with a `name` and options stands for: a Loss, an optimiser, a schedule, an augmentation."""
    options = config[section].to_dict()
    return _FACTORIES[section][options.pop('name')](**options)


def make_terms(config: ConfigDict) -> Pair:
    """The terms that the config adds to each player's losses."""
    made = [PENALTIES[name](**options) for name, options in config.penalties.to_dict().items()]
    matching = config.feature_matching.to_dict()
    del matching['alone']
    made.append(feature_matching(**matching))
    if config.discriminator.get('conditioning') == 'auxiliary':
        made.append(auxiliary_classifier(**config.auxiliary))
    return joined(made)


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
    """The keys that make two configs (from `to_json`) two runs, each as 'x.y (saved -> current)'.

    A folder's path only says where the data are; `provenance` compares what they are.
    """
    saved, current = _flat(saved), _flat(current)
    names = [str(values.get('data.name')).partition('folder:') for values in (saved, current)]
    if names[0][:2] == names[1][:2] and names[0][1]:
        saved['data.name'] = current['data.name']
    missing = '(absent)'
    return [
        f'{key} ({saved.get(key, missing)!r} -> {current.get(key, missing)!r})'
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key, missing) != current.get(key, missing) and not key.startswith(_OPERATIONAL)
    ]


def _split(spec: str) -> tuple[pathlib.Path, str]:
    path, found, argument = spec.partition('.py:')
    return files.user_path(path + '.py' if found else path), argument


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


def _get_config(path: pathlib.Path, argument: str) -> ConfigDict:
    get_config = _load_file(path).get_config
    try:
        inspect.signature(get_config).bind(argument)
    except TypeError as error:
        raise UserError(f'The get_config of {path} must take one argument, the text behind the colon.') from error
    try:
        config = get_config(argument)
    except (AttributeError, KeyError, TypeError) as error:  # a ConfigDict's refusal, or a mistake in the file's code
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        if not frames[-1].f_globals['__name__'].startswith('ml_collections'):
            raise
        raise UserError(f'{path} asks too much of the config: {" ".join(str(error.args[0]).split())}') from error
    if not isinstance(config, ConfigDict):
        raise UserError(f'The get_config of {path} returns {config!r}; it must return a config made by base(model).')
    return config


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
    default = _defaults(config)[key]
    wanted = type_of(key, default, config.model)
    value = parse(text, wanted, default)
    check_type(key, value, default, wanted)
    if name == 'name' and section in _FACTORIES:
        options = _section(_FACTORIES[section], value, section)
        options |= {name: kept for name, kept in config[section].items() if name in options and name != 'name'}
        with config.unlocked():
            config[section] = options
    elif key == 'model':
        options = _network_options(value)
        with config.unlocked():
            config.model = value
            config.generator, config.discriminator = options['generator'], options['discriminator']
    else:
        holder = value_of(config, section) if section else config
        with holder.ignore_type():
            holder[name] = value


def _make_absolute(config: ConfigDict) -> None:
    """Makes the paths in a config absolute, so that what a run records of it holds from every directory."""
    config.data.name = absolute_name(config.data.name)
    for key in ('directory', 'cache'):
        if config.data[key] is not None:
            config.data[key] = os.path.abspath(os.path.expanduser(config.data[key]))
    kind, _, file = config.evaluation.extractor.partition(':')
    if kind == 'classifier' and file.endswith('.npz'):
        config.evaluation.extractor = f'{kind}:{os.path.abspath(os.path.expanduser(file))}'


def _make_tiny(config: ConfigDict) -> None:
    """A run of seconds that goes through every part."""
    config.batch_size = min(config.batch_size, 16)
    config.duration, config.log_every = '20 steps', '5 steps'
    config.sample_every = config.checkpoint_every = config.evaluate_every = '10 steps'
    config.evaluation.samples = 64
    config.samples = 16
    for options in (config.generator, config.discriminator):
        if options.get('width'):
            options.width = min(options.width, 16)


def _defaults(config: ConfigDict) -> dict[str, Any]:
    """Every key that a config of this model, loss and optimisers has, with its default."""
    defaults = base(config.model)
    with defaults.unlocked():
        for section, table in _FACTORIES.items():
            defaults[section] = _section(table, config[section].name, section)
    return _flat(defaults)


def _options(factory: Callable) -> dict[str, Any]:
    """The options of a function or dataclass, with their defaults; keyword-only ones are for code."""
    parameters = inspect.signature(factory).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is not one.KEYWORD_ONLY}


def _network_options(model: str) -> dict[str, dict[str, Any]]:
    family = models.find(model)
    sections = {'generator': _options(family.Generator), 'discriminator': _options(family.Discriminator)}
    for section, options in sections.items():
        for name in _GIVEN_TO_NETWORKS & options.keys():
            del options[name]
        for name, default in options.items():
            if default is inspect.Parameter.empty:
                raise UserError(f'The {section} of {model} has no default for {name!r}; an option needs one.')
    return sections


def _section(table: Mapping[str, Callable], name: str, section: str = '') -> dict[str, Any]:
    if name not in table:
        raise UserError(f'{section}.name is {name!r}; choose one of {", ".join(table)}.')
    return {'name': name, **_options(table[name])}


def _flat(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat = {}
    for key, value in config.items():
        flat |= _flat(value, f'{prefix}{key}.') if isinstance(value, Mapping | ConfigDict) else {prefix + key: value}
    return flat


def _missing_key(key: str) -> str:
    return f'The config has no {key}: start from gan_jax.config.base(model), where every key has its default.'


def value_of(config: ConfigDict, key: str) -> Any:
    """The value of 'x.y' in a config.

    Raises:
        UserError: there is no such key.
    """
    for part in key.split('.'):
        if not isinstance(config, ConfigDict) or part not in config:
            raise UserError(f'The config has no key {key!r}.')
        config = config[part]
    return config


def _unknown_key(key: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return f'The config has no key {key!r}; the nearest is {nearest[0]!r}.'
