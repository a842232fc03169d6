"""A directory of point clouds (.ply, .npy) or of solids (.npy, .binvox), instead of images."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np

from gan_jax.data.images import DecodedImages, ImageSource, in_threads, read_npy
from gan_jax.errors import UserError
from gan_jax.examples.binvox import from_binvox
from gan_jax.examples.clouds import fitted, from_ply

EXTENSIONS = ('.ply', '.binvox')  # and .npy, which can also be an image
RULE = 'shapes 1: clouds fitted to the sphere, random points of larger ones; voxels above half are inside'
_CHUNK = 64
_INSIDE = np.uint8(255)


def are_shapes(source: ImageSource) -> bool:
    """Whether the examples of a source are no images, by its first file."""
    if not source.files:
        return False
    path = pathlib.Path(source.files[0])
    if path.suffix.lower() != '.npy':
        return path.suffix.lower() in EXTENSIONS
    try:
        array = read_npy(path, mmap_mode='r')
    except Exception:  # decoding it as an image tells the reason
        return False
    return array.dtype.kind == 'f' or array.ndim == 4 or (array.ndim == 3 and array.shape[2] not in (1, 3))


def read_shapes(source: ImageSource, size: int | None) -> DecodedImages:
    """The clouds float32 [n, points, 3], see `clouds.fitted`, or solids uint8 [n, D, D, D, 1] of a source.

    Args:
        source: the files, all of clouds or all of solids.
        size: number of points, chosen at random from clouds with more; or D. None: as they are, and all alike.

    Raises:
        UserError: (the iterator too) naming the file that cannot be read or differs from the first.
    """
    [(first, _)] = source.read(0, 1)
    example = _read(source, 0, first, size)

    def read(start: int) -> tuple[np.ndarray, np.ndarray | None]:
        shapes, labels = [], []
        for index, (file, label) in enumerate(source.read(start, min(start + _CHUNK, source.num_examples)), start):
            shapes.append(_read(source, index, file, size))
            labels.append(label)
            if shapes[-1].shape != example.shape:
                raise UserError(
                    f'{source.describe(index)} is {_words(shapes[-1])} and {source.describe(0)} is {_words(example)}: '
                    'give files that are alike, or for point clouds a number of points by data.size.'
                )
        labels = None if source.num_classes is None else np.asarray(labels, np.int32)
        return np.ascontiguousarray(np.stack(shapes)), labels

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        yield from in_threads(read, range(0, source.num_examples, _CHUNK))

    return DecodedImages((source.num_examples, *example.shape), chunks(), example.dtype.type)


def _read(source: ImageSource, index: int, file: str | os.PathLike, size: int | None) -> np.ndarray:
    """An example as the data set has it."""
    path, what = pathlib.Path(file), source.describe(index)
    try:
        array = _READERS[path.suffix.lower()](path)
        example = _cloud(array, size, index) if array.ndim == 2 else _solid(array)
    except Exception as error:  # NumPy raises errors of many kinds
        reason = 'it is an image' if isinstance(error, KeyError) else str(error)
        raise UserError(f'{what} cannot be read as a point cloud or solid ({reason}): replace or remove it.') from error
    if size not in (None, len(example)):
        raise UserError(f'{what} is {_words(example)}, and data.size is {size}: set it to {len(example)} or less.')
    return example


_READERS = {
    '.ply': lambda path: from_ply(path.read_bytes()),
    '.binvox': lambda path: from_binvox(path.read_bytes()),
    '.npy': read_npy,
}


def _cloud(points: np.ndarray, size: int | None, index: int) -> np.ndarray:
    """A fitted cloud of `size` points, or of fewer if it has no more."""
    if points.shape[1] != 3:
        raise ValueError(f'its points have {points.shape[1]} coordinates, not 3')
    if not len(points):
        raise ValueError('it has no points')
    if not np.isfinite(points).all():
        raise ValueError('it has coordinates that are not finite')
    if (points == points[0]).all():
        raise ValueError('all of its points coincide')
    points = fitted(points.astype(np.float64))
    if size is None or len(points) <= size:
        return points
    return points[np.random.default_rng(index).choice(len(points), size, replace=False)]


def _solid(voxels: np.ndarray) -> np.ndarray:
    """A solid uint8 [D, D, D, 1], of which voxels above half of the range of their type are inside."""
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim != 3 or len(set(voxels.shape)) > 1 or not voxels.size:
        raise ValueError(f'its voxels are no cube but {list(voxels.shape)}')
    half = 127 if voxels.dtype == np.uint8 and voxels.max(initial=0) > 1 else 0.5
    return (voxels > half)[..., None].astype(np.uint8) * _INSIDE


def _words(example: np.ndarray) -> str:
    return f'a cloud of {len(example)} points' if example.ndim == 2 else f'a solid of {len(example)}^3 voxels'
