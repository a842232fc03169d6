"""Data sets by name, as arrays."""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from typing import Self

import numpy as np
import PIL

from gan_jax.data import cache, fingerprints, stacked
from gan_jax.data.folder import ARCHIVES, folder_source
from gan_jax.data.images import RULE, SizesDifferError, decode_all
from gan_jax.data.mixed import MixedImages
from gan_jax.data.tfds_source import find_builder, tfds_source
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import UserError

MAIN = 'real'  # the part of a data set that its groups go with, and the batch field of its examples
_NUM_POINTS = 100_000
_LOOKED_AT = 256  # images, to tell whether all are grey
_TOY_SEEDS = {'train': 0, 'test': 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A split of a data set.

    Attributes:
      name: as it was asked for.
      split: as it was asked for.
      examples: uint8 [num, height, width, channels], read-only and (but for stacked images) memory-mapped, or float32
        [num, 2]; images of several sizes, where `load` allows them, as `MixedImages`.
      labels: int32 [num] in [0, num_classes), -1 where an example has none; or None.
      num_classes: the number of classes (of modes, for a mixture); None where there are no labels.
      fingerprint: a hash of the examples and labels, see `fingerprints`; of those that a stack is made of; of images of
        several sizes a hash of their files, of what else decides them, and of the rules of decoding.
      class_names: of the classes in order: of a folder's sub-directories, or TFDS's; None where they have none.
      inputs: uint8 [num, height, width, channels], the image that goes with each example, such as the one that a
        translator is given; None where the examples are not pairs.
      groups: further data sets by name, each with an order of its own, such as the other one of two domains. None has
        groups itself.

    A batch has the fields 'real', 'label' (where there are labels) and 'input' (where there are inputs); and for each
    group NAME the same as 'NAME', 'NAME_label' and 'NAME_input'.
    """

    name: str
    split: str
    examples: np.ndarray | MixedImages
    labels: np.ndarray | None
    num_classes: int | None
    fingerprint: str
    class_names: tuple[str, ...] | None = None
    inputs: np.ndarray | None = None
    groups: Mapping[str, Self] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.inputs is not None and len(self.inputs) != len(self.examples):
            raise ValueError(f'{len(self.examples)} examples have {len(self.inputs)} inputs.')
        for name, group in self.groups.items():
            if name == MAIN or group.groups:
                raise ValueError(f'the group {name!r} has groups itself, or the name of the field of the examples.')

    @property
    def parts(self) -> dict[str, Self]:
        """The data sets that have an order each: this one as 'real', and the groups by their names."""
        return {MAIN: self, **self.groups}

    @property
    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """Of each part what it has of 'examples', 'labels' and 'inputs', as `prepare` takes them."""
        return {
            name: {
                kind: np.asarray(array)  # of a memory map a plain array, which is no copy
                for kind in ('examples', 'labels', 'inputs')
                if (array := getattr(part, kind)) is not None
            }
            for name, part in self.parts.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one example of each field of a batch but the labels."""
        shapes = {}
        for name, part in self.parts.items():
            shapes[name] = part.shape
            if part.inputs is not None:
                shapes[batch_field(name, 'input')] = part.inputs.shape[1:]
        return shapes

    @property
    def classes(self) -> dict[str, int]:
        """The number of classes of each field of a batch that holds labels."""
        labelled = {name: part for name, part in self.parts.items() if part.labels is not None}
        return {batch_field(name, 'label'): part.num_classes for name, part in labelled.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example; (None, None, channels) of images of several sizes."""
        return self.examples.shape[1:]

    def __len__(self) -> int:
        return len(self.examples)


def batch_field(part: str, kind: str) -> str:
    """The field of a batch that holds a part's 'real', 'label' or 'input': of a group 'a', 'a_label', 'a_input'."""
    if part == MAIN:
        return kind
    return part if kind == 'real' else f'{part}_{kind}'


def absolute_name(name: str) -> str:
    """A data set's name that means the same from every directory: that of a folder with an absolute path."""
    for kind in ('stacked:', 'folder:'):
        if name.startswith(kind):
            rest = name.removeprefix(kind)
            return kind + (absolute_name(rest) if kind == 'stacked:' else os.path.abspath(os.path.expanduser(rest)))
    return name


def load(
    name: str,
    *,
    split: str = 'train',
    size: int | None = None,
    channels: int | None = None,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    show_progress: bool = True,
    mixed: bool = False,
) -> Dataset:
    """Loads a data set; images are decoded the first time and memory-mapped from a cache after that.

    Args:
      name: 'digits' (embedded); 'ring', 'grid' or 'spiral' (100,000 points of a mixture of Gaussians in the plane);
        'folder:/path/to/images' (see `folder.folder_source`); or an image data set of TFDS, 'name', 'name/config' or
        'name/config:1.0.0'; or 'stacked:NAME', 60,000 triples of grey images of any of these, each triple the three
        channels of one image, labelled by its three classes (1,000 modes for 'stacked:mnist', see `stacked.stack`).
      split: a split as TFDS writes it, 'train[:10%]' included; of a folder 'train' or 'train[:1000]'; 'train' or 'test'
        of a mixture.
      size: height and width to bring the images to (see `images.decode`); None keeps the data's own, and the images
        need not be square then.
      channels: 1 for grey, 3 for colour; None for the data's own: 1 if all images are grey, else 3. For a stack,
        1 turns coloured images grey first; the stack itself always has 3 channels.
      data_dir: where TFDS data sets lie; TFDS_DATA_DIR or ~/tensorflow_datasets if None.
      cache_dir: where decoded data sets and the prepared digits are kept; `gan_jax` under XDG_CACHE_HOME, that is
        ~/.cache/gan_jax, if None.
      show_progress: whether to show a progress bar while decoding.
      mixed: whether images may differ in size where no `size` is given. Then none is changed, and they are decoded each
        time they are looked at.

    Raises:
      UserError: if there is no such data set or split, it is not prepared, an image cannot be read, the images differ
        in size, none is given and they are not `mixed`, images to be stacked are in colour or have no labels, or the
        cache cannot be written.
    """
    if name in MIXTURES:
        return _load_mixture(name, split, size, channels)
    if size is not None and size < 1:
        raise UserError(f'the size of an image must be at least 1, not {size}.')
    if channels not in (None, 1, 3):
        raise UserError(f'an image has 1 channel (grey) or 3 (colour), not {channels}.')
    if name.startswith('stacked:'):
        if channels == 3:
            raise UserError(f'{name!r} stacks grey images, which always makes 3 channels: set channels to 1 or None.')
        directories = {'data_dir': data_dir, 'cache_dir': cache_dir}
        inner = name.removeprefix('stacked:')
        grey = load(inner, split=split, size=size, channels=channels, show_progress=show_progress, **directories)
        return _stack(name, grey)
    root = cache.cache_directory(cache_dir)
    if name.startswith('folder:'):
        source = folder_source(name, name.removeprefix('folder:'), split)
    elif name == 'digits':
        from gan_jax.data.digits import digits_source

        source = digits_source(root / 'tfds', split)
    else:
        try:
            builder = find_builder(name, data_dir)
        except UserError as error:
            raise _about_path(name) or error from None
        source = tfds_source(builder, name, split)
    options = {'format': cache.FORMAT, 'rule': RULE, 'pillow': PIL.__version__, 'size': size, 'channels': channels}
    place = {'place': source.place, 'split': split}
    contents = fingerprints.of_files(
        source.files,
        root / 'hashes' / f'{cache.entry_name(name, split, place)}.json',
        title=f'reading {name} {split}',
        show_progress=show_progress,
    )
    key = fingerprints.of_value([source.identity, contents])
    try:
        decoded = cache.open_or_build(
            root,
            cache.entry_name(name, split, place | options),
            place | options,
            key,
            lambda: decode_all(source, size=size, channels=channels, show_progress=show_progress),
        )
    except SizesDifferError as error:
        if not mixed:
            raise
        images = MixedImages(source, channels or source.find_channels(), error.difference)
        decoded = cache.Decoded(images, images.labels(), fingerprints.of_value([options, split, key]))
    dataset = Dataset(name, split, *decoded[:2], source.num_classes, decoded.fingerprint, source.class_names)
    if channels == 3:
        _warn_of_grey(dataset)
    return dataset


def _warn_of_grey(dataset: Dataset) -> None:
    """Says what three channels of grey images are."""
    if isinstance(dataset.examples, MixedImages):
        looked_at = next(dataset.examples.batches(_LOOKED_AT))
    else:
        looked_at = dataset.examples[:: -(-len(dataset) // _LOOKED_AT)]
    if all((image == image[..., :1]).all() for image in looked_at):
        warnings.warn(
            f'the images of {dataset.name!r} are grey, as far as {len(looked_at)} of them tell: with channels=3 '
            'each grey value stands there three times, and the networks are those of colours; leave channels unset for '
            'grey.',
            stacklevel=3,
        )


def _about_path(name: str) -> UserError | None:
    """The sentence for a path that was given where a data set's name stands; None for what is no path."""
    if name.lower().endswith(ARCHIVES):
        return UserError(f'{name!r} is an archive: unpack it and give folder: with the path of the directory.')
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return UserError(f'{name!r} is a directory: write folder:{name} to take its images.')
    if os.path.exists(path):
        return UserError(f'{name!r} is a file: give the directory of the images, as folder:PATH.')
    if name.startswith(('/', './', '../', '~')):
        return UserError(f'there is no file or directory {name!r}: look for a mistake in the path.')
    return None


def _stack(name: str, data: Dataset) -> Dataset:
    stacked.check_stackable(data.name, data.shape, data.labels)
    examples, labels = stacked.stack(data.examples, data.labels, data.num_classes, seed=data.split)
    fingerprint = fingerprints.of_value(['stacked', data.fingerprint, data.split, len(examples)])
    return Dataset(name, data.split, examples, labels, data.num_classes**3, fingerprint)


def _load_mixture(name: str, split: str, size: int | None, channels: int | None) -> Dataset:
    if size is not None or channels is not None:
        raise UserError(f'{name!r} is a set of points, not of images: leave its size and channels unset.')
    if split not in _TOY_SEEDS:
        raise UserError(f'{name!r} has no split {split!r}; it has {", ".join(_TOY_SEEDS)}.')
    mixture = MIXTURES[name]
    points, modes = mixture.sample(_NUM_POINTS, _TOY_SEEDS[split])
    return Dataset(name, split, points, modes, len(mixture.centres), fingerprints.of_arrays(points, modes))
