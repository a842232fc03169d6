"""Painted landscapes with exact maps of their classes, made by a seed: pairs for synthesis from label maps.

A scene has sky, often a mountain, two kinds of ground, often a house, and trees. Each class has a texture. What a map
does not tell is random: the light from noon to dusk, the season, the colour of the house, and where the lines of
a texture lie.
"""

import functools
import pathlib

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.errors import MissingSplitError

CLASSES = ('sky', 'mountain', 'grass', 'water', 'sand', 'tree', 'wall', 'roof')
NUM_EXAMPLES = {'train': 4000, 'test': 1000}
_SEEDS = {'train': 0, 'test': 1}
_SIZE, _CHUNK = 32, 100
_MOST_TREES = 3
_DUSK = np.array([1.0, 0.62, 0.5], np.float32)  # the light of dusk; that of noon is white
_WALLS = np.array([[0.75, 0.35, 0.28], [0.86, 0.8, 0.68], [0.55, 0.55, 0.6]], np.float32)
_ROOFS = np.array([[0.45, 0.12, 0.1], [0.25, 0.2, 0.22], [0.5, 0.32, 0.15]], np.float32)


def scenes(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The scenes of a split, in colour: 4,000 of 'train' or 1,000 of 'test'.

    Args:
      name: name of the data set.
      split: 'train' or 'test'.
      size: height and width; None: 32. The same scenes are painted at each size.
      root: root of the cache; scenes are painted in seconds and need none.
      show_progress: likewise, of a progress bar.

    Returns:
      Images with maps as inputs, uint8 [num, size, size, 1], of the classes in `CLASSES`.

    Raises:
      UserError: there is no such split.
    """
    del root, show_progress
    if split not in _SEEDS:
        raise MissingSplitError(name, split, _SEEDS)
    return _painted(name, split, size or _SIZE)


@functools.cache
def _painted(name: str, split: str, size: int) -> Dataset:
    seeds = np.random.SeedSequence(_SEEDS[split]).spawn(NUM_EXAMPLES[split] // _CHUNK)
    chunks = [paint(_CHUNK, size, np.random.default_rng(seed)) for seed in seeds]
    examples, maps = map(np.concatenate, zip(*chunks, strict=True))
    for array in (examples, maps):
        array.setflags(write=False)
    fingerprint = fingerprints.of_value([fingerprints.of_arrays(array, None) for array in (examples, maps)])
    return Dataset(name, split, examples, None, len(CLASSES), fingerprint, CLASSES, inputs=maps)


def paint(count: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random scenes: images uint8 [count, size, size, 3] and maps uint8 [count, size, size, 1]."""
    y, x = ((np.mgrid[:size, :size] + 0.5) / size).astype(np.float32)
    maps = _layout(x, y, count, rng)
    draw = functools.partial(_uniform, rng, count)
    noise = rng.spawn(1)[0].normal(size=(count, size, size)).astype(np.float32)  # whose amount depends on the size
    textures = _textures(x, y, draw, noise)
    images = np.take_along_axis(np.stack(textures, 1), maps[:, None, :, :, None].astype(np.intp), axis=1)[:, 0]
    dusk = draw(0, 1)[..., None]
    images = np.clip(images * (1 - dusk + dusk * _DUSK), 0, 1)
    return np.round(255 * images).astype(np.uint8), maps[..., None]


def _uniform(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """A number for each scene, [count, 1, 1]."""
    return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)


def _layout(x: np.ndarray, y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The classes uint8 [count, size, size] of scenes at coordinates from 0 to 1, from the back to the front."""
    draw = functools.partial(_uniform, rng, count)
    sky, mountain, grass, _, _, tree, wall, roof = range(len(CLASSES))
    maps = np.full((count, *x.shape), sky, np.uint8)
    horizon = draw(0.35, 0.6)

    def add(label: int | np.ndarray, where: np.ndarray) -> None:
        np.copyto(maps, np.asarray(label, np.uint8), where=where)

    def wave(frequency: float) -> np.ndarray:
        return np.sin(2 * np.pi * (draw(frequency / 2, frequency) * x + draw(0, 1)))

    add(mountain, (y > horizon - draw(0.08, 0.25) * (0.6 + 0.4 * wave(2))) & (draw(0, 1) < 0.7))
    kinds = np.argsort(rng.uniform(size=(count, 3)), axis=1)[:, :2] + grass  # two of grass, water and sand
    far, near = (kind[:, None, None] for kind in kinds.T)
    add(far, y > horizon)
    add(near, y > horizon + (1 - horizon) * draw(0.35, 0.8) + 0.04 * wave(1.5))

    left, width, height = draw(0.05, 0.6), draw(0.2, 0.35), draw(0.15, 0.25)
    bottom = horizon + draw(0.1, 0.25)
    has_house, aside = draw(0, 1) < 0.6, np.abs(x - left - width / 2) / width
    top = bottom - height
    add(wall, has_house & (aside < 0.5) & (y > top) & (y < bottom))
    add(roof, has_house & (y < top) & (y > top - height * 0.8 * (1 - aside / 0.6)))
    for number in range(_MOST_TREES):
        across, down, radius = draw(0, 1), horizon + draw(-0.1, 0.25), draw(0.06, 0.14)
        crown = ((x - across) / radius) ** 2 + ((y - down) / (1.5 * radius)) ** 2 < 1
        add(tree, crown & (draw(0, _MOST_TREES) > number))
    return maps


def _textures(x: np.ndarray, y: np.ndarray, draw: functools.partial, noise: np.ndarray) -> list[np.ndarray]:
    """The colours float32 [count, size, size, 3] in [0, 1] of each class in every place.

    Args:
      x: coordinates from left to right, [size, size].
      y: coordinates from top to bottom.
      draw: (low, high) -> a number for each scene, [count, 1, 1].
      noise: normal noise [count, size, size].
    """
    autumn, house, tiles = draw(0, 1), draw(0, 3).astype(int)[:, 0, 0], draw(0, 3).astype(int)[:, 0, 0]

    def coloured(colour: np.ndarray | tuple[float, ...], brightness: np.ndarray) -> np.ndarray:
        return np.asarray(colour, np.float32) * brightness[..., None]

    def lines(across: np.ndarray, number: float) -> np.ndarray:
        """Waves from -1 to 1 along a direction, with a random phase."""
        return np.sin(2 * np.pi * (number * across + draw(0, 1)))

    def mixed(one: tuple[float, ...], other: tuple[float, ...]) -> np.ndarray:
        return np.asarray(one, np.float32) * (1 - autumn[..., None]) + np.asarray(other, np.float32) * autumn[..., None]

    smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, (1, 1), (1, 2))) / 4
    blades = (noise + np.roll(noise, 1, 1) + np.roll(noise, 2, 1)) / 3
    row = np.floor(y * 16)
    joints = np.abs((x * 8 + row / 2 + draw(0, 1)) % 1 - 0.5) < 0.4
    return [
        coloured((0.45, 0.68, 0.95), 0.75 + 0.4 * np.broadcast_to(y, noise.shape)),
        coloured((0.5, 0.48, 0.5), 0.85 + 0.22 * lines(x + y, 6) + 0.05 * noise),
        coloured(mixed((0.3, 0.6, 0.2), (0.62, 0.58, 0.2)), 0.9 + 0.28 * blades),
        coloured((0.15, 0.35, 0.62), 0.95 + 0.3 * lines(y, 9) + 0.08 * lines(x, 3)),
        coloured((0.87, 0.77, 0.5), 0.95 + 0.09 * noise),
        coloured(mixed((0.1, 0.38, 0.12), (0.7, 0.35, 0.08)), 0.9 + 0.5 * smooth),
        coloured(_WALLS[house][:, None, None], np.where(joints & (y * 16 - row > 0.3), 1.0, 0.72)),
        coloured(_ROOFS[tiles][:, None, None], 0.9 + 0.35 * lines(y, 14)),
    ]
