"""Grey images in colours drawn at random: images whose style, their colour, is known.

An image is the product of its grey values and of one colour, so that white becomes that colour and black stays black.
"""

import colorsys

import numpy as np

SIX = ('red', 'yellow', 'green', 'cyan', 'blue', 'magenta')


def in_any_colour(images: np.ndarray, seed: str) -> np.ndarray:
    """Grey images in colours with independent red, green and blue, uniform before the largest is scaled to 1.

    Args:
        images: uint8 [n, height, width, 1].
        seed: the same text gives the same colours.

    Returns:
        uint8 [n, height, width, 3], read-only.
    """
    colours = _random(seed).uniform(size=(len(images), 3))
    return _times(images, colours / colours.max(1, keepdims=True))


def in_six_colours(images: np.ndarray, seed: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey images in the colours `SIX`, drawn with equal probability.

    Args:
        images: uint8 [n, height, width, 1].
        seed: the same text gives the same colours.

    Returns:
        uint8 [n, height, width, 3], read-only, and the numbers of the colours, int32 [n].
    """
    numbers = _random(seed).integers(len(SIX), size=len(images)).astype(np.int32)
    return _times(images, six_colours()[numbers]), numbers


def six_colours() -> np.ndarray:
    """The colours `SIX`: float64 [6, 3], red, green and blue in [0, 1]."""
    return np.array([colorsys.hsv_to_rgb(i / len(SIX), 1.0, 1.0) for i in range(len(SIX))])


def _times(images: np.ndarray, colours: np.ndarray) -> np.ndarray:
    coloured = np.round(images * colours[:, None, None].astype(np.float32)).astype(np.uint8)
    coloured.setflags(write=False)
    return coloured


def _random(seed: str) -> np.random.Generator:
    return np.random.default_rng(list(seed.encode()))
