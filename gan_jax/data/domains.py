"""Two domains of unpaired images: a data set of the second, with the first as its group 'a'.

CycleGAN (Zhu et al., arXiv:1703.10593) calls them A and B.
"""

import dataclasses

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.sampling.wanted_classes import choose_classes


def split_classes(text: str) -> tuple[str, str, str]:
    """Splits 'NAME:A:B' into the data set and the two classes; NAME can contain colons.

    Raises:
      UserError: it does not name two classes.
    """
    name, *classes = text.rsplit(':', 2)
    if len(classes) != 2 or not all((name, *classes)):
        raise UserError(
            f"'classes:{text}' does not name two classes: write classes:NAME:A:B, such as classes:mnist:3:8."
        )
    return name, *classes


def split_names(text: str) -> tuple[str, str]:
    """Splits 'A,B' into the two data sets.

    Raises:
      UserError: it does not name two data sets.
    """
    names = text.split(',')
    if len(names) != 2 or not all(names):
        raise UserError(
            f"'unpaired:{text}' does not name two data sets: write unpaired:A,B with exactly one comma (folder "
            'paths cannot contain one).'
        )
    return names[0], names[1]


def two_classes(name: str, data: Dataset, first: str, second: str) -> Dataset:
    """The examples of the second class of a data set, with those of the first as group 'a'; both without labels.

    Args:
      name: name of the result.
      data: labelled images.
      first: the class of domain A, by name or number as `choose_classes` takes it.
      second: the class of domain B.

    Raises:
      UserError: the data have no labels, a class does not exist or has no examples, or both are the same.
    """
    if data.labels is None:
        raise UserError(f'{data.name!r} has no classes, but {name!r} needs two: choose labelled data.')
    data.check_without_groups()
    chosen = choose_classes([first, second], data.num_classes, data.class_names)
    if chosen[0] == chosen[1]:
        raise UserError(f'{name!r} names the class {first!r} twice: name two different classes.')
    domains = []
    for label, text in zip(chosen, (first, second), strict=True):
        indices = (data.labels == label).nonzero()[0]
        if not len(indices):
            raise UserError(f'{data.name!r} has no examples of the class {text!r} in its split {data.split!r}.')
        one = data.select(indices, f'class {text} of {data.name}')
        domains.append(dataclasses.replace(one, labels=None, num_classes=None, class_names=None))
    return _unpaired(name, data.split, *domains)


def two_sets(name: str, split: str, first: Dataset, second: Dataset) -> Dataset:
    """The second data set with the first as group 'a'; they can differ in channels.

    Raises:
      UserError: they are not images, differ in size, or have groups themselves.
    """
    for data in (first, second):
        data.check_images()
        data.check_without_groups()
    sizes = ['x'.join(map(str, data.shape[:2])) for data in (first, second)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f'the images of {first.name!r} are {sizes[0]} and those of {second.name!r} {sizes[1]}: give both one size '
            'by --config.data.size=64.'
        )
    return _unpaired(name, split, first, second)


def check_labelled_domains(data: Dataset, who: str) -> None:
    """Checks two domains for a game that learns classes from the first and applies them to the second.

    Args:
      data: the second domain, whose labels are optional, with the first as group 'a'.
      who: the name of the game.

    Raises:
      UserError: there are no two domains, the first has examples without labels, or the second has other classes.
    """
    source = data.groups.get('a')
    if source is None:
        raise UserError(f'{who} needs two domains, but {data.name!r} is one: write unpaired:SOURCE,TARGET.')
    if source.labels is None or (np.asarray(source.labels) < 0).any():
        raise UserError(
            f'{who} learns from the labels of its source domain, but {source.name!r} has examples without one: choose '
            'a labelled source.'
        )
    if data.labels is None:
        return
    if source.num_classes != data.num_classes or (
        None not in (names := (source.class_names, data.class_names)) and names[0] != names[1]
    ):
        raise UserError(
            f'The target domain of {who} has other classes than the source: {_classes_of(data)}, where the source has '
            f'{_classes_of(source)}. Choose domains with the same classes in the same order.'
        )


def _classes_of(data: Dataset) -> str:
    return f'{data.num_classes} classes' if data.class_names is None else ', '.join(data.class_names)


def _unpaired(name: str, split: str, first: Dataset, second: Dataset) -> Dataset:
    fingerprint = fingerprints.of_value(['unpaired', first.fingerprint, second.fingerprint])
    return dataclasses.replace(second, name=name, split=split, fingerprint=fingerprint, groups={'a': first})
