"""Point clouds on the surfaces of furniture: tables, chairs, lamps and mugs.

A set of this project: every cloud is computed from its split and its index, so there is nothing to download. It stands
in for ShapeNet, on whose clouds r-GAN is published; figures of the two cannot be compared.
"""

import pathlib

import numpy as np

from gan_jax.data.computed_set import computed_set
from gan_jax.data.dataset import Dataset
from gan_jax.data.furniture import CLASSES, draw
from gan_jax.data.surfaces import sample_surface
from gan_jax.errors import UserError
from gan_jax.examples.clouds import fitted

POINTS = 2048  # of a cloud, where no number is asked for
_RULE = 'furniture points 1'
_SPLITS = {'train': 4000, 'test': 1000}


def furniture_points(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The clouds of a split: float32 [n, points, 3] to the right, up and to the front, see `clouds.fitted`.

    Points are uniform by area on the surfaces of the pieces that `furniture` has as voxels. The labels are the four
    classes in equal numbers. Both splits are drawn alike, so that the distance between them is a floor for that of
    generated clouds.

    Args:
        name: name of the data set.
        split: 'train' (4,000 clouds) or 'test' (1,000).
        size: number of points; None: 2,048.
        root: root of the cache, where the clouds are kept.
        show_progress: whether to show a progress bar while computing.

    Raises:
        UserError: the split does not exist, there are less than 16 points, or the cache cannot be written.
    """
    size = POINTS if size is None else size
    if size < 16:
        raise UserError(f'{name!r} needs 16 or more points of a cloud to show shapes, not {size}.')

    def make(label: int, rng: np.random.Generator) -> np.ndarray:
        up, back, right = sample_surface(draw(label, rng), size, rng).T
        return fitted(np.stack([right, up, -back], axis=1))

    options = {'root': root, 'show_progress': show_progress}
    return computed_set(name, split, _SPLITS, (size, 3), make, _RULE, tuple(CLASSES), np.float32, **options)
