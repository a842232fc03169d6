"""Whether images of `captioned_shapes` show what their captions say, by the exact parser of such pictures."""

from collections.abc import Sequence

import numpy as np

from gan_jax.data import shapes
from gan_jax.data.captioned_shapes import Meaning, read
from gan_jax.data.shapes import Found
from gan_jax.data.words import decode
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import binomial


def caption_accuracy(images: np.ndarray, captions: np.ndarray, words: Sequence[str]) -> dict[str, Estimate]:
    """The shares of captions whose attributes, and whose relation, are right in their images.

    The attributes are right if both things of a caption are there: something of the colour, which has the shape, and
    the size if the caption tells it. The relation is right if there is something of both colours, and the larger of
    their distances, down or across, is in the direction that the caption tells.

    Args:
        images: uint8 [n, S, S, 3], with 32 or more pixels a side.
        captions: int [n, w], numbers of words.
        words: the vocabulary.

    Returns:
        'attribute_accuracy' and 'relation_accuracy' of captions with pairs of colour and shape as in training, and
        'unseen_attribute_accuracy' and 'unseen_relation_accuracy' of the others; not a number where there are none.

    Raises:
        UserError: a caption is not one of captioned_shapes, or the images are too small.
    """
    if images.shape[1] != images.shape[2] or images.shape[1] < 32 or images.shape[3] != 3:
        raise UserError(
            f'The parser of pictures reads colour images of 32x32 or more pixels, not {images.shape[1:]}: remove '
            'caption_accuracy from the metrics.'
        )
    meanings, found = [read(decode(caption, words)) for caption in captions], shapes.find(images)
    right = {
        'attribute': np.array([_has_attributes(said, found, i) for i, said in enumerate(meanings)]),
        'relation': np.array([_has_relation(said, found, i) for i, said in enumerate(meanings)]),
    }
    is_unseen = np.array([said.is_unseen for said in meanings])
    estimates = {}
    for prefix, which in (('', ~is_unseen), ('unseen_', is_unseen)):
        for name, values in right.items():
            number, share = int(which.sum()), float(values[which].mean()) if which.any() else float('nan')
            kind = 'new' if prefix else 'known'
            rule = f'exact parser, {number} captions of {kind} pairs of colour and shape'
            estimates[f'{prefix}{name}_accuracy'] = Estimate(share, binomial(share, number) if number else None, rule)
    return estimates


def _has_attributes(said: Meaning, found: Found, i: int) -> bool:
    return all(
        found.there[i, thing.color]
        and found.shape[i, thing.color] == thing.shape
        and thing.size in (None, found.size[i, thing.color])
        for thing in (said.subject, said.other)
    )


def _has_relation(said: Meaning, found: Found, i: int) -> bool:
    colors = said.subject.color, said.other.color
    places = found.place[i, list(colors)]
    return bool(found.there[i, list(colors)].all()) and shapes.relation(*places) == said.relation
