"""Clips of images that move over black and bounce off the borders: Moving MNIST for any set of images.

Srivastava, Mansimov and Salakhutdinov 2015, "Unsupervised Learning of Video Representations using LSTMs",
https://arxiv.org/abs/1502.04681, section 4. As there, two digits have random positions and directions and a common
speed, a tenth of the free way in a frame, and the brighter pixel is in front. Clips have 16 frames here, and a digit
that would leave a frame is reflected, where the authors' code stops it at the border.
"""

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError

FRAMES = 16
NUMBER = 10_000  # clips of each split
SIZE = 64  # pixels along each side of a frame, where no size is asked for
_SMALLEST = 17  # 16 frames of 16x16 in grey would be a solid
_SHARE = 28 / 64  # of a frame's side that an image takes
_SPEED = 0.1  # of the free way in a frame
_RULE = 'moving 1'


def size_of_images(name: str, size: int | None) -> int:
    """The side of the moving images for frames of a size; None: 64.

    Raises:
        UserError: the frames are too small.
    """
    if size is not None and size < _SMALLEST:
        raise UserError(f'{name!r} needs frames of {_SMALLEST} or more pixels along each side, not {size}.')
    return round((size or SIZE) * _SHARE)


def clips(name: str, images: Dataset, size: int | None, together: int) -> Dataset:
    """Clips of moving images, built in memory; they depend on the split.

    Args:
        name: name of the result.
        images: images of the side `size_of_images`.
        size: height and width of a frame; None: 64.
        together: images in a clip. A clip of one has its label, which is also its content.

    Returns:
        10,000 clips uint8 [n, 16, size, size, C].

    Raises:
        UserError: the data are no images, or have several domains.
    """
    images.check_images()
    images.check_without_groups()
    random = np.random.default_rng([*_RULE.encode(), together, *images.split.encode()])
    which = random.integers(len(images), size=(NUMBER, together))
    made = _painted(images.examples, which, size or SIZE, random)
    made.setflags(write=False)
    labelled = together == 1 and images.labels is not None
    labels = images.labels[which[:, 0]] if labelled else None
    return Dataset(
        name,
        images.split,
        made,
        labels,
        images.num_classes if labelled else None,
        fingerprints.of_value([_RULE, images.fingerprint, images.split, made.shape, together]),
        images.class_names if labelled else None,
        contents=labels,
    )


def paths(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Places in [0, 1] of points with a random start and direction that are reflected at 0 and 1.

    Args:
        shape: of the points.
        random: source of the starts and directions.

    Returns:
        Rows and columns, float64 [*shape, 16, 2].
    """
    start, angle = random.uniform(size=(*shape, 1, 2)), random.uniform(0, 2 * np.pi, size=(*shape, 1))
    velocity = _SPEED * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    way = start + velocity * np.arange(FRAMES)[:, None]
    return 1 - np.abs(1 - way % 2)


def _painted(images: np.ndarray, which: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    side = images.shape[1]
    corners = np.round(paths(which.shape, random) * (size - side)).astype(int)
    made = np.zeros((len(which), FRAMES, size, size, images.shape[-1]), np.uint8)
    for clip, numbers, ways in zip(made, which, corners, strict=True):
        for image, way in zip(images[numbers], ways, strict=True):
            for frame, (row, column) in zip(clip, way, strict=True):
                seen = frame[row : row + side, column : column + side]
                np.maximum(seen, image, out=seen)
    return made
