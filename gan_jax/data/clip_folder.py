"""A directory of clips: GIF and video files, or one directory of frames for each clip."""

import dataclasses
import functools
import io
import itertools
import pathlib
import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.data.decoded import decoded
from gan_jax.data.folder import EXTENSIONS, folder_source, slice_of
from gan_jax.data.images import ImageSource, open_image, unreadable
from gan_jax.errors import UserError
from gan_jax.records import video
from gan_jax.records.files import user_path

_FILMS = ('.gif', *video.EXTENSIONS)
_FRAMES_OR_FILMS = (*EXTENSIONS, *video.EXTENSIONS)


class _Clip(NamedTuple):
    """The files of the frames of a clip, or its one file and the numbers of the frames in it."""

    path: pathlib.Path
    files: tuple[pathlib.Path, ...]
    numbers: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.numbers)


class _Found(NamedTuple):
    """A directory, all files of its clips, and the clips."""

    folder: pathlib.Path
    source: ImageSource
    clips: list[_Clip]

    def names(self) -> list[str]:
        """The names of the clips: their paths in the directory, those of films without suffixes."""
        paths = (clip.path.with_suffix('') if clip.path in clip.files else clip.path for clip in self.clips)
        return [path.relative_to(self.folder).as_posix() for path in paths]


def clips_of_folder(
    name: str, path: str, split: str, root: pathlib.Path, *, is_map: bool = False, **options: Any
) -> Dataset:
    """The clips in a directory, uint8 [num, T, height, width, channels], in the order of their paths.

    A clip is a directory of images, its frames in the order of the numbers in their names, or a film. In a GIF file, a
    frame of several times the shortest duration stands for so many: equal frames are saved as one. Of a video file
    (`gan_jax.records.video.EXTENSIONS`) each stored frame counts once, and has three channels. Where the clips are in
    sub-directories, each sub-directory is a class.

    Args:
        name: the data set's name, for messages.
        path: the directory; ~ is the home directory.
        split: 'train' or a slice of it, such as 'train[:100]'.
        root: root of the cache.
        is_map: whether the frames are label maps, whose values are kept.
        **options: size, channels and show_progress, as in `load`.

    Raises:
        UserError: the clips differ in length, have one frame, or are partly in classes; or as `folder_source` and
            `decoded`.
    """
    return _read(_find(name, path), split, root, is_map=is_map, **options)


def _read(found: _Found, split: str, root: pathlib.Path, *, is_map: bool = False, **options: Any) -> Dataset:
    """`clips_of_folder` of the clips that were found."""
    folder, source, clips = found
    frames_of = functools.lru_cache(maxsize=8)(video.frames_of)  # a thread reads the frames of a clip one by one
    classes = sorted({clip.path.relative_to(folder).parts[0] for clip in clips if clip.path.parent != folder})
    if classes and any(clip.path.parent == folder for clip in clips):
        raise UserError(f'{str(folder)!r} contains both clips and sub-directories of clips: keep only one of the two.')
    _check_lengths(clips)
    clips = clips[slice_of(split)]
    if not clips:
        raise UserError(f'the split {split!r} of {str(folder)!r} has no clips.')
    length = clips[0].length
    labels = [classes.index(clip.path.relative_to(folder).parts[0]) if classes else None for clip in clips]
    files = [file for clip in clips for file in clip.files]

    def read(start: int, stop: int) -> list[tuple[str | BinaryIO, int | None]]:
        places = (divmod(index, length) for index in range(start, stop))
        return [(_frame(clips[clip], number, frames_of), labels[clip]) for clip, number in places]

    frames = dataclasses.replace(
        source,
        split=split,
        files=files,
        identity=[length, *(file.relative_to(folder).as_posix() for file in files)],
        num_examples=len(clips) * length,
        num_classes=len(classes) or None,
        class_names=tuple(classes) or None,
        read=read,
        is_map=is_map,
        describe=lambda index: f'frame {index % length} of {str(clips[index // length].path)!r}',
        find_channels=lambda: 3 if any(map(_is_video, files)) else source.find_channels(),
    )
    images = decoded(frames, root, **options)
    return dataclasses.replace(
        images,
        examples=images.examples.reshape(len(clips), length, *images.shape),
        labels=None if images.labels is None else images.labels[::length],
        fingerprint=fingerprints.of_value(['clips', length, images.fingerprint]),
    )


def clips_with_maps(
    name: str, path: str, split: str, root: pathlib.Path, *, channels: int | None, **options: Any
) -> Dataset:
    """The clips in the sub-directory `clips` of a directory, and those in `maps` as the label maps of their frames.

    The clips of both have the same names, lengths and sizes, and are in the order of the clips. A map is a directory
    of images of one channel, as in `gan_jax.data.maps.with_maps`. There are as many classes as the largest number in
    the maps requires; sub-directories are no classes.

    Args:
        name: the data set's name, for messages.
        path: the directory; ~ is the home directory.
        split: as in `clips_of_folder`.
        root: root of the cache.
        channels: of the clips, as in `load`.
        **options: size and show_progress, as in `load`; maps are resized by the nearest pixel.

    Raises:
        UserError: the clips and maps do not belong together; or as `clips_of_folder`.
    """
    folder = user_path(path)
    if not all((folder / side).is_dir() for side in ('clips', 'maps')):
        raise UserError(
            f'{path!r} needs the sub-directories clips and maps: put a directory of label maps into maps for each '
            'clip, by the name of the clip.'
        )
    found = [_find(name, str(folder / side)) for side in ('clips', 'maps')]
    names = [one.names() for one in found]
    for pair in itertools.zip_longest(*map(sorted, names)):
        if pair[0] != pair[1]:
            raise UserError(
                f'In {path!r} the clip {pair[0]!r} meets the maps {pair[1]!r}: give each clip maps of its name.'
            )
    clips = _read(found[0], split, root, channels=channels, **options)
    by_name = dict(zip(names[1], found[1].clips, strict=True))
    of_clips = found[1]._replace(clips=[by_name[name] for name in names[0]])
    maps = _read(of_clips, split, root, is_map=True, channels=1, **options)
    if clips.shape[:-1] != maps.shape[:-1]:
        raise UserError(
            f'The clips in {path!r} have shape {clips.shape[:-1]} and their maps {maps.shape[:-1]}: make the '
            'numbers of frames and the sizes equal.'
        )
    classes = int(maps.examples.max()) + 1
    fingerprint = fingerprints.of_value(['clip maps', maps.fingerprint, clips.fingerprint])
    inputs = {'inputs': maps.examples, 'labels': None, 'num_classes': classes, 'class_names': None}
    return dataclasses.replace(clips, fingerprint=fingerprint, **inputs)


def _find(name: str, path: str) -> _Found:
    """The clips in a directory; raises as `folder_source`, or if frames are in the directory itself."""
    source, folder = folder_source(name, path, 'train', _FRAMES_OR_FILMS), user_path(path)
    clips = _clips([pathlib.Path(file) for file in source.files])
    if loose := [clip.files[0] for clip in clips if clip.path == folder]:
        raise UserError(
            f'{str(loose[0])!r} is an image and in no directory of a clip: put the frames of each clip into a '
            f'sub-directory of {path!r}.'
        )
    return _Found(folder, source, clips)


def _clips(files: list[pathlib.Path]) -> list[_Clip]:
    """The clips of image files, which are sorted by their paths."""
    clips = []
    for directory, group in itertools.groupby(files, lambda file: file.parent):
        inside = list(group)
        films = [file for file in inside if file.suffix.lower() in _FILMS]
        clips += [_Clip(film, (film,), _numbers(film)) for film in films]
        if images := sorted((file for file in inside if file.suffix.lower() not in _FILMS), key=_in_order):
            clips.append(_Clip(directory, tuple(images), tuple(range(len(images)))))
    return clips


def _in_order(file: pathlib.Path) -> list[tuple[int, str]]:
    """The key by which 'frame2' comes before 'frame10'."""
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in re.split(r'(\d+)', file.name)]


def _numbers(film: pathlib.Path) -> tuple[int, ...]:
    """The number of the frame of a film at each moment."""
    if _is_video(film):
        return tuple(range(video.count_frames(film)))
    durations = []
    try:
        with open_image(str(film)) as image:
            for number in range(getattr(image, 'n_frames', 1)):
                image.seek(number)
                durations.append(image.info.get('duration', 0))
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        raise unreadable(repr(str(film)), error) from error
    shortest = min(filter(None, durations), default=1)
    times = (max(1, round(duration / shortest)) for duration in durations)
    return tuple(number for number, count in enumerate(times) for _ in range(count))


def _check_lengths(clips: list[_Clip]) -> None:
    first = clips[0]
    for clip in clips:
        if clip.length != first.length:
            raise UserError(
                f'{str(clip.path)!r} has {clip.length} frames and {str(first.path)!r} has {first.length}: cut all '
                'clips to the same length.'
            )
    if first.length == 1:
        raise UserError(f'{str(first.path)!r} has one frame, which is no clip: use folder:PATH for images.')


def _frame(clip: _Clip, number: int, frames_of: Callable[[pathlib.Path], list[bytes]]) -> str | BinaryIO:
    """The image file of a frame, made of a film where the clip is one."""
    if len(clip.files) > 1:
        return str(clip.files[number])
    if _is_video(clip.path):
        return io.BytesIO(frames_of(clip.path)[number])
    encoded = io.BytesIO()
    try:
        with open_image(str(clip.path)) as film:
            film.seek(clip.numbers[number])
            film.convert('RGBA').save(encoded, 'PNG')
    except Exception as error:
        raise unreadable(f'frame {number} of {str(clip.path)!r}', error) from error
    encoded.seek(0)
    return encoded


def _is_video(path: pathlib.Path) -> bool:
    return path.suffix.lower() in video.EXTENSIONS
