"""Images with label maps: the class of each pixel."""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.data.decoded import decoded
from gan_jax.data.images import ImageSource
from gan_jax.data.paired import check_sizes, find_sides
from gan_jax.errors import UserError
from gan_jax.records.files import lines_of, user_path

_SIDES = (('maps', 'images'), ('annotations', 'images'))  # directories
_NAMES = 'classes.txt'
_MOST = 255  # classes
_CHUNK = 256


def with_maps(name: str, path: str, split: str, root: pathlib.Path, *, channels: int | None, **options: Any) -> Dataset:
    """The images in the sub-directory `images` of a directory, and those in `maps` (or `annotations`) as their maps.

    A map has the name of its image, whatever the suffix, and one channel of 8 bits (or a palette) with the class of
    each pixel, from 0. The file classes.txt, if it is there, has the name of a class in each line; without it there are
    as many classes as the largest number in the maps requires.

    Args:
      name: the data set's name, for messages.
      path: the directory; ~ is the home directory.
      split: 'train' or a slice of it, as of a folder.
      root: root of the cache.
      channels: of the images, as in `load`.
      **options: size and show_progress, as in `load`; maps are resized by the nearest pixel.

    Raises:
      UserError: an image has no map, differs from it in size, a map has no classes or one that classes.txt does not
        name; or as `folder_source` and `decoded`.
    """
    sides = find_sides(name, path, split, _SIDES)
    if sides is None:
        raise UserError(
            f'{path!r} needs the sub-directories images and maps: put label maps into maps, by the names of the images.'
        )
    source = dataclasses.replace(sides[0], is_map=True)
    check = functools.partial(check_sizes, *sides)
    maps = decoded(source, root, check=check, channels=1, **options)
    images = decoded(sides[1], root, check=check, channels=channels, **options)
    file = user_path(path) / _NAMES
    names = tuple(lines_of(file)) if file.is_file() else None
    while names and not names[-1].strip():
        names = names[:-1]
    classes = len(names) if names else min(_MOST, int(maps.examples.max()) + 1)
    check_classes(maps.examples, classes, source)
    return dataclasses.replace(
        images,
        inputs=maps.examples,
        labels=None,
        num_classes=classes,
        class_names=names,
        fingerprint=fingerprints.of_value(['maps', maps.fingerprint, images.fingerprint, classes]),
    )


def check_classes(maps: np.ndarray, classes: int, where: ImageSource | str) -> None:
    """Raises a UserError if a map has a class that is not known.

    Args:
      maps: uint8 [num, ..., 1].
      classes: the number of classes.
      where: the source of the maps, which names the file, or the name of the data.
    """
    for start in range(0, len(maps), _CHUNK):
        largest = maps[start : start + _CHUNK].max(tuple(range(1, maps.ndim)))
        if largest.max() >= classes:
            index = int(largest.argmax())
            of = where.describe(start + index) if isinstance(where, ImageSource) else f'a map of {where!r}'
            raise UserError(
                f'{of} has the class {largest[index]}, but there are {classes} classes, numbered from 0: give '
                'unlabelled pixels a class of their own.'
            )
