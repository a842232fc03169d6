"""From encoded images to uint8 arrays: one rule for size and channels, and a decoder that runs in parallel."""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import tqdm
from PIL import Image, ImageOps

from gan_jax.errors import UserError

RULE = 'upright; alpha over white; centre crop to a square; Lanczos'
_CHUNK_BYTES = 2**22


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """A split of a data set as encoded images.

    Attributes:
      name: the data set's name, for messages.
      split: the split's name, for messages.
      identity: what decides the images and their order, as JSON; no paths, so that a copy elsewhere is the same.
      num_examples: number of images.
      num_classes: number of classes, or None where there are no labels.
      read: (start, stop) -> one (file, label) for each index; a file is a path or an open binary file.
      describe: index -> how a message names the image.
      find_channels: () -> 1 or 3, the images' own number of channels.
    """

    name: str
    split: str
    identity: Any
    num_examples: int
    num_classes: int | None
    read: Callable[[int, int], list[tuple[str | BinaryIO, int | None]]]
    describe: Callable[[int], str]
    find_channels: Callable[[], int]


def decode(file: str | BinaryIO, *, size: int | None, channels: int) -> np.ndarray:
    """One image as uint8 [height, width, channels].

    The picture is turned upright (EXIF), what is transparent lies over white, and an animation gives its first frame.
    Grey is ITU-R 601 luma; 16-bit grey keeps its high byte. With a `size`, the largest central square is resampled to
    size x size by Pillow's antialiased Lanczos filter; an image that has that size is left alone.

    Raises:
      OSError, SyntaxError, ValueError, Image.DecompressionBombError: if it cannot be read as an image.
    """
    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith('I;16'):  # Pillow's own conversion to 8 bits clips instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    image = image.convert('L' if channels == 1 else 'RGB')
    if size is not None and image.size != (size, size):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image.height, image.width, channels)


@dataclasses.dataclass(frozen=True)
class DecodedImages:
    """A data set on its way into arrays: the shape is known, the chunks are decoded when they are asked for."""

    shape: tuple[int, int, int, int]
    chunks: Iterator[tuple[np.ndarray, np.ndarray | None]]


def decode_all(source: ImageSource, *, size: int | None, channels: int | None, show_progress: bool) -> DecodedImages:
    """Decodes all images, in parallel threads, in order, with a few MiB for each thread in memory.

    Args:
      source: the encoded images.
      size: height and width wanted; None keeps the images' own, which must then be the same for all.
      channels: 1 or 3; None takes the data set's own number.
      show_progress: whether to show a progress bar.

    Returns:
      The shape of the whole and an iterator over (uint8 [n, height, width, channels], int32 [n] labels or None).

    Raises:
      UserError: (the iterator too) naming the image that cannot be read, or that differs in size.
    """
    channels = channels or source.find_channels()

    def decode_one(index: int, file: str | BinaryIO) -> np.ndarray:
        try:
            return decode(file, size=size, channels=channels)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(
                f'{source.describe(index)} cannot be read as an image ({error}): replace or remove it.'
            ) from error

    [(first, _)] = source.read(0, 1)
    shape = decode_one(0, first).shape
    step = min(512, max(1, _CHUNK_BYTES // int(np.prod(shape))))

    def decode_range(start: int) -> tuple[np.ndarray, np.ndarray | None]:
        images, labels = [], []
        for index, (file, label) in enumerate(source.read(start, min(start + step, source.num_examples)), start):
            image = decode_one(index, file)
            if image.shape != shape:
                raise UserError(
                    f'the images of {source.name!r} differ in size ({source.describe(0)} is {shape[0]}x{shape[1]}, '
                    f'{source.describe(index)} is {image.shape[0]}x{image.shape[1]}): give the size to bring them to.'
                )
            images.append(image)
            labels.append(label)
        return np.stack(images), None if source.num_classes is None else np.asarray(labels, np.int32)

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        workers = os.cpu_count() or 1
        title = f'decoding {source.name} {source.split}'
        bar = tqdm.tqdm(desc=title, total=source.num_examples, unit='img', disable=not show_progress)
        pool = concurrent.futures.ThreadPoolExecutor(workers)
        pending = collections.deque()
        try:
            for start in range(0, source.num_examples, step):
                pending.append(pool.submit(decode_range, start))
                if len(pending) > 2 * workers:
                    yield (chunk := pending.popleft().result())
                    bar.update(len(chunk[0]))
            while pending:
                yield (chunk := pending.popleft().result())
                bar.update(len(chunk[0]))
        finally:
            pool.shutdown(cancel_futures=True)
            bar.close()

    return DecodedImages((source.num_examples, *shape), chunks())
