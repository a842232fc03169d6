"""Images in NumPy arrays and files, from programs of any framework, as a data set."""

import hashlib
import pathlib

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.data import Dataset, fingerprints
from gan_jax.errors import UserError
from gan_jax.evaluation.images import images_array

SUFFIXES = ('.npz', '.npy')
_MAGIC = (b'PK\x03\x04', b'PK\x05\x06', b'\x93NUMPY')  # of an .npz with and without arrays, and of an .npy


def of_array(images: ArrayLike, name: str) -> Dataset:
    """Images uint8 [n, H, W, 1 or 3] as a named data set.

    Raises:
        UserError: they have another shape or type.
    """
    images = images_array(images, name)
    return Dataset(name, 'in memory', images, None, None, fingerprints.of_arrays(images, None))


def load_archive(path: pathlib.Path) -> Dataset:
    """Images in an .npy or .npz file as a data set.

    In an .npz these are the array 'images', or 'arr_0' (the name used by NumPy and ADM), or the only array. Their
    classes are in 'labels', or beside 'arr_0' in 'arr_1' (ADM).

    Raises:
        UserError: the file cannot be read or does not contain the array.
    """
    images, labels = _read(path)
    images = images_array(images, str(path))
    if labels is not None and (labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer)):
        raise UserError(
            f'The labels in {path} are {labels.dtype}{list(labels.shape)}: give one whole number per image.'
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    num_classes = None if labels is None else int(labels.max()) + 1
    return Dataset(path.name, 'all', images, labels, num_classes, digest)


def _read(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The arrays of images and labels in a file."""
    try:
        with open(path, 'rb') as file:
            is_numpy = file.read(6).startswith(_MAGIC)
        if is_numpy:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded, None
            with loaded as archive:
                images, labels = _names(path, archive.files)
                return archive[images], None if labels is None else archive[labels]
    except UserError:
        raise
    except Exception as error:  # a damaged zip file raises errors of many kinds
        raise UserError(f'{path} cannot be read as a NumPy file ({error}): save the images by np.savez.') from error
    raise UserError(
        f'{path} is not a NumPy file, despite its name: save the images by np.savez, or name a directory of '
        'image files.'
    )


def _names(path: pathlib.Path, names: list[str]) -> tuple[str, str | None]:
    """The names of the arrays of images and of labels among those of an .npz."""
    if 'images' not in names and 'arr_0' in names:
        return 'arr_0', next((name for name in ('labels', 'arr_1') if name in names), None)
    others = [name for name in names if name != 'labels']
    if 'images' not in names and len(others) != 1:
        raise UserError(
            f'{path} contains the arrays {", ".join(others) or "(none)"}: call the array of images "images".'
        )
    return 'images' if 'images' in names else others[0], 'labels' if 'labels' in names else None
