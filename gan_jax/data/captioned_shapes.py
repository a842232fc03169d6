"""Pictures of two coloured shapes with captions: 'a red circle above a small blue square'.

A set of this project for synthesis from text: nothing is downloaded, and the truth of a caption about any picture can
be computed (`gan_jax.data.shapes`). Half of the test split shows pairs of colour and shape that no training picture
has.
"""

import functools
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.data import fingerprints, shapes
from gan_jax.data.dataset import Dataset
from gan_jax.data.shapes import COLORS, HELD_OUT, SHAPES, SIZES, Scenes
from gan_jax.data.words import PADDING, encode
from gan_jax.errors import MissingSplitError, UserError

NUM_EXAMPLES = {'train': 10_000, 'test': 1000}
LENGTH = 14  # words of the longest caption
_SEEDS = {'train': 0, 'test': 1}
_SIZE, _LEAST = 32, 16
_PHRASES = (('left of', 'to the left of'), ('right of', 'to the right of'), ('above', 'over'), ('below', 'under'))
_OTHERS = ('left', 'right', 'of', 'to', 'the', 'above', 'over', 'below', 'under', 'with', 'it')
WORDS = (PADDING, 'a', *SIZES, *COLORS, *SHAPES, *_OTHERS)

_SHAPE = rf'a (?:({"|".join(SIZES)}) )?({"|".join(COLORS)}) ({"|".join(SHAPES)})'
_RELATION = '|'.join(phrase for phrases in _PHRASES for phrase in phrases)
_PLAIN = re.compile(rf'{_SHAPE} ({_RELATION}) {_SHAPE}')
_TURNED = re.compile(rf'{_SHAPE} with {_SHAPE} ({_RELATION}) it')


class Thing(NamedTuple):
    """A shape as a caption tells it: indices in `SIZES` (None: not told), `COLORS` and `SHAPES`."""

    size: int | None
    color: int
    shape: int


class Meaning(NamedTuple):
    """What a caption says: the relation of one thing to another, an index in `gan_jax.data.shapes.RELATIONS`."""

    subject: Thing
    relation: int
    other: Thing

    @property
    def is_unseen(self) -> bool:
        """Whether it names a pair of colour and shape that no training picture has."""
        return any(thing[1:] in HELD_OUT for thing in (self.subject, self.other))


def captioned_shapes(name: str, split: str, size: int | None, root: pathlib.Path, *, show_progress: bool) -> Dataset:
    """The pictures of a split with one caption each: 10,000 of 'train', or 1,000 of 'test'.

    Args:
        name: name of the data set.
        split: 'train', or 'test', in which every other picture has a pair of colour and shape that 'train' lacks.
        size: height and width; None: 32. The same scenes are painted at each size.
        root: root of the cache; pictures are painted in seconds and need none.
        show_progress: likewise, of a progress bar.

    Returns:
        Images with captions as inputs, int32 [num, 14]; the names of the classes are the vocabulary, `WORDS`.

    Raises:
        UserError: the split does not exist, or the size is less than 16.
    """
    del root, show_progress
    if split not in _SEEDS:
        raise MissingSplitError(name, split, _SEEDS)
    if size is not None and size < _LEAST:
        raise UserError(f'{name!r} needs {_LEAST} or more pixels along each side to show shapes, not {size}.')
    return _made(name, split, size or _SIZE)


@functools.cache
def _made(name: str, split: str, size: int) -> Dataset:
    rng, number = np.random.default_rng([_SEEDS[split], 1]), NUM_EXAMPLES[split]
    if split == 'train':
        scenes = shapes.draw(number, rng)
    else:  # known and new pairs alternate
        both = shapes.draw((number + 1) // 2, rng), shapes.draw((number + 1) // 2, rng, unseen=True)
        scenes = Scenes(
            *(np.stack(pair, 1).reshape(-1, *pair[0].shape[1:])[:number] for pair in zip(*both, strict=True))
        )
    examples = shapes.paint(scenes, size)
    captions = np.stack([encode(write(scenes, index, rng), WORDS, LENGTH) for index in range(number)])
    for array in (examples, captions):
        array.setflags(write=False)
    fingerprint = fingerprints.of_value([fingerprints.of_arrays(array, None) for array in (examples, captions)])
    return Dataset(name, split, examples, None, len(WORDS), fingerprint, WORDS, inputs=captions)


def write(scenes: Scenes, index: int, rng: np.random.Generator) -> str:
    """A caption of a scene; which paraphrase it is, and which sizes it has, is random."""
    *sized, turned, paraphrase, order = rng.integers(2, size=5)
    names = [
        f'a {SIZES[scenes.size[index, i]] + " " if sized[i] else ""}'
        f'{COLORS[scenes.color[index, i]]} {SHAPES[scenes.shape[index, i]]}'
        for i in range(2)
    ]
    subject, other = names[::-1] if order else names
    phrase = _PHRASES[scenes.relation[index] ^ order][paraphrase]
    return f'{other} with {subject} {phrase} it' if turned else f'{subject} {phrase} {other}'


def read(caption: str) -> Meaning:
    """What a caption says.

    Raises:
        UserError: it is not a caption of this data set.
    """
    if found := _PLAIN.fullmatch(caption):
        subject, phrase, other = found.groups()[:3], found[4], found.groups()[4:]
    elif found := _TURNED.fullmatch(caption):
        other, subject, phrase = found.groups()[:3], found.groups()[3:6], found[7]
    else:
        raise UserError(
            f"{caption!r} is not a caption of captioned_shapes, such as 'a red circle above a blue square'."
        )
    relation = next(i for i, phrases in enumerate(_PHRASES) if phrase in phrases)
    return Meaning(_thing(subject), relation, _thing(other))


def _thing(words: Sequence[str | None]) -> Thing:
    size, color, shape = words
    return Thing(size and SIZES.index(size), COLORS.index(color), SHAPES.index(shape))
