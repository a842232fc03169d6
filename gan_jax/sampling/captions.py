"""Captions as pictures, which are shown beside the images of these captions."""

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_jax.data.words import decode

_LEAST = 96  # pixels a side, in which a caption of fourteen words fits
_LETTER, _LINE, _EDGE = 6, 12, 3  # pixels: width of a letter and height of a line of the font, and a margin


def side_of(side: int) -> int:
    """The smallest multiple of an image's side at which captions can be read."""
    return side * -(-_LEAST // side)


def pictures(captions: np.ndarray, words: Sequence[str], side: int) -> np.ndarray:
    """Captions in black on white, float32 [n, side, side, 1] in [-1, 1]; what does not fit is cut off.

    Args:
        captions: int [n, w], numbers of words.
        words: the vocabulary.
        side: height and width in pixels.
    """
    return np.stack([_picture(decode(caption, words), side) for caption in captions])


def _picture(text: str, side: int) -> np.ndarray:
    """A picture of a text; the font has the letters of Latin-1, and others become '?'."""
    text = text.encode('latin-1', 'replace').decode('latin-1')
    image = Image.new('L', (side, side), 255)
    lines = textwrap.wrap(text, (side - 2 * _EDGE) // _LETTER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default_imagefont()
    for number, line in enumerate(lines):
        draw.text((_EDGE, _EDGE + _LINE * number), line, fill=0, font=font)
    return np.asarray(image, np.float32)[..., None] / 127.5 - 1
