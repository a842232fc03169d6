"""Whether all processes of a run train the same: config, data, code and versions."""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

import gan_jax
from gan_jax.config import json_values
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.records import provenance
from gan_jax.runtime import hosts
from gan_jax.runtime.checkpoint import package_versions

_REMEDY = 'start the same command with the same files and packages on each host'


def check_config(config: ConfigDict) -> None:
    """Compares the config, gan_jax's code and the versions of packages over the processes; each must call it.

    Raises:
        UserError: in every process, if one of them differs from the first.
    """
    _compare({'code': _code()[:8], **package_versions()}, _changes)
    _compare(json_values.to_json(config), functools.partial(json_values.differences, but=json_values.PLACES))


def check_data(dataset: Dataset) -> None:
    """Compares the data over the processes; each must call it.

    Raises:
        UserError: in every process, if the data of one of them differ from those of the first.
    """
    _compare(provenance.describe(dataset), provenance.differences)


def _compare(mine: dict[str, Any], differences: Callable[[dict, dict], list[str]]) -> None:
    first, *others = map(json.loads, hosts.gather(json.dumps(mine)))
    for process, other in enumerate(others, 1):
        if changes := differences(first, other):
            raise UserError(f'Process {process} differs from process 0 in {", ".join(changes)}: {_REMEDY}.')


def _changes(first: dict[str, str], other: dict[str, str]) -> list[str]:
    return [f'{name} ({first[name]} -> {other[name]})' for name in first if first[name] != other[name]]


@functools.cache
def _code() -> str:
    """A SHA-256 of the package's source."""
    digest, root = hashlib.sha256(), pathlib.Path(gan_jax.__file__).parent
    for path in sorted(root.rglob('*.py')):
        digest.update(f'{path.relative_to(root)}\n'.encode() + path.read_bytes())
    return digest.hexdigest()
