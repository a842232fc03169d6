"""Captioned shapes: captions that tell the truth, pairs held out, and a parser that sees what was painted."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import captioned_shapes, shapes
from gan_jax.data.captioned_shapes import WORDS, Meaning, Thing, read, write
from gan_jax.data.words import decode, encode
from gan_jax.errors import UserError


@pytest.mark.parametrize(('size', 'unseen'), [(32, False), (32, True), (48, False)])
def test_the_parser_sees_in_a_picture_what_it_was_painted_from(size, unseen):
    scenes = shapes.draw(400, np.random.default_rng(size), unseen=unseen)
    found, rows = shapes.find(shapes.paint(scenes, size)), np.arange(400)[:, None]
    assert (found.there.sum(1) == 2).all()
    assert found.there[rows, scenes.color].all()
    np.testing.assert_array_equal(found.shape[rows, scenes.color], scenes.shape)
    np.testing.assert_array_equal(found.size[rows, scenes.color], scenes.size)
    places = found.place[rows, scenes.color]
    np.testing.assert_array_equal([shapes.relation(*pair) for pair in places], scenes.relation)


def test_the_parser_sees_nothing_in_grey_and_no_shape_in_a_stripe():
    images = np.random.default_rng(0).integers(256, size=(2, 32, 32, 1), dtype=np.uint8).repeat(3, axis=-1)
    assert not shapes.find(images).there.any()
    images[:, 15:17] = (255, 0, 0)
    found = shapes.find(images)
    assert found.there[:, 0].all()
    assert (found.shape[:, 0] == -1).all()


@pytest.mark.parametrize('shape', range(len(shapes.SHAPES)))
def test_coverage_has_the_area_and_centroid_that_the_parser_assumes(shape):
    cover = shapes.coverage(np.array([shape]), np.array([[0.5, 0.5]]), np.array([0.4]), 400)[0]
    assert cover.mean() == pytest.approx(shapes._AREAS[shape] * 0.16, rel=1e-3)
    ticks = (np.arange(400) + 0.5) / 400
    assert (cover.mean(1) * ticks).mean() / cover.mean() == pytest.approx(
        0.5 + 0.4 * shapes._CENTROIDS[shape], abs=1e-3
    )


def test_every_paraphrase_means_the_scene():
    rng = np.random.default_rng(3)
    scenes = shapes.draw(50, rng)
    for index in range(50):
        first, second = (
            Thing(*(int(getattr(scenes, name)[index, i]) for name in ('size', 'color', 'shape'))) for i in range(2)
        )
        relation = int(scenes.relation[index])
        for _ in range(12):
            said = read(write(scenes, index, rng))
            things = said.subject, said.other
            if said.subject.color != first.color:
                things, said = things[::-1], said._replace(relation=said.relation ^ 1)
            assert said.relation == relation
            for thing, truth in zip(things, (first, second), strict=True):
                assert thing[1:] == truth[1:]
                assert thing.size in (None, truth.size)


def test_captions_of_the_grammar_are_read():
    red, blue = Thing(None, 0, 0), Thing(0, 4, 1)
    assert read('a red circle above a small blue square') == Meaning(red, 2, blue)
    assert read('a small blue square with a red circle to the left of it') == Meaning(red, 0, blue)
    assert not Meaning(red, 2, blue).is_unseen
    assert read('a red triangle under a blue square').is_unseen
    with pytest.raises(UserError, match="'a red circle' is not a caption of captioned_shapes, such as"):
        read('a red circle')


def test_the_test_split_alternates_known_and_new_pairs(monkeypatch):
    monkeypatch.setattr(captioned_shapes, 'NUM_EXAMPLES', {'train': 300, 'test': 100})
    captioned_shapes._made.cache_clear()
    train, test = (data.load('captioned_shapes', split=split, size=16) for split in ('train', 'test'))
    captioned_shapes._made.cache_clear()
    assert train.has_captions
    assert not train.has_maps
    assert (len(train), train.shapes) == (300, {'real': (16, 16, 3), 'input': (14,)})
    assert (train.class_names, train.num_classes, len(set(WORDS))) == (WORDS, len(WORDS), 25)
    unseen = [[read(decode(ids, WORDS)).is_unseen for ids in part.inputs] for part in (train, test)]
    assert not any(unseen[0])
    assert unseen[1] == [False, True] * 50
    assert train.fingerprint != test.fingerprint


@pytest.mark.parametrize(
    ('caption', 'message'),
    [
        ('a red cirle above it', "has the unknown word 'cirle'; the nearest known one is 'circle'"),
        (' . ', 'is empty: write a few words'),
        ('a ' * 15, 'has 15 words, but at most 14 are read: shorten it'),
    ],
)
def test_a_caption_that_cannot_be_read_gets_a_sentence(caption, message):
    with pytest.raises(UserError, match=message):
        encode(caption, WORDS, 14)


def test_words_are_numbered_whatever_their_case():
    numbers = encode('A red Circle, above a blue square.', WORDS, 14)
    assert decode(numbers, WORDS) == 'a red circle above a blue square'
    assert (numbers[7:] == 0).all()


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('captioned_shapes', {'size': 8}, 'needs 16 or more pixels'),
        ('captioned_shapes', {'split': 'val'}, 'has no split'),
        ('captioned_shapes', {'channels': 1}, 'its own number of channels'),
    ],
)
def test_what_is_impossible_gets_a_sentence(name, options, message):
    with pytest.raises(UserError, match=message):
        data.load(name, **options)
