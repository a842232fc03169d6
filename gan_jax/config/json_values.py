"""Configs as JSON values: what a run saves, how a saved config is completed, and what makes two configs differ."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import games, models
from gan_jax.config import defaults
from gan_jax.config.defaults import defaults_of, factories
from gan_jax.config.overrides import phase_changes
from gan_jax.values import flat

_PATH = re.compile(r'(?<![^:,])/[^,:]*')  # 'paired:/data/maps', 'unpaired:folder:/a,folder:/b'
PLACES = ('data.cache', 'data.directory')  # of files: each host may have its own
# Where and how a run runs, not what it computes: it may go on elsewhere, on other devices, keeping other checkpoints.
OPERATIONAL = (
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


def differences(saved: dict[str, Any], current: dict[str, Any], *, but: tuple[str, ...] = OPERATIONAL) -> list[str]:
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
