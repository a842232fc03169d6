"""The two sets of images of an evaluation, as given in Python or on a command line."""

import os
import pathlib
import re

from numpy.typing import ArrayLike

from gan_jax import data
from gan_jax.data.loading import PATH_KINDS
from gan_jax.evaluation import archive
from gan_jax.evaluation.statistics import Statistics, is_statistics, read_statistics
from gan_jax.records import files

Images = str | os.PathLike | ArrayLike | data.Dataset


def as_side(images: Images, what: str) -> str | data.Dataset:
    """A path or name unchanged; images as a data set."""
    if isinstance(images, str | os.PathLike):
        return str(files.user_path(images))
    return images if isinstance(images, data.Dataset) else archive.of_array(images, what)


def name_of(images: str | data.Dataset) -> str:
    """The name of images in messages."""
    return images.name if isinstance(images, data.Dataset) else images


def is_archive(spec: str | data.Dataset) -> bool:
    """Whether images are arrays, in memory or in a file."""
    return isinstance(spec, data.Dataset) or pathlib.Path(spec).suffix in archive.SUFFIXES


def is_named(spec: str | data.Dataset) -> bool:
    """Whether images are a data set of TFDS, and not a file, a directory or embedded."""
    if is_archive(spec) or pathlib.Path(spec).is_dir() or spec.partition(':')[0] in PATH_KINDS:
        return False
    return name_and_split(spec)[0] not in ('digits', 'scenes')


def load_images(
    spec: str | os.PathLike | data.Dataset,
    *,
    size: int | None,
    channels: int | None,
    data_dir: str | None,
    cache_dir: str | None = None,
    mixed: bool = False,
) -> data.Dataset | Statistics:
    """Loads images for `evaluate`, of several sizes if `mixed`; or statistics of their features.

    Raises:
        UserError: there are none.
    """
    if isinstance(spec, data.Dataset):
        return spec
    path = pathlib.Path(spec)
    if is_statistics(path):
        return read_statistics(path)
    if path.suffix in archive.SUFFIXES:
        return archive.load_archive(path)
    if path.is_dir():
        return data.load(f'folder:{spec}', size=size, channels=channels, mixed=mixed)
    name, split = name_and_split(spec)
    options = {'size': size, 'channels': channels, 'data_dir': data_dir, 'cache_dir': cache_dir, 'mixed': mixed}
    return data.load(name, split=split, **options)


def name_and_split(spec: str | os.PathLike) -> tuple[str, str]:
    """The parts of 'NAME@SPLIT'. A directory's path may have an @ itself: only '@train' or '@train[...]' ends it."""
    name, found, split = str(spec).rpartition('@')
    has_path = re.search(rf'\b({"|".join(PATH_KINDS)}):', name)
    if not found or (has_path and not re.fullmatch(r'train(\[[^/]*\])?', split)):
        return str(spec), 'train'
    return name, split
