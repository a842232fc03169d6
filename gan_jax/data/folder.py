"""A directory of image files, or of point clouds or solids, as a data set."""

import collections
import concurrent.futures
import os
import pathlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence

from gan_jax.data import shape_files
from gan_jax.data.images import ImageSource, open_image, unreadable
from gan_jax.errors import UserError
from gan_jax.records.files import user_path

EXTENSIONS = (
    *('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.gif', '.tif', '.tiff'),
    *('.ppm', '.pgm', '.pbm', '.pnm', '.npy'),
    *shape_files.EXTENSIONS,
)
_GREY_MODES = ('1', 'L', 'LA', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
_OVERVIEWS = ('grid.png', 'interpolation.png')  # what mode sample writes beside 00000.png
_SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'dev', 'test', 'testing'}
ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.rar', '.7z')


def folder_source(
    name: str,
    path: str,
    split: str,
    extensions: tuple[str, ...] = EXTENSIONS,
    order: Mapping[str, int] | None = None,
) -> ImageSource:
    """The images in a directory: files directly in it, without labels, or one sub-directory per class.

    Classes are numbered by the sorted names of the sub-directories that hold images, at any depth. The order is that
    of the sorted relative paths. Links are followed. Hidden files and directories are skipped; a warning lists the
    other files that are skipped.

    Args:
      name: the data set's name, for messages.
      path: the directory; ~ is the home directory.
      split: 'train', or a slice of it in that order such as 'train[:1000]'; a directory has no other split.
      extensions: suffixes of the files that are taken.
      order: the place of each relative path without its suffix, instead of the sorted order.

    Raises:
      UserError: if the directory does not exist, contains no images, contains both images and classes of images, its
        sub-directories are named like splits, or a link in it leads nowhere or back.
    """
    root, kind = user_path(path), name.partition(':')[0]
    chosen = slice_of(split)
    if not os.path.isdir(root):
        if root.suffix.lower() in ARCHIVES:
            raise UserError(f'{str(root)!r} is an archive: unpack it and give the directory, as {kind}:PATH.')
        raise UserError(f'{str(root)!r} is not a directory: give a directory of images, as {kind}:PATH.')
    found = list(_files_below(root))
    images = [file for file in found if _is_image(file, extensions)]
    if order is not None:
        images.sort(key=lambda file: order[file.relative_to(root).with_suffix('').as_posix()])
    classes = collections.defaultdict(list)
    for file in images:
        if file.parent != root:
            classes[file.relative_to(root).parts[0]].append(file)
    _check(root, images, classes, extensions, kind)
    _warn_of_others(root, found, images)
    labels = [label for label, inside in enumerate(classes.values()) for _ in inside] or [None] * len(images)
    files, labels = images[chosen], labels[chosen]
    if not files:
        raise UserError(f'the split {split!r} of {str(root)!r} is empty: it has {len(images)} images.')

    return ImageSource(
        name=name,
        split=split,
        place=os.path.realpath(root),
        files=files,
        identity=[file.relative_to(root).as_posix() for file in files],
        num_examples=len(files),
        num_classes=len(classes) or None,
        class_names=tuple(classes) or None,
        read=lambda start, stop: [(str(files[i]), labels[i]) for i in range(start, stop)],
        describe=lambda index: repr(str(files[index])),
        find_channels=lambda: _find_channels(files),
    )


def slice_of(split: str) -> slice:
    """The slice of all files that a split describes."""
    found = re.fullmatch(r'train(?:\[(-?\d+)?:(-?\d+)?\])?', split)
    if found is None:
        raise UserError(
            f"a folder of images has only the split 'train' and its slices such as 'train[:1000]', not {split!r}: give "
            'the split a separate folder.'
        )
    return slice(*(number and int(number) for number in found.groups()))


def _files_below(directory: pathlib.Path, above: Sequence[tuple[int, int]] = ()) -> Iterator[pathlib.Path]:
    """All files that are not hidden, at any depth and behind links, sorted by their paths' parts."""
    try:
        status = os.stat(directory)
        with os.scandir(directory) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f'{str(directory)!r} cannot be read ({error.strerror}): change its permissions, or remove it.'
        ) from error
    place = (status.st_dev, status.st_ino)
    if place in above:
        raise UserError(f'{str(directory)!r} is a link to a directory above it: remove it.')
    for entry in inside:
        if entry.name[0] == '.':
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise UserError(f'{entry.path!r} is a broken link: repair or remove it.')
        if entry.is_dir():
            yield from _files_below(pathlib.Path(entry.path), (*above, place))
        else:
            yield pathlib.Path(entry.path)


def _is_image(path: pathlib.Path, extensions: tuple[str, ...]) -> bool:
    """Whether this is a file with the name of an image, and not an overview of the images beside it."""
    if path.suffix.lower() not in extensions or not path.is_file():
        return False
    return path.name not in _OVERVIEWS or not path.with_name('00000.png').exists()


def _check(
    root: pathlib.Path,
    images: Sequence[pathlib.Path],
    classes: Mapping[str, list[pathlib.Path]],
    extensions: tuple[str, ...],
    kind: str,
) -> None:
    """Raises a UserError if the images and classes cannot form a data set."""
    if not images:
        raise UserError(f'{str(root)!r} contains no images: put {", ".join(extensions)} files in it.')
    if classes and any(path.parent == root for path in images):
        raise UserError(
            f'{str(root)!r} contains both images and sub-directories of images: keep either the images or one '
            'sub-directory per class.'
        )
    if classes and {name.lower() for name in classes} <= _SPLITS:
        raise UserError(
            f'the sub-directories of {str(root)!r} would be classes, but {", ".join(classes)} are names of '
            f'splits: give one of them, such as {kind}:{root / next(iter(classes))}, or rename them.'
        )


def _warn_of_others(root: pathlib.Path, found: Sequence[pathlib.Path], images: Sequence[pathlib.Path]) -> None:
    """Warns about files that are not part of the data set."""
    taken = set(images)
    if not (others := [file for file in found if file not in taken]):
        return
    kinds = collections.Counter(file.name if file.name in _OVERVIEWS else file.suffix.lower() for file in others)
    counts = ', '.join(f'{count} {kind or "without a suffix"}' for kind, count in kinds.most_common())
    warnings.warn(
        f'{str(root)!r} contains files that are skipped ({counts}), such as {str(others[0].relative_to(root))!r}: the '
        f'data set is the other {len(images)} files.',
        stacklevel=3,
    )


def _find_channels(files: list[pathlib.Path]) -> int:
    """1 if all images are grey, else 3; from the files' headers alone."""

    def is_grey(file: pathlib.Path) -> bool:
        try:
            with open_image(str(file)) as image:
                return image.mode in _GREY_MODES
        except Exception as error:
            raise unreadable(repr(str(file)), error) from error

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return 1 if all(pool.map(is_grey, files)) else 3
