"""How well texts and images match, against loops, and at its bounds."""

import numpy as np
import pytest

from gan_jax.matching import matching_loss, similarities, word_similarities

RNG = np.random.default_rng(0)
REGIONS, WORDS = RNG.normal(size=(3, 4, 5)), RNG.normal(size=(2, 6, 5))
LENGTHS = (6, 3)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def by_loops(regions, words, within=5.0, over=5.0):
    """Equations 7 to 10 for one image and one text."""
    scores = words @ regions.T
    normalized = np.stack([softmax(column) for column in scores.T], axis=1)
    total = 0.0
    for word, row in zip(words, normalized, strict=True):
        context = softmax(within * row) @ regions
        total += np.exp(over * cosine(context, word))
    return np.log(total) / over


def test_words_and_regions_match_as_in_the_paper_whatever_follows_the_end():
    is_word = np.arange(6) < np.array(LENGTHS)[:, None]
    found = word_similarities(REGIONS, WORDS, is_word)
    by_hand = [
        [by_loops(regions, words[:length]) for words, length in zip(WORDS, LENGTHS, strict=True)] for regions in REGIONS
    ]
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_wholes_are_compared_by_their_angle():
    images, texts = RNG.normal(size=(2, 5)), RNG.normal(size=(3, 5))
    by_hand = [[cosine(image, text) for text in texts] for image in images]
    np.testing.assert_allclose(similarities(images, 7 * texts), by_hand, rtol=1e-5)


def test_the_loss_is_the_improbability_of_the_own_partner_both_ways():
    assert matching_loss(np.zeros((4, 4))) == pytest.approx(2 * np.log(4), rel=1e-6)
    assert matching_loss(10 * np.eye(4)) == pytest.approx(0, abs=1e-6)
    alike = RNG.normal(size=(3, 3))
    probabilities = [softmax(2 * row)[i] for rows in (alike, alike.T) for i, row in enumerate(rows)]
    assert matching_loss(alike, scale=2.0) == pytest.approx(-np.log(probabilities).sum() / 3, rel=1e-5)
