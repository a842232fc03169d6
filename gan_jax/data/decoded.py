"""An image source as a data set, decoded the first time and memory-mapped from a cache after that."""

import pathlib
import warnings
from collections.abc import Callable

import PIL

from gan_jax.data import cache, fingerprints, shape_files
from gan_jax.data.dataset import Dataset
from gan_jax.data.images import RULE, ImageSource, SizesDifferError, decode_all
from gan_jax.data.mixed import MixedImages
from gan_jax.errors import UserError

_LOOKED_AT = 256  # images, to tell whether all are grey


def decoded(
    source: ImageSource,
    root: pathlib.Path,
    *,
    size: int | None,
    channels: int | None,
    show_progress: bool,
    mixed: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Dataset:
    """The images of a source, or the point clouds or solids of its files.

    Args:
      source: the encoded images.
      root: root of the cache.
      size: as in `load`.
      channels: as in `load`.
      show_progress: as in `load`.
      mixed: as in `load`.
      check: called before images that are not in the cache are decoded; raises a UserError if they are invalid.

    Raises:
      UserError: an image cannot be read, the images differ in size, none is given and they are not `mixed`, or the
        cache cannot be written.
    """
    name, split = source.name, source.split
    options = {'format': cache.FORMAT, 'rule': RULE, 'pillow': PIL.__version__, 'size': size, 'channels': channels}
    if has_shapes := shape_files.are_shapes(source):
        if channels is not None:
            raise UserError(f'{name!r} has point clouds or solids, which have no colours: do not set its channels.')
        options = {'format': cache.FORMAT, 'rule': shape_files.RULE, 'size': size}
    if source.half is not None:
        options |= {'half': source.half}
    if source.is_map:
        options |= {'is_map': True}
    place = {'place': source.place, 'split': split}
    contents = fingerprints.of_files(
        source.files,
        root / 'hashes' / f'{cache.entry_name(name, split, place)}.json',
        title=f'reading {name} {split}',
        show_progress=show_progress,
    )
    key = fingerprints.of_value([source.identity, contents])

    def build():
        check()
        if has_shapes:
            return shape_files.read_shapes(source, size)
        return decode_all(source, size=size, channels=channels, show_progress=show_progress)

    try:
        entry = cache.open_or_build(root, cache.entry_name(name, split, place | options), place | options, key, build)
    except SizesDifferError as error:
        if not mixed:
            raise
        images = MixedImages(source, channels or source.find_channels(), error.difference)
        entry = cache.Decoded(images, images.labels(), fingerprints.of_value([options, split, key]))
    dataset = Dataset(name, split, *entry[:2], source.num_classes, entry.fingerprint, source.class_names)
    if channels == 3:
        _warn_of_grey(dataset)
    return dataset


def _warn_of_grey(dataset: Dataset) -> None:
    """Warns about three channels of grey images."""
    if isinstance(dataset.examples, MixedImages):
        looked_at = next(dataset.examples.batches(_LOOKED_AT))
    else:
        looked_at = dataset.examples[:: -(-len(dataset) // _LOOKED_AT)]
    if all((image == image[..., :1]).all() for image in looked_at):
        warnings.warn(
            f'the images of {dataset.name!r} are grey, judging from {len(looked_at)} of them: with channels=3 '
            'each grey value is repeated three times, and the networks have three channels; leave channels unset for '
            'grey.',
            stacklevel=4,
        )
