"""The kind of an example, which its shape tells, and its looks as images."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.errors import UserError
from gan_jax.examples import clips, clouds, solids
from gan_jax.examples.viewer import turning


class Kind(NamedTuple):
    """A kind of example.

    Attributes:
        name: in the plural, for messages.
        parts: what examples are compared by, for messages.
        view: examples [n, ...] -> uint8 images [n, H, W, C] that show them; None: they are shown together, as a scatter
            plot.
        film: examples [n, ...] -> uint8 frames [T, n, H, W, C] of films of them; None: nothing moves.
        files: example [...] -> the contents of further files of it, by their endings.
        has_bytes: whether stored examples have 8 bits a value, uint8 for networks' [-1, 1]; else they are float32 as
            the networks see them.
        compared: examples [n, ...] -> the values [n, ...] by which the nearest ones are found.
    """

    name: str
    parts: str
    view: Callable[[np.ndarray], np.ndarray] | None
    film: Callable[[np.ndarray], np.ndarray] | None = None
    files: Callable[[np.ndarray], Mapping[str, bytes]] = lambda example: {}
    has_bytes: bool = True
    compared: Callable[[np.ndarray], np.ndarray] = lambda examples: examples


POINTS = Kind('points', 'coordinates', None, has_bytes=False)
IMAGES = Kind('images', 'pixels', lambda images: images)
SOLIDS = Kind(
    'solids', 'voxels', solids.render, turning(solids.render), lambda solid: {'.obj': solids.mesh(solid).encode()}
)
CLIPS = Kind('clips', 'pixels', clips.strips, clips.frames)
CLOUDS = Kind(
    'point clouds',
    'numbers of points in 8^3 cells',
    clouds.render,
    turning(clouds.render),
    clouds.files,
    has_bytes=False,
    compared=clouds.occupancy,
)


def kind_of(shape: Sequence[int | None]) -> Kind:
    """The kind of examples of a shape.

    (n,) is that of points, (n, 3) of point clouds, (H, W, C) of images, (D, D, D, 1) of solids, any other (T, H, W, C)
    of clips.

    Raises:
        UserError: no examples have such a shape.
    """
    match len(shape):
        case 1:
            return POINTS
        case 2 if shape[1] == 3:
            return CLOUDS
        case 3:
            return IMAGES
        case 4:
            return SOLIDS if len(set(shape[:3])) == 1 and shape[3] == 1 else CLIPS
    raise UserError(
        f'Examples of shape {tuple(shape)} are neither points (n,), point clouds (n, 3), images (H, W, C), solids '
        '(D, D, D, 1) nor clips (T, H, W, C).'
    )
