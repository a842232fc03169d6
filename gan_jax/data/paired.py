"""Pairs of images in a directory: each image with the one that goes with it."""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.data.decoded import decoded
from gan_jax.data.folder import folder_source
from gan_jax.data.images import ImageSource, unreadable, upright_size
from gan_jax.errors import UserError
from gan_jax.records.files import user_path

_SIDES = (('A', 'B'), ('input', 'target'))  # directories of inputs and of the images that go with them


def pairs(name: str, path: str, split: str, root: pathlib.Path, **options: Any) -> Dataset:
    """The pairs in a directory, in one of two forms.

    In the form of pix2pix's data sets (Isola et al., arXiv:1611.07004) each file holds both images side by side, and is
    cut in the middle: its left half is the input, its right half the example. Else the inputs are in a sub-directory
    A and the examples, by the same names, in one called B; or in `input` and `target`.

    Args:
      name: the data set's name, for messages.
      path: the directory; ~ is the home directory.
      split: 'train' or a slice of it, as of a folder.
      root: root of the cache.
      **options: size, channels (of both images) and show_progress, as in `load`.

    Raises:
      UserError: an image is unpaired, the two of a pair differ in size, a file side by side has an odd width; or as
        `folder_source` and `decoded`.
    """
    check = lambda: None  # noqa: E731
    if sides := find_sides(name, path, split, _SIDES):
        check = functools.partial(check_sizes, *sides)
    else:
        whole = folder_source(name, path, split)
        sides = [dataclasses.replace(whole, half=half) for half in ('left', 'right')]
    given, wanted = (decoded(source, root, check=check, **options) for source in sides)
    fingerprint = fingerprints.of_value(['pairs', given.fingerprint, wanted.fingerprint])
    return dataclasses.replace(wanted, inputs=given.examples, fingerprint=fingerprint)


def find_sides(
    name: str, path: str, split: str, names: Sequence[tuple[str, str]]
) -> tuple[ImageSource, ImageSource] | None:
    """The images in two sub-directories of a directory, of which the n-th belong together; None if there are none.

    Args:
      name: the data set's name, for messages.
      path: the directory; ~ is the home directory.
      split: as in `pairs`.
      names: the names that the sub-directories may have, those of inputs first.

    Raises:
      UserError: an image has no partner of the same name, whatever its suffix; or as `folder_source`.
    """
    directory = user_path(path)
    for sides in names:
        if all((directory / side).is_dir() for side in sides):
            order = _check_names(*(folder_source(name, str(directory / side), 'train') for side in sides))
            inputs, examples = (folder_source(name, str(directory / side), split, order=order) for side in sides)
            return inputs, examples
    return None


def _check_names(inputs: ImageSource, examples: ImageSource) -> dict[str, int]:
    """The place of each name among the inputs; raises a UserError that names an image without a partner."""
    names, others = ([os.path.splitext(name)[0] for name in source.identity] for source in (inputs, examples))
    counts = collections.Counter(names), collections.Counter(others)
    if alone := sorted(((counts[0] - counts[1]) + (counts[1] - counts[0])).elements()):
        more = counts[0][alone[0]] > counts[1][alone[0]]
        here, there, found = (inputs, examples, names) if more else (examples, inputs, others)
        file = here.files[found.index(alone[0])]
        raise UserError(
            f'{str(file)!r} has no partner: put an image of the same name into {there.place!r}, or remove it '
            f'(without a partner: {len(alone)}).'
        )
    return {name: place for place, name in enumerate(names)}


def check_sizes(inputs: ImageSource, examples: ImageSource) -> None:
    """Raises a UserError that names a pair of images of two sizes."""

    def sizes(files: tuple[pathlib.Path, pathlib.Path]) -> list[tuple[int, int]]:
        return [_size(file) for file in files]

    files = list(zip(inputs.files, examples.files, strict=True))
    with ThreadPoolExecutor() as pool:
        for (one, other), (size, other_size) in zip(files, pool.map(sizes, files), strict=True):
            if size != other_size:
                raise UserError(
                    f'{str(one)!r} is {size[0]}x{size[1]} and {str(other)!r} is {other_size[0]}x{other_size[1]}, but '
                    'the images of a pair must have the same size: resize one of them.'
                )


def _size(file: pathlib.Path) -> tuple[int, int]:
    try:
        return upright_size(str(file))
    except Exception as error:
        raise unreadable(repr(str(file)), error) from error
