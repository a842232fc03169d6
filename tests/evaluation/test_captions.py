"""Whether images show what captions say: of true images, of others, and what is refused."""

import numpy as np
import pytest

from gan_jax.data import shapes
from gan_jax.data.captioned_shapes import LENGTH, WORDS, write
from gan_jax.data.words import encode
from gan_jax.errors import UserError
from gan_jax.evaluation.captions import caption_accuracy

NAMES = ('attribute_accuracy', 'relation_accuracy', 'unseen_attribute_accuracy', 'unseen_relation_accuracy')


def examples(count, *, unseen):
    rng = np.random.default_rng(int(unseen))
    scenes = shapes.draw(count, rng, unseen=unseen)
    captions = np.stack([encode(write(scenes, i, rng), WORDS, LENGTH) for i in range(count)])
    return shapes.paint(scenes, 32), captions, scenes


def test_true_images_are_right_in_all_and_grey_ones_in_nothing():
    parts = [examples(20, unseen=unseen)[:2] for unseen in (False, True)]
    images, captions = map(np.concatenate, zip(*parts, strict=True))
    found = caption_accuracy(images, captions, WORDS)
    assert {name: estimate.value for name, estimate in found.items()} == dict.fromkeys(NAMES, 1.0)
    assert '20 captions of new pairs' in found['unseen_relation_accuracy'].rule
    found = caption_accuracy(np.full_like(images, 100), captions, WORDS)
    assert [found[name].value for name in NAMES] == [0.0] * 4


def test_each_kind_of_mistake_counts_for_what_it_is():
    _, captions, scenes = examples(20, unseen=False)
    mirrored = shapes.paint(scenes._replace(place=1 - scenes.place), 32)
    found = caption_accuracy(mirrored, captions, WORDS)
    assert [found[name].value for name in NAMES[:2]] == [1.0, 0.0]
    others = shapes.paint(scenes._replace(shape=(scenes.shape + 1) % len(shapes.SHAPES)), 32)
    found = caption_accuracy(others, captions, WORDS)
    assert [found[name].value for name in NAMES[:2]] == [0.0, 1.0]
    assert np.isnan(found['unseen_attribute_accuracy'].value)


def test_what_the_parser_cannot_read_is_refused():
    images, captions, scenes = examples(2, unseen=False)
    with pytest.raises(UserError, match='reads colour images of 32x32 or more pixels'):
        caption_accuracy(shapes.paint(scenes, 16), captions, WORDS)
    with pytest.raises(UserError, match="'circle a' is not a caption of captioned_shapes"):
        caption_accuracy(images[:1], encode('circle a', WORDS, LENGTH)[None], WORDS)
