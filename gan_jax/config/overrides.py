"""Config changes that change the available options: names in a config file, and command-line overrides."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping

from ml_collections import ConfigDict

from gan_jax import models
from gan_jax.config.defaults import choices, defaults_of, factories, options_of, roles_of, section
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.layers.choices import nearest
from gan_jax.values import Default, flat, value_of

# What no phase has for itself.
_OF_THE_RUN = {'seed', 'population', 'vary', 'earlier_phases', 'on_nan', 'stretch_seconds', 'data.examples'}
_SECTIONS_OF_THE_RUN = ('phase.', 'checkpoints.', 'parallel.')


def settle(config: ConfigDict) -> None:
    """Gives each section of a config the options of its `name` or family."""
    has_game = isinstance(config.get('game'), ConfigDict) and isinstance(config.game.get('name'), str)
    roles = roles_of(config) if has_game else Pair._fields
    for name in factories(roles):
        if isinstance(config.get(name), ConfigDict) and isinstance(config[name].get('name'), str):
            _settle_section(config, name)
    for role in roles:
        if isinstance(config.get(role), ConfigDict) and config[role].get('family') and config.get('model'):
            _settle_family(config, role)


def _settle_section(config: ConfigDict, name: str) -> None:
    """Gives a section the options of its `name`, and keeps the values that it has.

    Options of another choice are removed; unknown ones stay, so that `check` reports them.
    """
    options, old = section(name, config[name].name), config[name]
    others = {option for choice in choices(name) for option in section(name, choice)} - set(options)
    kept = old.items(preserve_field_references=True)
    options = options.to_dict() | {option: value for option, value in kept if option not in others}
    with config.unlocked():
        config[name] = options


def _settle_family(config: ConfigDict, role: str) -> None:
    """Gives a role of a config the options of its own family, and keeps the values that it has."""
    old, options = config[role], options_of(config[role].family, role)
    others = options_of(config.model, role).keys() - options.keys()
    values = {name: default.value for name, default in options.items()}
    with config.unlocked():
        config[role] = values | {name: value for name, value in old.items() if name not in others}


def apply_overrides(config: ConfigDict, overrides: Mapping[str, str]) -> None:
    """Sets the keys 'x.y' of a config to parsed values; warns about options that are lost if other parts are chosen.

    Raises:
        UserError: a key is unknown (the nearest is suggested), or a value is impossible.
    """
    for key in sorted(overrides, key=_rank):
        lost = _override(config, key, overrides[key])
        if lost := [words for one, words in lost.items() if one not in overrides]:
            warnings.warn(f'{key}={overrides[key]} drops options of the config: {"; ".join(lost)}.', stacklevel=3)


def split(config: ConfigDict) -> list[ConfigDict]:
    """The configs of a run's phases, in order: those of `earlier_phases`, and the config itself without them.

    Raises:
        UserError: a text has the wrong form, or changes a key of the complete run; or as in `apply_overrides`.
    """
    last = config.copy_and_resolve_references()
    last.earlier_phases = ()
    return [*(_phase(last, number, text) for number, text in enumerate(config.earlier_phases)), last]


def _phase(config: ConfigDict, number: int, text: str) -> ConfigDict:
    phase, varied = config.copy_and_resolve_references(), config.vary.partition('=')[0]
    with naming_phase(number), warnings.catch_warnings(action='ignore'):  # of what is lost where it chooses other parts
        changes = phase_changes(text)
        for key in changes:
            if key in _OF_THE_RUN or key.startswith(_SECTIONS_OF_THE_RUN):
                raise UserError(f'it sets {key}, which belongs to the whole run: set it in the config.')
            if key == varied:
                raise UserError(f'it sets {key}, which vary sets for the members: remove it.')
        apply_overrides(phase, changes)
        if varied and varied not in flat(phase):
            raise UserError(f'it has no {varied}, which vary sets for the members.')
    phase.earlier_phases = ()
    return phase


@contextlib.contextmanager
def naming_phase(number: int | None) -> Iterator[None]:
    """Adds the number of the earlier phase to the message of a UserError; None: the config itself."""
    try:
        yield
    except UserError as error:
        if number is None:
            raise
        raise UserError(f'earlier_phases[{number}]: {error}') from error


def phase_changes(text: str) -> dict[str, str]:
    """The changes of a text of `earlier_phases`: 'x.y=value; z=value' as {'x.y': 'value', 'z': 'value'}.

    Raises:
        UserError: the text has another form, or sets a key twice.
    """
    changes = {}
    for part in text.strip().removesuffix(';').split(';'):
        key, found, value = (one.strip() for one in part.partition('='))
        if not found or not key:
            raise UserError(f"{text!r} is not a phase; write 'key=value; key=value'.")
        if key in changes:
            raise UserError(f'{text!r} sets {key} twice: remove one.')
        changes[key] = value
    return changes


def phase_text(changes: Mapping[str, str]) -> str:
    """The inverse of `phase_changes`."""
    return '; '.join(f'{key}={value}' for key, value in changes.items())


def parse_override(text: str) -> tuple[str, str]:
    """Splits 'x.y=value' into the key and the text of the value."""
    key, found, value = text.partition('=')
    if not found:
        raise UserError(f'The override {text!r} has no value: write --config.{key}=value.')
    return key, value


def _rank(key: str) -> int:
    """The order of overrides: names come first, because they determine the available options."""
    *_, last = key.split('.')
    firsts = ('game.name', 'model')
    return firsts.index(key) if key in firsts else {'family': 2, 'name': 3}.get(last, 4)


def _override(config: ConfigDict, key: str, text: str) -> dict[str, str]:
    """Sets a key; returns descriptions, by key, of the options that are lost if it chooses other parts."""
    before, values = defaults_of(config), flat(config)
    if key not in before:
        raise UserError(unknown_key(key, before, config.model))
    value = before[key].parse(text)
    before[key].check(key, value)
    place, _, name = key.rpartition('.')
    holder = value_of(config, place) if place else config
    with holder.ignore_type():
        holder[name] = value
    if key in ('model', 'game.name'):
        if place:
            _settle_section(config, place)
        _settle_networks(config, before)
    elif name == 'name' and place in factories(roles_of(config)):
        _settle_section(config, place)
    elif name == 'family' and place in roles_of(config):
        _settle_networks(config, before)
    else:
        return {}
    after, lost = flat(config), {}
    for one, old in values.items():
        was_set = old != before[one].value
        if one != key and ((one not in after and was_set) or old not in (after.get(one, old), None)):
            lost[one] = f'{one}={old}' + (f' ({after[one]} now)' if one in after else '')
    return lost


def _settle_networks(config: ConfigDict, before: Mapping[str, Default]) -> None:
    """Gives each role's network the options of its family, and keeps values that differ from the defaults `before`.

    Spectral normalisation is kept even if it was the former family's default: the recipe relies on the bound of the
    discriminator's slope, whatever its layers are. A new role also gets an optimiser; a role
    that the game no longer has is removed.
    """
    roles = roles_of(config)
    with config.unlocked():
        former = {key.removesuffix('_optimizer.name') for key in before if key.endswith('_optimizer.name')}
        for gone in former - set(roles):
            del config[gone], config[f'{gone}_optimizer']
        for role in roles:
            old = config.get(role, {})
            options = options_of(old.get('family') or config.model, role)
            for name, default in options.items():
                key, kept = f'{role}.{name}', default.value
                value = old.get(name, kept)
                if value == 'spectral' or (name in old and value != before[key].value):
                    with contextlib.suppress(UserError):  # the same option may take other values there
                        default.check(key, value)
                        kept = value
                options[name] = kept
            config[role] = options
            if f'{role}_optimizer' not in config:
                config[f'{role}_optimizer'] = section(f'{role}_optimizer', 'adam')


def unknown_key(key: str, known: Iterable[str], model: str) -> str:
    """The message about an unknown key of a config with that model; `known` are its keys."""
    role, _, option = key.partition('.')
    for family in models.families() if f'{role}.family' in known else ():
        with contextlib.suppress(UserError):  # not every family has a network for this role
            if option in options_of(family, role):
                return f'The networks of {model} have no {key!r}: in a config file, start from base({model!r}).'
    return f'The config has no key {key!r}; the nearest name is {nearest(key, known)!r}.'
