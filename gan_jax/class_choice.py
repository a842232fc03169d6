"""Classes of a run's data by number or name."""

import difflib
import pathlib
from collections.abc import Sequence

from ml_collections import ConfigDict

from gan_jax.data.folder import folder_source
from gan_jax.data.tfds_source import EMBEDDED, find_builder, find_features
from gan_jax.errors import UserError


def choose_classes(wanted: Sequence[int | str], num_classes: int, options: ConfigDict) -> tuple[int, ...]:
    """The numbers of classes.

    Args:
        wanted: numbers, or names such as 'Sneaker' in any case; only names need the data set.
        num_classes: how many there are.
        options: the config's section `data`.

    Raises:
        UserError: there is no such class; or names are given, and the data set is not here or its classes have none.
    """
    if not wanted:
        raise UserError('No class is named: write --classes 3,5, or leave it away for all of them.')
    names, numbers = {}, []
    for one in wanted:
        if str(one).removeprefix('-').isdigit():
            number = int(one)
            nearest = min(max(number, 0), num_classes - 1)
            if number != nearest:
                raise UserError(
                    f'There is no class {number}: they go from 0 to {num_classes - 1}, and {nearest} is the nearest.'
                )
        else:
            names = names or {name.lower(): (i, name) for i, name in enumerate(class_names(options))}
            number, _ = names.get(one.lower(), (None, one))
            if number is None:
                nearest = difflib.get_close_matches(one.lower(), names, n=1, cutoff=0.0)[0]
                raise UserError(f'There is no class {one!r} in {options.name}: the nearest is {names[nearest][1]!r}.')
        numbers.append(number)
    return tuple(numbers)


def class_names(options: ConfigDict) -> list[str]:
    """The names of a data set's classes by number: those of a folder's sub-directories, or what TFDS says.

    Args:
        options: the config's section `data`.

    Raises:
        UserError: the data set is not here, or its classes have no names.
    """
    kind, _, path = options.name.partition(':')
    if kind == 'folder':
        source = folder_source(options.name, path, options.split)
        root = pathlib.Path(path).expanduser()
        files = {label: pathlib.Path(file) for file, label in source.read(0, source.num_examples)}
        return [files[label].relative_to(root).parts[0] for label in sorted(files)]
    if kind in EMBEDDED or kind == 'stacked':
        raise UserError(f'The classes of {options.name} have no names: give their numbers.')
    info = find_builder(options.name, options.directory).info
    _, label = find_features(info, options.name)
    return info.features[label].names
