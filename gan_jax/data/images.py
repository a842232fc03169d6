"""From encoded images to uint8 arrays: one rule for size and channels, and a decoder that runs in parallel."""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import tqdm
from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from gan_jax.errors import UserError

RULE = 'upright; alpha over white; centre crop to a square; Lanczos'
_CHUNK_BYTES = 2**22
_LIMIT = 'GAN_JAX_MAX_PIXELS'
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # of an EXIF orientation
_MAP_MODES = ('L', 'P')  # of a palette, the indices are the classes
_DARK = 2**6  # 14 bits in 16 are 6 in the high byte


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """A split of a data set as encoded images.

    Attributes:
      name: the data set's name, for messages.
      split: the split's name, for messages.
      place: the location of the data set, an absolute path.
      files: the files whose contents determine the images.
      identity: everything else that determines them and their order, as JSON.
      num_examples: number of images.
      num_classes: number of classes, or None if there are no labels.
      class_names: their names in order, or None if they have none.
      read: (start, stop) -> one (file, label) for each index; a file is a path or an open binary file.
      describe: index -> how a message names the image.
      find_channels: () -> 1 or 3, the images' own number of channels.
      half: 'left' or 'right' if an image is that half of the picture in its file; None: all of it.
      is_map: whether the images are label maps, whose values are kept: resized by the nearest pixel.
    """

    name: str
    split: str
    place: str
    files: Sequence[str | os.PathLike]
    identity: Any
    num_examples: int
    num_classes: int | None
    class_names: tuple[str, ...] | None
    read: Callable[[int, int], list[tuple[str | BinaryIO, int | None]]]
    describe: Callable[[int], str]
    find_channels: Callable[[], int]
    half: str | None = None
    is_map: bool = False


def open_image(file: str | BinaryIO) -> Image.Image:
    """Opens an image file without reading its pixels: one of Pillow's formats, or an .npy of one image.

    Pillow warns of an image of more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, by default 89 million, and refuses one of
    twice as many, because it may be an attack on memory. The environment variable GAN_JAX_MAX_PIXELS sets that number.

    Raises:
      Exception: any exception of a decoder; `unreadable` converts it to a sentence.
    """
    if str(file).lower().endswith('.npy'):
        return _image_of(read_npy(file))
    if limit := os.environ.get(_LIMIT):
        if not limit.isdecimal():
            raise UserError(f'{_LIMIT} is {limit!r}: set it to the largest number of pixels that an image may have.')
        Image.MAX_IMAGE_PIXELS = int(limit)
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # accepts colour profiles of 1 MiB
    image = Image.open(file)
    if image.format == 'TIFF':
        image.filename = ''  # or Pillow maps the file, and garbles pictures of one or four channels that it turns
    return image


def unreadable(what: str, error: Exception) -> UserError:
    """The message about an image that cannot be read."""
    if isinstance(error, UserError):
        return error
    reason = str(error) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return UserError(
            f'{what} is very large ({reason}): shrink it, or raise the limit by the environment variable {_LIMIT}.'
        )
    return UserError(f'{what} cannot be read as an image ({reason}): replace or remove it.')


def decode(file: str | BinaryIO, *, size: int | None, channels: int) -> np.ndarray:
    """One image as uint8 [height, width, channels].

    The EXIF orientation is applied, transparency is composited over white, and an animation gives its first frame.
    Grey is ITU-R 601 luma; of 16 bits the high byte is kept. With a `size`, the largest central square is resampled to
    size x size by Pillow's antialiased Lanczos filter; an image that has that size does not change.

    Raises:
      Exception: as `open_image`.
    """
    with open_image(file) as image:
        return _pixels(image, size, channels)


def read_image(path: str | os.PathLike, *, size: int | None = None, channels: int) -> np.ndarray:
    """`decode` of a file that a person named; raises a UserError if it cannot be read."""
    try:
        return decode(os.fspath(path), size=size, channels=channels)
    except Exception as error:
        raise unreadable(str(path), error) from error


def upright_size(file: str) -> tuple[int, int]:
    """Height and width of the upright picture in a file, from the header alone; raises as `open_image`."""
    with open_image(file) as image:
        turned = image.format != 'TIFF' and _orientation(image) >= 5  # of a TIFF, Pillow tells the size as it is seen
        return image.size if turned else image.size[::-1]


def _pixels(
    image: Image.Image, size: int | None, channels: int, half: str | None = None, is_map: bool = False
) -> np.ndarray:
    image = _upright(image)
    if half is not None:
        image = _cut(image, half)
    if is_map:
        if image.mode not in _MAP_MODES:
            raise ValueError(f'a label map has one channel of 8 bits with the class of each pixel, not {image.mode}')
        return np.asarray(_sized(image, size, Image.Resampling.NEAREST))[..., None]
    if image.mode.startswith('I;16') or (image.mode == 'I' and image.format == 'PPM'):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow's own conversion clips
    elif image.mode in {'I', 'F'}:
        raise ValueError('it has 32 bits per value, and white is undefined; save it with 8 or 16')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    image = _sized(image.convert('L' if channels == 1 else 'RGB'), size, Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image.height, image.width, channels)


def _sized(image: Image.Image, size: int | None, filter: Image.Resampling) -> Image.Image:
    """The largest central square resampled to size x size; the image itself if that is its size or None."""
    if size is None or image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), filter)


def _cut(image: Image.Image, half: str) -> Image.Image:
    """The left or the right half of a picture of a pair side by side."""
    if image.width % 2:
        raise ValueError(f'two images side by side need an even width, but its width is {image.width}')
    middle = image.width // 2
    return image.crop((0, 0, middle, image.height) if half == 'left' else (middle, 0, image.width, image.height))


def _upright(image: Image.Image) -> Image.Image:
    """The image after applying its EXIF orientation; unreadable metadata are ignored."""
    image.load()  # which turns a TIFF
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, from 1 to 8; 1 (upright) if there is no readable one."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        return orientation if orientation in _TURNS else 1
    except Exception:  # Pillow's parsers raise errors of many kinds
        return 1


def _has_16_bits(image: Image.Image) -> bool:
    """Whether the file of an image, whose pixels are not read yet, has 16 bits a value."""
    return isinstance(image, ImageFile.ImageFile) and any(
        ';16' in str(tile.args) or '65535' in str(tile.args) for tile in image.tile
    )


def read_npy(path: str | os.PathLike, mmap_mode: str | None = None) -> np.ndarray:
    """The array in an .npy file; arguments as in `numpy.load`.

    Raises:
      Exception: any exception of NumPy or `zipfile`.
    """
    array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError('it is an .npz file; save one array by numpy.save')
    return array


def _image_of(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    is_grey_or_colour = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not is_grey_or_colour or not array.size:
        raise ValueError(f'an .npy image must be uint8 [H, W] or [H, W, 1 or 3], not {array.dtype}{list(array.shape)}')
    return Image.fromarray(array)


class SizesDifferError(UserError):
    """The images of a data set differ in size, and no size is given.

    Attributes:
      difference: which images differ, in words.
    """

    def __init__(self, name: str, difference: str):
        super().__init__(
            f'the images of {name!r} differ in size ({difference}): set the size to resample them to, by '
            '--config.data.size=64 in training, elsewhere by --size 64.'
        )
        self.difference = difference


class Decoder:
    """Decodes the images of a source, in any thread, and records the brightness of 16-bit images.

    Args:
      source: the encoded images.
      size: height and width wanted; None keeps each image's own.
      channels: 1 or 3.
    """

    def __init__(self, source: ImageSource, *, size: int | None, channels: int):
        self._source, self._size, self._channels = source, size, channels
        self._brightest: list[int] = []  # of each image of 16 bits

    def __call__(self, index: int, file: str | BinaryIO) -> np.ndarray:
        """One image as uint8 [height, width, channels]; raises a UserError that names it where it cannot be read."""
        try:
            with open_image(file) as image:
                has_16_bits = _has_16_bits(image)
                pixels = _pixels(image, self._size, self._channels, self._source.half, self._source.is_map)
        except Exception as error:
            raise unreadable(self._source.describe(index), error) from error
        if has_16_bits:
            self._brightest.append(int(pixels.max()))
        return pixels

    def check_brightness(self) -> None:
        """Raises a UserError if all 16-bit images are dark, like unscaled images of 10, 12 or 14 bits."""
        if self._brightest and max(self._brightest) < _DARK:
            raise UserError(
                f'the images of {self._source.name!r} have 16 bits per value and use '
                f'{8 + max(self._brightest).bit_length()} of them at most, so they would be nearly black: '
                'scale their values to a maximum of 65535.'
            )


@dataclasses.dataclass(frozen=True)
class DecodedImages:
    """A data set to be decoded: shape and type are known, and chunks are decoded on demand."""

    shape: tuple[int, ...]
    chunks: Iterator[tuple[np.ndarray, np.ndarray | None]]
    dtype: type[np.generic] = np.uint8


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
      SizesDifferError: (the iterator) there is no size, and the images have several.
      UserError: (the iterator too) naming the image that cannot be read; or all of 16 bits a value are dark, as they
        are where a camera's 10, 12 or 14 bits were not scaled.
    """
    channels = channels or source.find_channels()
    decode_one = Decoder(source, size=size, channels=channels)
    [(first, _)] = source.read(0, 1)
    shape = decode_one(0, first).shape
    step = min(512, max(1, _CHUNK_BYTES // int(np.prod(shape))))

    def decode_range(start: int) -> tuple[np.ndarray, np.ndarray | None]:
        images, labels = [], []
        for index, (file, label) in enumerate(source.read(start, min(start + step, source.num_examples)), start):
            image = decode_one(index, file)
            if image.shape != shape:
                raise SizesDifferError(
                    source.name,
                    f'{source.describe(0)} is {shape[0]}x{shape[1]}, '
                    f'{source.describe(index)} is {image.shape[0]}x{image.shape[1]}',
                )
            images.append(image)
            labels.append(label)
        return np.stack(images), None if source.num_classes is None else np.asarray(labels, np.int32)

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        title = f'decoding {source.name} {source.split}'
        starts = range(0, source.num_examples, step)
        with tqdm.tqdm(desc=title, total=source.num_examples, unit='img', disable=not show_progress or None) as bar:
            for chunk in in_threads(decode_range, starts):
                yield chunk
                bar.update(len(chunk[0]))
            decode_one.check_brightness()

    return DecodedImages((source.num_examples, *shape), chunks())


def in_threads(function: Callable[[int], Any], arguments: Iterable[int]) -> Iterator[Any]:
    """The values of a function in order, computed by as many threads as there are cores, a few of them ahead."""
    workers = os.cpu_count() or 1
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    pending = collections.deque()
    try:
        for argument in arguments:
            pending.append(pool.submit(function, argument))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
