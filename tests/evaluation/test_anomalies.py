"""The area under the ROC curve against its definition, and the anomaly scores of a game by hand."""

import types

import numpy as np
import pytest

from gan_jax.anomaly import Anomaly
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.anomalies import anomaly_aurocs, auroc
from gan_jax.evaluation.evidence import Evidence
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.evaluation.of_runs import auroc_of
from gan_jax.game import Game, Player


def by_pairs(scores, positive):
    """The area and DeLong's error from all pairs: 1 where the positive is above, and half for ties."""
    above, below = scores[positive], scores[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    return wins.mean(), (wins.mean(1).var(ddof=1) / len(above) + wins.mean(0).var(ddof=1) / len(below)) ** 0.5


def test_the_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.3
    scores = rng.integers(0, 9, 60) + 2.0 * positive  # with many ties
    found, (area, error) = auroc(scores, positive), by_pairs(scores, positive)
    assert found.value == pytest.approx(area)
    assert found.error == pytest.approx(error)
    assert auroc(-scores, positive).value == pytest.approx(1 - area)


def test_the_area_of_scores_in_order_is_1_and_that_of_equal_scores_a_half():
    positive = np.array([False, True, False, True])
    assert auroc(np.array([0.0, 2, 1, 3]), positive)[:2] == (1.0, 0.0)
    assert auroc(np.zeros(4), positive).value == 0.5
    assert auroc(np.array([1.0, 0]), np.array([True, False]))[:2] == (1.0, None)


def score(networks, images):
    """The image part is the first pixel and the score the second, times the encoder's parameter."""
    first, second = images[:, 0, 0, 0], images[:, 0, 1, 0]
    return Anomaly(images, first, second, second * networks['encoder'][0])


GAME = Game(None, (), None, None, score=score)
PLAYERS = {'encoder': Player(np.float32(1), {}, None, (np.float32(-1), {}))}  # averaged weights are used


def images(*rows):
    return np.asarray(rows, np.uint8).reshape(-1, 1, 2, 1)


def test_images_of_classes_that_are_not_known_are_the_anomalies():
    tested, labels = images((0, 50), (90, 90), (200, 10), (100, 120)), np.array([0, 1, 2, 2])
    known, of_known = images((0, 50), (90, 80)), np.array([0, 1])
    found = anomaly_aurocs(GAME, PLAYERS, tested, labels, known, of_known)
    # Of the four pairs of an anomaly (the last two) and another image, in order: second pixels by -1, first pixels,
    # and distances of 0, 10, about 130 and 41.
    assert {name: estimate.value for name, estimate in found.items()} == {
        'auroc': 0.5,
        'auroc_image': 1.0,
        'auroc_neighbour': 1.0,
    }
    assert found['auroc_neighbour'].rule == (
        'distance of the nearest of 2 images in pixels, 2 images of unknown classes against 2'
    )


def test_classes_of_other_data_are_known_by_their_names():
    """Training saw only good images; the tested ones come in two classes, of which good ones are the second."""
    tested = images((0, 50), (200, 10), (250, 20)), np.array([1, 0, 0], np.int32)
    known = Dataset('good', 'train', images((0, 40)), np.array([0], np.int32), 1, 'f', ('good',))
    of_player = dict.fromkeys(('generator', 'discriminator', 'encoder'), PLAYERS['encoder'])
    samples = GeneratorSamples(GAME, number=0, seed=0, conditions=None, name='a test', known=known, **of_player)
    real = types.SimpleNamespace(array=dict(zip(('images', 'labels'), tested, strict=True)).get)
    found = auroc_of(Evidence(real, None, None, samples, real_names=('broken', 'good')))
    assert {name: estimate.value for name, estimate in found.items()} == dict.fromkeys(found, 1.0)
    assert found['auroc'].rule.endswith(', 2 images of unknown classes against 1, classes matched by name')


def test_sentences():
    tested, known = images((0, 0), (1, 1)), images((0, 0))
    for labels, sentence in (
        (np.array([0, -1]), 'auroc needs the class of every image, and some have none'),
        (np.array([0, 0]), 'needs images of known and of unknown classes, but all have known ones: leave classes out'),
        (np.array([1, 2]), 'needs images of known and of unknown classes, but all have unknown ones'),
    ):
        with pytest.raises(UserError, match=sentence):
            anomaly_aurocs(GAME, PLAYERS, tested, labels, known, np.array([0]))
    with pytest.raises(UserError, match='auroc needs the class of every image'):
        anomaly_aurocs(GAME, PLAYERS, tested, np.array([0, 1]), known, None)
