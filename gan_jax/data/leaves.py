"""Generated images with edges and textures of all sizes: dead leaves.

Discs of random places, radii and colours that hide one another, with radii of density r^-3: the statistics are the
same at every scale, as in photographs (Lee, Mumford and Huang 2001, "Occlusion Models for Natural Images"). Networks
for image restoration can be trained on them (Achddou, Gousseau and Ladjal 2021, "Synthetic Images as a Regularity
Prior for Image Restoration Neural Networks").
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from gan_jax.data import cache
from gan_jax.data.computed import luma
from gan_jax.data.dataset import Dataset
from gan_jax.data.images import DecodedImages
from gan_jax.errors import MissingSplitError

_SPLITS = {'train': (1000, 0), 'test': (200, 1)}  # number of images, and seed
_RULE = 'dead leaves 1'
_SIZE, _AT_ONCE = 64, 50
_LEAVES = 80  # of an image
_RADII = (0.08, 0.6)  # smallest and largest, of the side
_STRIPED = 0.5  # share of the leaves


def load_leaves(split: str, size: int | None, channels: int | None, root: pathlib.Path) -> Dataset:
    """1,000 images to train on or 200 to test, drawn once and kept in the cache.

    Args:
      split: 'train' or 'test'.
      size: height and width; None: 64.
      channels: 1 for grey; else 3.
      root: root of the cache.

    Raises:
      UserError: there is no such split, or the cache cannot be written.
    """
    if split not in _SPLITS:
        raise MissingSplitError('leaves', split, _SPLITS)
    (count, seed), size, channels = _SPLITS[split], size or _SIZE, channels or 3

    def draw() -> Iterator[tuple[np.ndarray, None]]:
        for first in range(0, count, _AT_ONCE):
            images = leaves(min(_AT_ONCE, count - first), size, seed, first)
            yield images if channels == 3 else luma(images)[..., None], None

    place = [_RULE, split, size, channels]
    images = DecodedImages((count, size, size, channels), draw())
    kept = cache.open_or_build(root, cache.entry_name('leaves', split, place), place, _RULE, lambda: images)
    return Dataset('leaves', split, kept.examples, None, None, kept.fingerprint)


def leaves(count: int, size: int, seed: int, first: int = 0) -> np.ndarray:
    """Dead leaves: uint8 [count, size, size, 3], the image i drawn from the seed and first + i.

    Half of the leaves have stripes, waves of a random direction and of a period of 4 to 12 64ths of the side. Edges are
    antialiased.
    """
    images = (_draw(np.random.default_rng((seed, first + i)), size) for i in range(count))
    return np.stack([(255 * image).round().astype(np.uint8) for image in images])


def _draw(rng: np.random.Generator, size: int) -> np.ndarray:
    """One image in [0, 1]."""
    image = np.broadcast_to(rng.random(3, np.float32), (size, size, 3)).copy()
    low, high = (1 / radius**2 for radius in _RADII)
    for radius in size / np.sqrt(rng.uniform(high, low, _LEAVES)):
        centre = rng.uniform(-radius / 2, size + radius / 2, 2)
        colours, angle = rng.random((2, 3)), rng.uniform(0, np.pi)
        period, striped = rng.uniform(4, 12) * size / 64, rng.random() < _STRIPED
        start = np.clip(np.floor(centre - radius - 1), 0, size).astype(int)
        stop = np.clip(np.ceil(centre + radius + 1), 0, size).astype(int)
        y, x = (np.arange(*ends) - middle + 0.5 for *ends, middle in zip(start, stop, centre, strict=True))
        cover = np.clip(radius - np.hypot(y[:, None], x) + 0.5, 0, 1)[..., None]
        wave = 0.5 + 0.5 * np.sin(2 * np.pi / period * (np.sin(angle) * y[:, None] + np.cos(angle) * x))[..., None]
        colour = colours[0] + wave * (colours[1] - colours[0]) if striped else colours[0]
        part = image[start[0] : stop[0], start[1] : stop[1]]
        part += cover * (colour - part)
    return image
