"""Captions as numbers of words: 0 after the end of a caption, so that all have one length."""

import re
from collections.abc import Sequence

import numpy as np

from gan_jax.errors import UserError
from gan_jax.layers.choices import nearest

PADDING = ''  # the word of number 0


def split_words(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation."""
    return re.findall(r"[\w'-]+", caption.lower())


def encode(caption: str, words: Sequence[str], length: int) -> np.ndarray:
    """A caption as numbers of words: int32 [length], with 0 after its end.

    Args:
        caption: the caption.
        words: the vocabulary; the first word is `PADDING`.
        length: the largest number of words.

    Raises:
        UserError: the caption is empty, has too many words, or a word that is not in the vocabulary.
    """
    found = split_words(caption)
    if not found:
        raise UserError(f'The caption {caption!r} is empty: write a few words.')
    if len(found) > length:
        raise UserError(f'The caption {caption!r} has {len(found)} words, but at most {length} are read: shorten it.')
    numbers = {word: number for number, word in enumerate(words)}
    for word in found:
        if word not in numbers:
            raise UserError(
                f'The caption {caption!r} has the unknown word {word!r}; the nearest known one is '
                f'{nearest(word, words[1:])!r}.'
            )
    return np.array([numbers[word] for word in found] + [0] * (length - len(found)), np.int32)


def decode(numbers: Sequence[int], words: Sequence[str]) -> str:
    """The caption of numbers of words."""
    return ' '.join(words[int(number)] for number in numbers if number)
