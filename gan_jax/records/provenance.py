"""The data that a run was trained on, as recorded in run.json, and the comparison with the current data."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from gan_jax.data import MAIN, Dataset, batch_field
from gan_jax.errors import UserError
from gan_jax.records import description, files

_PLACE = ('name', 'split')  # of data, which the config has too; what is there is another matter


def describe(dataset: Dataset) -> dict[str, Any]:
    """The description of a run's data, as JSON values."""
    return {
        'name': dataset.name,
        'split': dataset.split,
        'examples': len(dataset),
        'shape': list(dataset.shape),
        'classes': dataset.num_classes,
        'class_names': None if dataset.class_names is None else list(dataset.class_names),
        'fingerprint': dataset.fingerprint,
        'input_shape': None if dataset.inputs is None else list(dataset.inputs.shape[1:]),
        'groups': {name: describe(group) for name, group in dataset.groups.items()},
    }


def shapes(facts: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of one example in each field of a batch, from a description; as `Dataset.shapes`."""
    found = {}
    for name, part in {MAIN: facts, **facts['groups']}.items():
        found[name] = tuple(part['shape'])
        if part['input_shape'] is not None:
            found[batch_field(name, 'input')] = tuple(part['input_shape'])
    return found


def label_sets(facts: dict[str, Any]) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
    """The classes of each part of the data that has some, from a description; as `Dataset.label_sets`."""
    parts = {name: part for name, part in {MAIN: facts, **facts['groups']}.items() if part['classes'] is not None}
    return {name: tuple(part.get('class_names') or range(part['classes'])) for name, part in parts.items()}


def num_classes(facts: dict[str, Any]) -> int | None:
    """The number of classes of the data or, where they have none, of the first of their groups that has some."""
    counts = (part['classes'] for part in (facts, *facts['groups'].values()))
    return next((count for count in counts if count is not None), None)


def differences(trained_on: dict[str, Any], today: dict[str, Any]) -> list[str]:
    """The differences between two descriptions of data: 'examples (1500 -> 1501)', 'a examples (...)'.

    The second is of the group 'a'.
    """
    pairs = {name: (trained_on[name], today[name]) for name in today if name in trained_on and name not in _PLACE}
    former, groups = pairs.pop('groups', ({}, {}))
    if 'fingerprint' in pairs:
        pairs['fingerprint'] = tuple(str(value)[:8] for value in pairs['fingerprint'])
    changed = [f'{name} ({before} -> {now})' for name, (before, now) in pairs.items() if before != now]
    both = [name for name in groups if name in former]
    return changed + [f'{name} {change}' for name in both for change in differences(former[name], groups[name])]


def changes(workdir: str | os.PathLike, dataset: Dataset, phase: int = 0) -> list[str]:
    """The differences between a data set and that of a phase of the directory's run.

    Raises:
        UserError: the record is damaged.
    """
    record = _read(workdir)
    earlier = record.get('phases', [])[:-1]
    trained_on = earlier[phase] if phase < len(earlier) else record
    return differences(trained_on.get('data', {}), describe(dataset))


def check_same_data(workdir: str | os.PathLike, datasets: Sequence[Dataset], accept_changes: bool) -> None:
    """Compares the data sets of a run's phases with those that the directory's run was trained on so far.

    Raises:
        UserError: they differ and this is not accepted, or the record cannot be read.
    """
    record = _read(workdir)
    *earlier, last = datasets
    trained_on = [phase['data'] for phase in record.get('phases', [])][: len(earlier)]
    for dataset, before in [(last, record.get('data', {})), *zip(earlier, trained_on, strict=False)]:
        changed = differences(before, describe(dataset))
        if changed and not accept_changes:
            raise UserError(
                f'{workdir} contains a run on other data: {dataset.name!r} has changed in {", ".join(changed)}. '
                'Restore them, choose another --workdir, or continue with the current data by --accept_config_changes.'
            )


def record(workdir: str | os.PathLike, dataset: Dataset, step: int) -> dict[str, Any]:
    """The entries of run.json about the data: `data` from a step on, and `former_data` if they differed before."""
    before, today = _read(workdir), describe(dataset)
    former = before.get('former_data', [])
    if step and differences(before.get('data', {}), today):
        former = [*former, before['data'] | {'until_step': step}]
    return {'data': today} | ({'former_data': former} if step and former else {})


def _read(workdir: str | os.PathLike) -> dict[str, Any]:
    """The contents of run.json; empty if it does not exist."""
    path = pathlib.Path(workdir) / 'run.json'
    with description.advising():
        try:
            found = files.read_object(path)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        if not isinstance(found.get('data'), dict) or not isinstance(found.get('former_data', []), list):
            raise UserError(f'{path} is damaged: its data record is invalid.')
        description.check_phases(path, found)
    return found
