"""The contents of `config.json` and `run.json` in a run's directory, validated when they are read."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from gan_jax.errors import UserError
from gan_jax.records import files

DIVERGED = 'diverged.json'  # in the directory of a run that became NaN and is not trained any more
# What every version of gan_jax has written, as far as pages, findings and sampling rely on it.
_CONFIG = {
    'model': str,
    'batch_size': int,
    'duration': str | int,
    'samples': int,
    'data': {'name': str},
    'latents': dict,
    'loss': {'name': str},
    'schedule': {'name': str},
    'generator': dict,
    'generator_optimizer': {'name': str, 'learning_rate': float | int},
}
_DATA = {'shape': list, 'classes': int | None}
_FACTS = {
    'data': {'name': str, 'split': str, 'examples': int, 'fingerprint': str, **_DATA},
    'devices': {'kind': str, 'number': int, 'mode': str},
    'versions': dict,
}
_ORIGIN = {'name': str, 'file': str, 'root': str}
_NETWORK = {'parameters': int, 'shapes': dict}


def read_config(workdir: str | os.PathLike) -> dict[str, Any]:
    """The config of a run, as JSON values.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        UserError: it cannot be read, or is not the config of a run.
    """
    path = pathlib.Path(workdir) / 'config.json'
    return _check(path, files.read_object(path), _CONFIG)


def read_facts(workdir: str | os.PathLike) -> dict[str, Any]:
    """The facts about a run that `gan_jax.training.run.facts` recorded, as JSON values.

    Raises:
        FileNotFoundError, NotADirectoryError: there are none.
        UserError: they cannot be read, are not those of a run, or are of converted weights.
    """
    path = pathlib.Path(workdir) / 'run.json'
    facts = files.read_object(path)
    if 'converted' in facts:
        raise UserError(
            f'{workdir} has converted weights and no course of training to show: give a run that was trained.'
        )
    _check(path, facts, _FACTS)
    networks = facts.get('networks', {})
    _check(path, networks, dict.fromkeys(networks, _NETWORK), 'networks.')
    check_phases(path, facts)
    return facts


def read_phases(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """The config and the data of each phase of a run, as JSON values; [] if it has only one. Raises as `read_facts`."""
    path = pathlib.Path(workdir) / 'run.json'
    return check_phases(path, files.read_object(path))


def check_phases(path: pathlib.Path, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of `run.json` for each phase; [] if there is only one; raises a UserError if they are invalid."""
    found = facts.get('phases', [])
    whole = isinstance(found, list) and all(isinstance(phase, dict) for phase in found)
    _check(path, {'phases': found if whole else None}, {'phases': list})
    for number, phase in enumerate(found):
        _check(path, phase, {'config': _CONFIG, 'data': _DATA}, f'phases[{number}].')
    return found


def read_data_facts(workdir: str | os.PathLike, phase: int | None = None) -> dict[str, Any]:
    """The entry of `run.json` about the data; sampling needs the shape and the classes. Raises as `read_facts`.

    Args:
        workdir: the run's directory.
        phase: the number of one of several phases; None: the last.
    """
    path = pathlib.Path(workdir) / 'run.json'
    facts = files.read_object(path)
    earlier = check_phases(path, facts)[:-1]
    if phase is not None and phase < len(earlier):
        facts = earlier[phase]
    data = _check(path, facts, {'data': _DATA})['data']
    groups = data.setdefault('groups', {})
    _check(
        path, {'groups': groups}, {'groups': dict.fromkeys(groups, _DATA) if isinstance(groups, dict) else {}}, 'data.'
    )
    for part in (data, *groups.values()):
        shapes = {'shape': part['shape'], 'input_shape': part.setdefault('input_shape', None)}
        _check(path, shapes, {'shape': list, 'input_shape': list | None}, 'data.')
        sides = {str(i): side for i, side in enumerate([*part['shape'], *(part['input_shape'] or ())])}
        _check(path, sides, dict.fromkeys(sides, int), 'data.shape.')
        _check(path, {'class_names': part.get('class_names')}, {'class_names': list | None}, 'data.')
    return data


def read_divergence(workdir: str | os.PathLike) -> str | None:
    """Why a run was given up as diverged, or None.

    Raises:
        UserError: the file with the reason is damaged.
    """
    path = pathlib.Path(workdir) / DIVERGED
    return str(files.read_object(path).get('reason')) if path.exists() else None


def read_origins(workdir: str | os.PathLike) -> dict[str, dict[str, str]]:
    """The origins of a run's modules by name, from `gan_jax.open_sets.origin`; {} if an older run has none.

    Raises as `read_facts`.
    """
    path = pathlib.Path(workdir) / 'run.json'
    facts = files.read_object(path)
    modules = _check(path, facts, {'modules': {}})['modules'] if 'modules' in facts else {}
    return _check(path, modules, dict.fromkeys(modules, _ORIGIN), 'modules.')


@contextlib.contextmanager
def advising() -> Iterator[None]:
    """Adds to a UserError about a damaged file of a run how to continue training."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{error} Choose another --workdir, or remove the file to continue.') from error


def _check(path: pathlib.Path, found: dict[str, Any], form: Mapping[str, Any], above: str = '') -> dict[str, Any]:
    """Returns the object if it has the required keys, with values of the required types."""
    for name, kind in form.items():
        inside = isinstance(kind, Mapping)
        if name not in found or not isinstance(found[name], dict if inside else kind):
            raise UserError(f'{path} is damaged: its {above}{name} was not written by a run.')
        if inside:
            _check(path, found[name], kind, f'{above}{name}.')
    return found
