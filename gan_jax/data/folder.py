"""A directory of image files as a data set."""

import concurrent.futures
import os
import pathlib

from gan_jax.data.cache import fingerprint
from gan_jax.data.images import ImageSource, open_image, unreadable
from gan_jax.errors import UserError

EXTENSIONS = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.gif')
_GREY_MODES = ('1', 'L', 'LA', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N')


def folder_source(name: str, path: str, split: str) -> ImageSource:
    """The images in a directory: files directly in it, without labels, or one sub-directory per class.

    Classes are numbered by the sorted names of the sub-directories that hold images, at any depth. The order is that
    of the sorted relative paths. Hidden files and directories are passed over.

    Args:
      name: the data set's name, for messages.
      path: the directory.
      split: must be 'train'; a directory has no other split.

    Raises:
      UserError: if there is no such directory, it holds no images, or it holds both images and classes of images.
    """
    root = pathlib.Path(path).expanduser()
    if split != 'train':
        raise UserError(
            f"a folder of images has only the split 'train', not {split!r}: give the split a folder of its own."
        )
    if not root.is_dir():
        raise UserError(f'{str(root)!r} is not a directory: give folder: the path of a directory of images.')
    top_level = sorted(root.iterdir())
    files = [file for file in top_level if _is_image(file)]
    classes = [_images_below(directory) for directory in top_level if directory.is_dir() and directory.name[0] != '.']
    classes = [images for images in classes if images]
    if files and classes:
        raise UserError(
            f'{str(root)!r} holds both images and sub-directories of images: keep either images or one sub-directory '
            'per class in it.'
        )
    labels = [label for label, images in enumerate(classes) for _ in images] if classes else [None] * len(files)
    files = files or [file for images in classes for file in images]
    if not files:
        raise UserError(f'{str(root)!r} holds no images: put {", ".join(EXTENSIONS)} files in it.')

    def identify(file: pathlib.Path) -> list[str | int]:
        status = file.stat()
        return [file.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns]

    return ImageSource(
        name=name,
        split=split,
        identity=fingerprint([identify(file) for file in files]),
        num_examples=len(files),
        num_classes=len(classes) or None,
        read=lambda start, stop: [(str(files[i]), labels[i]) for i in range(start, stop)],
        describe=lambda index: repr(str(files[index])),
        find_channels=lambda: _find_channels(files),
    )


def _is_image(path: pathlib.Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and path.name[0] != '.' and path.is_file()


def _images_below(directory: pathlib.Path) -> list[pathlib.Path]:
    images = []
    for parent, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name[0] != '.']
        images += [path for path in (pathlib.Path(parent, name) for name in names) if _is_image(path)]
    return sorted(images)


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
