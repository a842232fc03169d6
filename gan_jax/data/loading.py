"""Data sets by name."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

from gan_jax.data import (
    blended,
    cache,
    captioned,
    captioned_shapes,
    clip_folder,
    coloured,
    computed,
    domains,
    few_labels,
    fingerprints,
    furniture,
    furniture_points,
    leaves,
    maps,
    motions,
    moving,
    paired,
    scenes,
    stacked,
)
from gan_jax.data.dataset import Dataset
from gan_jax.data.decoded import decoded
from gan_jax.data.folder import ARCHIVES, folder_source
from gan_jax.data.images import ImageSource
from gan_jax.data.left_out import without_classes
from gan_jax.data.tfds_source import domain_splits, find_builder, tfds_source
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import MissingSplitError, UserError

_NUM_POINTS = 100_000
_TOY_SEEDS = {'train': 0, 'test': 1}


def absolute_name(name: str) -> str:
    """A data set's name that means the same from every directory: that of a folder with an absolute path."""
    kind, found, rest = name.partition(':')
    match kind:
        case _ if kind in PATH_KINDS and rest:
            rest = os.path.abspath(os.path.expanduser(rest))
        case (
            'stacked' | 'edges' | 'grey' | 'half' | 'quarter' | 'coloured' | 'six_colours' | 'moving' | 'moving_one'
        ) if found:
            rest = absolute_name(rest)
        case 'classes' if found:
            inner, *classes = domains.split_classes(rest)
            rest = ':'.join((absolute_name(inner), *classes))
        case 'blended' if found:
            rest = '+'.join(absolute_name(part) for part in blended.split_names(rest) if part)
        case 'unpaired' if found:
            rest = ','.join(map(absolute_name, domains.split_names(rest)))
    return kind + found + rest


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
    is_map: bool = False,
    left_out: str = '',
    labels_per_class: int | None = None,
    label_seed: int = 0,
) -> Dataset:
    """Loads a data set; images are decoded the first time and memory-mapped from a cache after that.

    Args:
      name: 'digits' (embedded); 'leaves' (generated images of 64x64 pixels or the given size, see `leaves`); 'ring',
        'grid' or 'spiral' (100,000 points of a mixture of Gaussians in the plane);
        'furniture' (10,000 solids in four classes, see `furniture.furniture`); 'furniture_points' (5,000 point clouds
        of their surfaces, see `furniture_points`); 'motions' (5,000 clips of moving shapes, see `motions.motions`),
        'plain_motions' (such clips over black) and 'motion_maps' (such clips with label maps of their frames);
        'folder:/path/to/images' (see `folder.folder_source`); or an image data set of TFDS, 'name', 'name/config' or
        'name/config:1.0.0'; or what is made of any of these:
        'stacked:NAME', 60,000 triples of grey images, each triple the three channels of one image, labelled by its
        three classes (1,000 modes for 'stacked:mnist', see `stacked.stack`);
        'coloured:NAME', grey images each in a colour of its own, with their labels, and 'six_colours:NAME', in one of
        six colours, which are the labels (see `coloured`);
        'moving:NAME', 10,000 clips of two images each that move over black and bounce off the borders, as in Moving
        MNIST, and 'moving_one:NAME', of one image, with its label (see `moving.clips`);
        'paired:/path/to/pairs', a directory of pairs (see `paired.pairs`);
        'scenes', painted landscapes with their label maps (see `scenes.scenes`), and 'maps:/path', images with theirs
        (see `maps.with_maps`);
        'captioned_shapes', pictures of coloured shapes with captions (see `captioned_shapes.captioned_shapes`), and
        'captioned:/path', images with theirs (see `captioned.with_captions`);
        'clips:/path', a directory of clips (see `clip_folder.clips_of_folder`), and 'clip_maps:/path', clips with label
        maps of their frames (see `clip_folder.clips_with_maps`);
        'edges:NAME', 'grey:NAME', 'half:NAME' and 'quarter:NAME', pairs whose input is computed from the image, the
        last two the image in small (see `computed`);
        'blended:NAME', its images over computed textures, and 'blended:NAME+PATCHES', over patches of the pictures of
        another data set (see `blended.over_patches`);
        'classes:NAME:A:B', two classes of one data set as two unpaired domains, 'unpaired:NAME_A,NAME_B', two data sets
        as these (see `domains`).
      split: a split as TFDS writes it, 'train[:10%]' included; of a folder 'train' or 'train[:1000]'; 'train' or 'test'
        of a mixture. Of TFDS's cycle_gan, which has 'trainA' and 'trainB' instead, 'train' is two unpaired domains.
      size: height and width to resize the images to (see `images.decode`); None keeps the data's own, and the images
        need not be square then. Of point clouds, the number of points.
      channels: 1 for grey, 3 for colour; None for the data's own: 1 if all images are grey, else 3. For a stack,
        1 turns coloured images grey first; the stack itself always has 3 channels.
      data_dir: directory of TFDS data sets; TFDS_DATA_DIR or ~/tensorflow_datasets if None.
      cache_dir: where decoded data sets and the prepared digits are kept; `gan_jax` under XDG_CACHE_HOME, that is
        ~/.cache/gan_jax, if None.
      show_progress: whether to show a progress bar while decoding, if stderr is a terminal.
      mixed: whether images may differ in size where no `size` is given. Then none is changed, and they are decoded each
        time they are looked at.
      is_map: whether the images of a folder, or the frames of clips, are label maps, whose values are kept.
      left_out: as in `for_training`.
      labels_per_class: likewise.
      label_seed: likewise.

    Raises:
      UserError: if the data set or split does not exist, it is not prepared, an image cannot be read, the images differ
        in size, none is given and they are not `mixed`, the parts of a name do not fit each other (see the modules of
        each), or the cache cannot be written.
    """
    _check(name, size, channels)
    root = cache.cache_directory(cache_dir)
    options = {'size': size, 'channels': channels, 'show_progress': show_progress}
    inner = functools.partial(load, split=split, data_dir=data_dir, cache_dir=cache_dir, **options)
    kind, _, rest = name.partition(':')
    match kind:
        case _ if name in MIXTURES:
            dataset = _load_mixture(name, split, size, channels)
        case _ if kind == 'leaves' or kind in _COMPUTED:
            dataset = _load_computed(name, split, size, channels, root, show_progress)
        case 'stacked' | 'coloured' | 'six_colours' | 'blended':
            dataset = _FROM_ANOTHER[kind](name, rest, channels, inner)
        case 'moving' | 'moving_one':
            images = inner(rest, size=moving.size_of_images(name, size))
            dataset = moving.clips(name, images, size, together=1 if kind == 'moving_one' else 2)
        case 'clips' if is_map:
            dataset = clip_folder.clips_of_folder(name, rest, split, root, is_map=True, **options)
        case 'paired' | 'maps' | 'captioned' | 'clips' | 'clip_maps':
            dataset = _OF_DIRECTORIES[kind](name, rest, split, root, **options)
        case 'edges' | 'grey' | 'half' | 'quarter':
            dataset = computed.PAIRS[kind](name, inner(rest), root, show_progress=show_progress)
        case 'classes' | 'unpaired':
            dataset = _load_domains(name, rest, split, inner)
        case _:
            sources = _find_sources(name, split, data_dir, root)
            sources = [dataclasses.replace(source, is_map=is_map) for source in sources]
            found = [decoded(source, root, mixed=mixed, **options) for source in sources]
            dataset = found[0] if len(found) == 1 else domains.two_sets(name, split, *found)
    return for_training(dataset, left_out, labels_per_class, label_seed)


def for_training(
    dataset: Dataset, left_out: str = '', labels_per_class: int | None = None, label_seed: int = 0
) -> Dataset:
    """The examples and labels that training may see; an evaluation sees all.

    Args:
      dataset: a complete data set.
      left_out: classes whose examples are left out, such as '3,8'; '': none (see `left_out.without_classes`).
      labels_per_class: how many examples of each class keep their labels, as the group 'labelled'; None: all do (see
        `few_labels.with_few_labels`).
      label_seed: seed of the draw of these examples.

    Raises:
      UserError: as these functions.
    """
    if left_out:
        dataset = without_classes(dataset, left_out)
    return dataset if labels_per_class is None else few_labels.with_few_labels(dataset, labels_per_class, label_seed)


def _check(name: str, size: int | None, channels: int | None) -> None:
    """Raises a UserError for a kind of data without its directory, or an impossible size or number of channels."""
    kind, _, rest = name.partition(':')
    if kind in PATH_KINDS and not rest:
        raise UserError(f'{name!r} names no directory: write {kind}:PATH.')
    if name in MIXTURES:
        return
    if size is not None and size < 1:
        raise UserError(f'the size of an image must be at least 1, not {size}.')
    if channels not in (None, 1, 3):
        raise UserError(f'an image has 1 channel (grey) or 3 (colour), not {channels}.')


def _find_sources(name: str, split: str, data_dir: str | None, root: pathlib.Path) -> list[ImageSource]:
    """The encoded images of a folder, of the digits, or of TFDS, where they may be of two domains."""
    if name.startswith('folder:'):
        return [folder_source(name, name.removeprefix('folder:'), split)]
    if name == 'digits':
        from gan_jax.data.digits import digits_source

        return [digits_source(root / 'tfds', split)]
    try:
        builder = find_builder(name, data_dir)
    except UserError as error:
        raise _about_path(name) or error from None
    return [tfds_source(builder, name, part) for part in domain_splits(builder, split)]


def _about_path(name: str) -> UserError | None:
    """The message about a path given instead of a data set's name; None if it is not a path."""
    if name.lower().endswith(ARCHIVES):
        return UserError(f'{name!r} is an archive: unpack it and give the directory, as folder:PATH.')
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return UserError(f'{name!r} is a directory: write folder:{name} to use its images.')
    if os.path.exists(path):
        return UserError(f'{name!r} is a file: give the directory of the images, as folder:PATH.')
    if name.startswith(('/', './', '../', '~')):
        return UserError(f'there is no file or directory {name!r}: check the path.')
    return None


def _load_stack(name: str, inner: str, channels: int | None, load_inner: Callable[[str], Dataset]) -> Dataset:
    if channels == 3:
        raise UserError(f'{name!r} stacks grey images, which always makes 3 channels: set channels to 1 or None.')
    data = load_inner(inner)
    stacked.check_stackable(data.name, data.shape, data.labels)
    examples, labels = stacked.stack(data.examples, data.labels, data.num_classes, seed=data.split)
    fingerprint = fingerprints.of_value(['stacked', data.fingerprint, data.split, len(examples)])
    return Dataset(name, data.split, examples, labels, data.num_classes**3, fingerprint)


def _load_computed(
    name: str, split: str, size: int | None, channels: int | None, root: pathlib.Path, show_progress: bool
) -> Dataset:
    if name == 'leaves':
        return leaves.load_leaves(split, size, channels, root)
    compute = _COMPUTED.get(name)
    if compute is None:
        kind = name.partition(':')[0]
        raise UserError(f'there is no data set {name!r}: {kind} has no variants, so write {kind}.')
    if channels is not None:
        raise UserError(f'{name!r} has its own number of channels: do not set it.')
    return compute(name, split, size, root, show_progress=show_progress)


def _load_blended(name: str, rest: str, channels: int | None, load_inner: Callable[..., Dataset]) -> Dataset:
    images, patches = blended.split_names(rest)
    pictures = load_inner(patches, split='train', size=blended.PICTURE_SIZE) if patches else None
    return blended.over_patches(name, load_inner(images), pictures, channels)


def _load_coloured(name: str, inner: str, channels: int | None, load_inner: Callable[[str], Dataset]) -> Dataset:
    if channels == 1:
        raise UserError(f'{name!r} colours grey images, which makes 3 channels: set channels to None.')
    data = load_inner(inner, channels=1)
    fingerprint = fingerprints.of_value([name.partition(':')[0], data.fingerprint, data.split, len(data)])
    if name.startswith('coloured:'):
        examples = coloured.in_any_colour(data.examples, seed=data.split)
        return dataclasses.replace(data, name=name, examples=examples, fingerprint=fingerprint)
    examples, labels = coloured.in_six_colours(data.examples, seed=data.split)
    return Dataset(name, data.split, examples, labels, len(coloured.SIX), fingerprint, coloured.SIX)


def _load_domains(name: str, rest: str, split: str, load_inner: Callable[[str], Dataset]) -> Dataset:
    if name.startswith('unpaired:'):
        return domains.two_sets(name, split, *map(load_inner, domains.split_names(rest)))
    of, *classes = domains.split_classes(rest)
    return domains.two_classes(name, load_inner(of), *classes)


_COMPUTED = {
    'captioned_shapes': captioned_shapes.captioned_shapes,
    'furniture': furniture.furniture,
    'furniture_points': furniture_points.furniture_points,
    'motion_maps': motions.motion_maps,
    'motions': motions.motions,
    'plain_motions': motions.motions,
    'scenes': scenes.scenes,
}
_OF_DIRECTORIES = {
    'captioned': captioned.with_captions,
    'clip_maps': clip_folder.clips_with_maps,
    'clips': clip_folder.clips_of_folder,
    'maps': maps.with_maps,
    'paired': paired.pairs,
}
PATH_KINDS = ('folder', *_OF_DIRECTORIES)  # kinds of data that a path follows
_FROM_ANOTHER = {
    'stacked': _load_stack,
    'coloured': _load_coloured,
    'six_colours': _load_coloured,
    'blended': _load_blended,
}


def _load_mixture(name: str, split: str, size: int | None, channels: int | None) -> Dataset:
    if size is not None or channels is not None:
        raise UserError(f'{name!r} is a set of points, not of images: do not set its size and channels.')
    if split not in _TOY_SEEDS:
        raise MissingSplitError(name, split, _TOY_SEEDS)
    mixture = MIXTURES[name]
    points, modes = mixture.sample(_NUM_POINTS, _TOY_SEEDS[split])
    return Dataset(name, split, points, modes, len(mixture.centres), fingerprints.of_arrays(points, modes))
