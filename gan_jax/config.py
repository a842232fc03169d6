"""Configs: the syntax `file.py:argument` or `recipe:argument`, validation, and the parts that a config names.

A config file defines `get_config(argument: str) -> ConfigDict`, which starts from `base(model)` and changes what its
recipe needs. A config contains every option with its default, so all options are visible. Configs are used only
in `train.py` and the `make` functions it calls.
"""

import ast
import functools
import importlib.util
import inspect
import json
import math
import os
import pathlib
import re
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from gan_jax import defaults, games, models, schedules
from gan_jax.augmentation.augment import Augmentation
from gan_jax.class_terms import CLASS_TERMS
from gan_jax.data import absolute_name
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
    settle,
    split,
    unknown_key,
)
from gan_jax.plays import Play
from gan_jax.records import files
from gan_jax.schedules import Schedule
from gan_jax.terms import PENALTIES, check_terms, feature_matching, joined, rotation, slicing
from gan_jax.values import flat

_KINDS = {'loss': Loss, 'augment': Augmentation, 'optimizer': optax.GradientTransformation, 'play': Play}
_RECIPES = pathlib.Path(__file__).parent / 'configs'
_PATH = re.compile(r'(?<![^:,])/[^,:]*')  # 'paired:/data/maps', 'unpaired:folder:/a,folder:/b'
_MOST_STEPS = 2**31 - 1  # an int32 counts them
_MOST_UPDATES = 10**7  # of a player in one stretch, before whose end nothing is seen of it
base, section = defaults.base, defaults.section  # what a config file is written with
_TINY = {
    'width': 16,
    'depth': 2,
    'heads': 2,
    'stages': 2,
    'minibatch_group': 4,
}  # the most that networks of a run for debugging have
INTERVALS = (
    'duration',
    'sample_every',
    'checkpoint_every',
    'evaluate_every',
)  # the whole, and what comes every so often
PLACES = ('data.cache', 'data.directory')  # of files: each host may have its own
# Where and how a run runs, not what it computes: it may go on elsewhere, on other devices, keeping other checkpoints.
_OPERATIONAL = (
    *PLACES,
    'data.placement',
    'data.examples',  # the record of the data has them
    'parallel.',
    'checkpoints.',
    'stretch_seconds',
    'on_nan',
    'writers',
    'standing_statistics',  # of samples
    'population',  # a member's config has none of these
    'vary',
    'evaluate',  # which of its samples are judged, and how
    'evaluation.',
)


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
    """Makes a config the last of several phases; see `gan_jax.phases`.

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
    path, argument = _split(spec)
    parts = argument.split(',')
    debug = 'debug' in parts
    argument = ','.join(part for part in parts if part != 'debug')
    config = _get_config(path, argument)
    check(config)
    if debug:
        _make_tiny(config)
    if not isinstance(overrides, Mapping):
        overrides = dict(parse_override(text) for text in overrides)
    if given := sorted(key for key in overrides if key.startswith('phase.')):
        raise UserError(f'{given[0]} is computed when a run begins: set earlier_phases instead.')
    apply_overrides(config, overrides)
    check(config)
    _make_absolute(config)
    return config


def run_name(spec: str, config: ConfigDict) -> str:
    """A name for the run of a command line: 'dcgan-digits', 'dcgan-cifar10-debug'."""
    path, argument = _split(spec)
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
    for name in factories(roles_of(config)).keys() - {'game'}:  # which needs the data to be made
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
        if one.key.startswith(_OPERATIONAL):
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


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The config as plain JSON values (tuples become lists)."""
    return json.loads(config.to_json())


def roles_with_optimizers(values: Iterable[str]) -> list[str]:
    """The roles of a config, from its keys alone, without its game."""
    return [key.removesuffix('_optimizer') for key in values if key.endswith('_optimizer')]


def foreign_modules(values: Mapping[str, Any]) -> list[str]:
    """The modules outside gan_jax that a config, as JSON values, names: networks, games, losses, ..."""
    sections, roles = _sections(values), roles_with_optimizers(values)
    families = {values.get('model'), *(sections.get(role, {}).get('family') for role in roles)}
    found = {
        *(families - {None, '', *models.families()}),
        *({sections.get('game', {}).get('name')} - {None, *games.names()}),
        *(name.rpartition('.')[0] for name in foreign_functions(values)),
    }
    return sorted(map(str, found))


def foreign_functions(values: Mapping[str, Any]) -> list[str]:
    """The functions 'module.function' that a config, as JSON values, names."""
    sections = _sections(values)
    chosen = factories(roles_with_optimizers(values)).keys() & sections.keys() - {'game'}
    named = [sections[key].get('name') for key in chosen]
    terms = values.get('terms') if isinstance(values.get('terms'), list | tuple) else ()
    names = [str(name) for name in named] + [str(text).partition('(')[0].strip() for text in terms]
    return sorted({name for name in names if '.' in name})


def _sections(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {key: value for key, value in values.items() if isinstance(value, Mapping)}


def from_json(values: dict[str, Any]) -> ConfigDict:
    """The inverse of `to_json`; keys that are newer than the config get their defaults."""

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(entry) for key, entry in value.items()}
        return tuple(tuples(entry) for entry in value) if isinstance(value, list) else value

    return ConfigDict(tuples(completed(values))).lock()


def completed(values: dict[str, Any]) -> dict[str, Any]:
    """A config's JSON values; newer keys are added with their defaults."""
    chosen = factories(())

    def joined(later: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        more = {key: value for key, value in later.items() if key not in own}
        both = {
            key: joined(later[key], own[key])
            for key in later.keys() & own.keys() - chosen.keys()
            if isinstance(later[key], dict) and isinstance(own[key], dict)
        }
        return own | more | both

    sections = _sections(values)
    networks = {role: {'family': '', **sections[role]} for role in roles_with_optimizers(values) if role in sections}
    return joined(to_json(defaults.without_networks()), {**values, **networks})


def completed_as(values: dict[str, Any], config: ConfigDict) -> dict[str, Any]:
    """`completed`, also with newer options of the functions and networks that both configs choose, by their defaults.

    Args:
        values: JSON values of a saved config.
        config: a config of this version.
    """
    values, usual = completed(values), _sections(to_json(config))
    for key, default in defaults_of(config).items():
        section, _, option = key.partition('.')
        saved, current = values.get(section), usual.get(section)
        if not (isinstance(saved, dict) and current) or '.' in option or option in saved:
            continue
        if all(saved.get(choice) == current.get(choice) for choice in ('name', 'family')):
            values[section] = saved | {option: json.loads(json.dumps(default.value))}
    return values


def differences(saved: dict[str, Any], current: dict[str, Any], *, but: tuple[str, ...] = _OPERATIONAL) -> list[str]:
    """The keys whose difference makes two configs (from `to_json`) different runs, each as 'x.y (saved -> current)'.

    Paths in the names of data are ignored; `provenance` compares the data themselves. Keys that begin with one of
    `but` may differ.
    """
    saved, current = flat(saved), flat(current)
    for key, same in (
        ('data.name', _without_paths),
        ('earlier_phases', functools.partial(_comparable_phases, but=but)),
    ):
        if key in saved and key in current and same(saved[key]) == same(current[key]):
            saved[key] = current[key]
    missing = '(absent)'
    return [
        f'{key} ({saved.get(key, missing)!r} -> {current.get(key, missing)!r})'
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key, missing) != current.get(key, missing) and not key.startswith(but)
    ]


def _without_paths(name: object) -> str:
    return _PATH.sub('/', str(name))


def _comparable_phases(texts: Iterable[str], but: tuple[str, ...]) -> list[dict[str, str]]:
    phases = [phase_changes(text) for text in texts]
    return [
        {
            key: _without_paths(value) if key == 'data.name' else value
            for key, value in phase.items()
            if not key.startswith(but)
        }
        for phase in phases
    ]


def recipes() -> dict[str, pathlib.Path]:
    """The files of the package's recipes by name."""
    return {path.stem: path for path in sorted(_RECIPES.glob('*.py'))}


def _split(spec: str) -> tuple[pathlib.Path, str]:
    path, found, argument = spec.partition('.py:')
    if found or spec.endswith('.py'):
        return files.user_path(path + '.py' if found else path), argument
    name, _, argument = spec.partition(':')
    return recipes().get(name, files.user_path(name)), argument


def _load_file(path: pathlib.Path):
    if path.is_dir():
        raise UserError(f'{path} is a directory: give the config file itself, such as {path / "dcgan.py"}.')
    if not path.is_file():
        if path.stem in recipes():
            hint = f'gan_jax has a recipe of this name: --config {path.stem}.'
        else:
            beside = [str(file) for file in path.parent.glob('*.py') if path.suffix == '.py']
            hint = f'did you mean {nearest(str(path), sorted(beside) or recipes())}?'
        raise UserError(f'There is no config file {path}; {hint}')
    module_spec = importlib.util.spec_from_file_location(f'gan_jax_config_{path.stem}', path)
    module = importlib.util.module_from_spec(module_spec)
    with blaming(f'The config file {path}'):
        module_spec.loader.exec_module(module)
    if not hasattr(module, 'get_config'):
        raise UserError(f'The config file {path} defines no get_config(argument).')
    return module


def _get_config(path: pathlib.Path, argument: str) -> ConfigDict:
    get_config = _load_file(path).get_config
    try:
        inspect.signature(get_config).bind(argument)
    except TypeError as error:
        raise UserError(f'The get_config of {path} must take one argument, the text after the colon.') from error
    with blaming(f'The config file {path}'):
        try:
            config = get_config(argument)
        except (AttributeError, KeyError, TypeError) as error:  # a ConfigDict's refusal, or a mistake in the code
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            if not frames[-1].f_globals['__name__'].startswith('ml_collections'):
                raise
            raise UserError(f'{path} uses the config incorrectly: {" ".join(str(error.args[0]).split())}') from error
    if not isinstance(config, ConfigDict):
        raise UserError(f'The get_config of {path} returns {config!r}; it must return a config made by base(model).')
    settle(config)
    return config


def _make_absolute(config: ConfigDict) -> None:
    """Makes the paths in a config absolute, so that what a run records of it holds from every directory."""
    for key, absolute in _ABSOLUTE.items():
        section, _, name = key.partition('.')
        if config[section][name] is not None:
            config[section][name] = absolute(config[section][name])
    phases = map(phase_changes, config.earlier_phases)
    config.earlier_phases = tuple(
        phase_text({key: _ABSOLUTE.get(key, str)(value) for key, value in changes.items()}) for changes in phases
    )


def _absolute_path(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _absolute_extractor(spec: str) -> str:
    kind, _, file = spec.partition(':')
    return f'{kind}:{_absolute_path(file)}' if kind == 'classifier' and file.endswith('.npz') else spec


_ABSOLUTE = {
    'data.name': absolute_name,
    'data.directory': _absolute_path,
    'data.cache': _absolute_path,
    'evaluation.extractor': _absolute_extractor,
}


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
