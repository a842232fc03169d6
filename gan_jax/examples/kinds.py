"""The kind of an example, which its shape tells, and its view as an image."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.examples import solids


class Kind(NamedTuple):
    """A kind of example.

    Attributes:
        name: in the plural, for messages.
        parts: what an example consists of, for messages.
        view: uint8 examples [n, ...] -> uint8 images [n, H, W, C] that show them; None: they are shown together, as a
            scatter plot.
    """

    name: str
    parts: str
    view: Callable[[np.ndarray], np.ndarray] | None


IMAGES = Kind('images', 'pixels', lambda examples: examples)
SOLIDS = Kind('solids', 'voxels', solids.render)
POINTS = Kind('points', 'coordinates', None)


def kind_of(shape: Sequence[int | None]) -> Kind:
    """The kind of examples of a shape: (H, W, C) of images, (D, D, D, 1) of solids, (n,) of points."""
    return {3: IMAGES, 4: SOLIDS}.get(len(shape), POINTS)
