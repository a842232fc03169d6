"""Pairs whose input is computed from the image itself: its edges, its grey values, or a smaller copy."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator

import jax
import numpy as np
import tqdm

from gan_jax.data import cache, edges, fingerprints
from gan_jax.data.batches import to_float, to_uint8
from gan_jax.data.dataset import Dataset
from gan_jax.data.images import DecodedImages, in_threads
from gan_jax.errors import UserError
from gan_jax.layers.bicubic import bicubic

_CHUNK_PIXELS = 2**18
_GREY_RULE = 'grey 1: ITU-R 601 luma'
_SMALL_RULE = 'small 1: antialiased bicubic, rounded to 8 bits'


def with_edges(name: str, images: Dataset, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """Images with their edges as inputs, white lines on black in one channel, see `edges.canny`.

    Args:
      name: name of the pairs.
      images: colour or grey.
      root: root of the cache, where the edges are kept.
      show_progress: whether to show a progress bar while computing.

    Raises:
      UserError: the data are not images, or already have inputs; the cache cannot be written.
    """

    def compute(chunk: np.ndarray) -> np.ndarray:
        return edges.canny(luma(chunk), edges.sigma_of(*chunk.shape[1:3]))[..., None]

    return _with_inputs(name, images, edges.RULE, compute, (*images.shape[:-1], 1), root, show_progress)


def with_grey(name: str, images: Dataset, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """Colour images with their grey values as inputs, in one channel; arguments and errors as in `with_edges`.

    Raises:
      UserError: also if the images are already grey.
    """
    if images.shape[-1] == 1:
        raise UserError(f'{images.name!r} is already grey, so there is nothing to learn: choose colour images.')

    def compute(chunk: np.ndarray) -> np.ndarray:
        return luma(chunk)[..., None]

    return _with_inputs(name, images, _GREY_RULE, compute, (*images.shape[:-1], 1), root, show_progress)


def with_small(name: str, images: Dataset, root: pathlib.Path, *, factor: int, show_progress: bool) -> Dataset:
    """Images with smaller copies of them as inputs, for super-resolution; arguments and errors as in `with_edges`.

    Each side is divided by `factor`, by `gan_jax.layers.bicubic.bicubic` on the device, and the pixels are rounded.

    Raises:
      UserError: also if the factor does not divide the sides of the images.
    """
    images.check_images()
    height, width, channels = images.shape
    if height % factor or width % factor:
        raise UserError(
            f'The images of {images.name!r} have {height}x{width} pixels, which {name!r} cannot divide by {factor}: '
            f'set data.size to a multiple of {factor}.'
        )
    shape = (height // factor, width // factor, channels)
    small = jax.jit(lambda chunk: to_uint8(bicubic(to_float(chunk), *shape[:2])))

    def compute(chunk: np.ndarray) -> np.ndarray:
        return np.asarray(small(chunk))

    return _with_inputs(name, images, f'{_SMALL_RULE}, by {factor}', compute, shape, root, show_progress)


FACTORS = {'half': 2, 'quarter': 4}
PAIRS: dict[str, Callable[..., Dataset]] = {
    'edges': with_edges,
    'grey': with_grey,
    **{name: functools.partial(with_small, factor=factor) for name, factor in FACTORS.items()},
}
"""What makes pairs 'KIND:NAME' of the images NAME, by their kind."""


def luma(images: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma, rounded as Pillow rounds it: uint8 [n, height, width, 1 or 3] -> uint8 [n, height, width]."""
    if images.shape[-1] == 1:
        return images[..., 0]
    red, green, blue = np.moveaxis(images.astype(np.uint32), -1, 0)
    return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).astype(np.uint8)


def _with_inputs(
    name: str,
    images: Dataset,
    rule: str,
    compute: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int, int],
    root: pathlib.Path,
    show_progress: bool,
) -> Dataset:
    """Pairs of images and inputs made by `compute`, uint8 [n, H, W, channels] -> [n, *shape], kept in the cache."""
    images.check_images()
    if images.inputs is not None:
        raise UserError(f'{images.name!r} already has inputs, and {name!r} would add others: use only one of the two.')
    count, height, width, _ = images.examples.shape
    step = max(1, _CHUNK_PIXELS // (height * width))

    def chunks() -> Iterator[tuple[np.ndarray, None]]:
        quiet = not show_progress or None
        with tqdm.tqdm(desc=f'computing {name}', total=count, unit='img', delay=1, disable=quiet) as bar:
            for chunk in in_threads(
                lambda start: compute(images.examples[start : start + step]), range(0, count, step)
            ):
                yield chunk, None
                bar.update(len(chunk))

    kept = cache.open_or_build(
        root,
        cache.entry_name(name, images.split, place := [rule, images.fingerprint]),
        place,
        images.fingerprint,
        lambda: DecodedImages((count, *shape), chunks()),
    )
    fingerprint = fingerprints.of_value([rule, images.fingerprint, kept.fingerprint])
    return dataclasses.replace(images, name=name, inputs=kept.examples, fingerprint=fingerprint)
