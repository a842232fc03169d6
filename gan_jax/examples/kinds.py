"""The kind of an example, which its shape tells, and its looks as images."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.errors import UserError
from gan_jax.examples import clips, solids


class Kind(NamedTuple):
    """A kind of example.

    Attributes:
        name: in the plural, for messages.
        parts: what an example consists of, for messages.
        view: uint8 examples [n, ...] -> uint8 images [n, H, W, C] that show them; None: they are shown together, as a
            scatter plot.
        film: uint8 examples [n, ...] -> uint8 frames [T, n, H, W, C] of films of them; None: nothing moves.
        files: uint8 example [...] -> the contents of further files of it, by their endings.
    """

    name: str
    parts: str
    view: Callable[[np.ndarray], np.ndarray] | None
    film: Callable[[np.ndarray], np.ndarray] | None = None
    files: Callable[[np.ndarray], Mapping[str, bytes]] = lambda example: {}


POINTS = Kind('points', 'coordinates', None)
IMAGES = Kind('images', 'pixels', lambda images: images)
SOLIDS = Kind('solids', 'voxels', solids.render, solids.turning, lambda solid: {'.obj': solids.mesh(solid).encode()})
CLIPS = Kind('clips', 'pixels', clips.strips, clips.frames)


def kind_of(shape: Sequence[int | None]) -> Kind:
    """The kind of examples of a shape.

    (n,) is that of points, (H, W, C) of images, (D, D, D, 1) of solids, any other (T, H, W, C) of clips.

    Raises:
        UserError: no examples have such a shape.
    """
    match len(shape):
        case 1:
            return POINTS
        case 3:
            return IMAGES
        case 4:
            return SOLIDS if len(set(shape[:3])) == 1 and shape[3] == 1 else CLIPS
    raise UserError(
        f'Examples of shape {tuple(shape)} are neither points (n,), images (H, W, C), solids (D, D, D, 1) nor clips '
        '(T, H, W, C).'
    )
