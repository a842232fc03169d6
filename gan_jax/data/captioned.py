"""Images with captions: sentences in a file, or embeddings of them."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from gan_jax.data import fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.data.decoded import decoded
from gan_jax.data.folder import folder_source
from gan_jax.data.images import ImageSource, read_npy
from gan_jax.data.words import PADDING, encode, split_words
from gan_jax.errors import UserError
from gan_jax.records.files import lines_of, user_path

SENTENCES, EMBEDDINGS = 'captions.jsonl', 'captions.npy'


def with_captions(name: str, path: str, split: str, root: pathlib.Path, **options: Any) -> Dataset:
    """The images in the sub-directory `images` of a directory, with captions from a file beside it.

    The file captions.jsonl has a line {"image": "a.png", "caption": "a red bird"} for each image. The vocabulary is all
    words in it, in alphabetical order, and the longest caption gives the length. Or captions.npy has the embeddings of
    the captions by a text encoder of the user's, float [images, n], in the order of the sorted names of the images.

    Args:
        name: the data set's name, for messages.
        path: the directory; ~ is the home directory.
        split: 'train' or a slice of it, as of a folder.
        root: root of the cache.
        **options: size, channels and show_progress, as in `load`.

    Returns:
        Images with captions as inputs, int32 [num, length] or float32 [num, n].

    Raises:
        UserError: there is no such file, it is damaged, or an image has no caption or several; or as `folder_source`
            and `decoded`.
    """
    directory = user_path(path)
    files = [directory / file for file in (SENTENCES, EMBEDDINGS)]
    if not (directory / 'images').is_dir() or not any(file.is_file() for file in files):
        raise UserError(f'{path!r} needs the sub-directory images and a file {SENTENCES} or {EMBEDDINGS} beside it.')
    inside = str(directory / 'images')
    everything = folder_source(name, inside, 'train')
    source = everything if split == 'train' else folder_source(name, inside, split)
    sentences, embeddings = files
    if sentences.is_file():
        captions, words = _of_sentences(_read(sentences), everything, sentences)
    else:
        captions, words = _of_embeddings(embeddings, len(everything.identity)), None
    place = {image: number for number, image in enumerate(everything.identity)}
    images = decoded(source, root, **options)
    captions = captions[[place[image] for image in source.identity]]
    captions.setflags(write=False)
    return dataclasses.replace(
        images,
        inputs=captions,
        labels=None,
        num_classes=words and len(words),
        class_names=words,
        fingerprint=fingerprints.of_value([images.fingerprint, fingerprints.of_arrays(captions, None), words]),
    )


def _of_sentences(
    captions: dict[str, str], source: ImageSource, file: pathlib.Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The captions of all images as numbers of words, and the words."""
    if without := [image for image in source.identity if image not in captions]:
        raise UserError(f'The image {without[0]!r} has no line in {file}: add one, or remove it.')
    texts = [captions[image] for image in source.identity]
    split = [split_words(text) for text in texts]
    if [] in split:
        empty = split.index([])
        raise UserError(
            f'The caption {texts[empty]!r} of {source.identity[empty]!r} in {file} is empty: write a few words.'
        )
    words = (PADDING, *sorted({word for found in split for word in found}))
    length = max(map(len, split))
    return np.stack([encode(text, words, length) for text in texts]), words


def _read(file: pathlib.Path) -> dict[str, str]:
    """The caption of each image that a file names."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines_of(file), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            image, caption = entry['image'], entry['caption']
            if not isinstance(image, str) or not isinstance(caption, str | int | float):
                raise TypeError('a list of captions, or null')
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f'Line {number} of {file} is not of the form {{"image": "a.png", "caption": "a red bird"}}.'
            ) from error
        if image in found:
            raise UserError(f'Line {number} of {file} has a second caption of {image!r}: keep one of them.')
        found[image] = str(caption)
    return found


def _of_embeddings(file: pathlib.Path, number: int) -> np.ndarray:
    try:
        found = read_npy(file)
    except Exception as error:  # NumPy raises errors of many kinds
        raise UserError(f'{file} cannot be read ({error}): save the embeddings by numpy.save.') from error
    if found.ndim != 2 or len(found) != number or not np.issubdtype(found.dtype, np.floating):
        raise UserError(
            f'{file} has the shape {found.shape} of {found.dtype}, but there are {number} images: give one row of '
            'numbers for each.'
        )
    return found.astype(np.float32)
