"""Metrics of clips: what they compare, by hand, and what their classifiers recognise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data.dataset import Dataset
from gan_jax.data.motions import CLASSES, COLORS, _content, clip
from gan_jax.errors import UserError
from gan_jax.evaluation import clips as metrics
from gan_jax.evaluation.class_entropy import mean_entropy
from gan_jax.evaluation.clips import RECIPES, ClipNetwork, agreement, clip_metrics
from gan_jax.evaluation.evidence import Evidence
from gan_jax.evaluation.features.classifier import ClassifierNetwork
from gan_jax.evaluation.of_runs import clips_of


def moving(count, first=0, size=16):
    """The first clips of a seed, with their motions and contents."""
    labels = np.arange(count) % len(CLASSES)
    examples = np.stack([clip(label, size, np.random.default_rng(first + i))[0] for i, label in enumerate(labels)])
    shapes, colors = np.array([_content(np.random.default_rng(first + i)) for i in range(count)]).T
    contents = shapes * len(COLORS) + colors
    return Dataset('few motions', 'train', examples, labels, len(CLASSES), 'f', CLASSES, contents=contents)


def test_agreement_is_the_share_of_the_most_frequent_content():
    np.testing.assert_allclose(agreement(np.array([[2, 2, 2, 2], [0, 1, 1, 3], [3, 0, 2, 1]])), [1, 2 / 4, 1 / 4])


@pytest.fixture
def untrained(monkeypatch):
    """Networks with their first weights in the place of classifiers."""

    def classifiers(known, recipes):
        networks = {'clips': ClipNetwork(3, (4, 4)), 'frames': ClassifierNetwork(18, (4, 4))}
        shapes = {'clips': known.examples.shape[1:], 'frames': known.examples.shape[2:]}
        return {
            name: (network, jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, *shapes[name]))))
            for name, network in networks.items()
            if name == 'clips' or known.contents is not None
        }

    monkeypatch.setattr(metrics, '_classifiers', classifiers)


def test_each_value_sees_what_it_should(untrained):
    known = moving(12)
    real, labels = known.examples, known.labels
    same = clip_metrics(real, real, known, real_motions=labels, fake_motions=labels)
    turned = clip_metrics(real, real[:, ::-1], known)
    for name in ('clip_distance', 'frame_fid'):
        assert same[name].value == pytest.approx(0, abs=1e-6)
    for name in ('motion_entropy', 'content_entropy', 'content_agreement', 'motion_accuracy'):
        assert same[name].rule.endswith(f'the real clips have {same[name].value:.4g}')
    assert 'motion_accuracy' not in turned  # no motions were asked for
    assert turned['frame_fid'].value == pytest.approx(0, abs=1e-6)  # the same frames in another order
    assert turned['clip_distance'].value > 1e-4
    assert turned['content_agreement'].value == pytest.approx(same['content_agreement'].value)
    assert "gan_jax's own classifier of clips" in same['clip_distance'].rule
    assert "gan_jax's own classifier of frames" in same['frame_fid'].rule
    without_contents = clip_metrics(real, real[:, ::-1], dataclasses.replace(known, contents=None))
    assert list(without_contents) == ['motion_entropy', 'clip_distance']
    assert without_contents['clip_distance'] == turned['clip_distance']


def test_errors_are_those_of_clips_and_of_shares(untrained):
    known = moving(12)
    still = known.examples[:, :1].repeat(16, 1)
    frames, motions = (
        metrics._look_at(*metrics._classifiers(known, RECIPES)[kind], seen).logits
        for kind, seen in (('frames', still[:, 0]), ('clips', still))
    )
    right = {'real_motions': known.labels, 'fake_motions': motions.argmax(-1)}
    found = clip_metrics(known.examples, still, known, **right)
    assert found['content_entropy'][:2] == pytest.approx(mean_entropy(frames)[:2], rel=1e-5)
    assert found['motion_accuracy'][:2] == (1, None)


@pytest.mark.slow  # 30 s of training
def test_motions_and_contents_are_recognised():
    known, others = moving(600, size=32), moving(60, first=600, size=32)
    recipes = RECIPES._replace(
        clips=RECIPES.clips._replace(epochs=4), frames=RECIPES.frames._replace(epochs=16, batch_size=32)
    )
    found = clip_metrics(
        known.examples[:60], others.examples, known, real_motions=known.labels[:60], fake_motions=others.labels,
        recipes=recipes,
    )  # fmt: skip
    assert found['motion_accuracy'].value > 0.9
    assert found['content_agreement'].value > 0.9
    every_second = np.arange(16)[:, None, None, None] % 2
    mixed = np.where(every_second, others.examples, np.roll(others.examples, 1, axis=0))
    assert clip_metrics(known.examples[:60], mixed, known, recipes=recipes)['content_agreement'].value < 0.7


def test_classes_that_are_contents_are_no_motions(monkeypatch):
    known = moving(12)
    images = dataclasses.replace(known, labels=known.contents, num_classes=18)
    made = []
    monkeypatch.setattr(metrics, 'train', lambda *_, **__: made.append('clips'))
    monkeypatch.setattr(metrics, 'fit', lambda *_, **__: made.append('frames'))
    assert list(metrics._classifiers(images, RECIPES)) == ['frames']
    assert list(metrics._classifiers(dataclasses.replace(known, contents=None), RECIPES)) == ['clips']
    assert made == ['frames', 'clips']


def test_classifiers_learn_from_a_part_of_many_clips(monkeypatch):
    known, seen = moving(12), {}
    monkeypatch.setattr(metrics, '_MOST', 5)
    monkeypatch.setattr(metrics, 'train', lambda _, clips, labels, **__: seen.update(clips=(clips, labels)))
    monkeypatch.setattr(metrics, 'fit', lambda frames, contents, *_, **__: seen.update(frames=(frames, contents)))
    metrics._classifiers(known, RECIPES._replace(clips=RECIPES.clips._replace(epochs=9)))
    np.testing.assert_array_equal(seen['clips'][0], known.examples[::3])
    np.testing.assert_array_equal(seen['clips'][1], known.labels[::3])
    np.testing.assert_array_equal(seen['frames'][0][:4], known.examples[[0, 3, 6, 9], [0, 1, 2, 3]])
    np.testing.assert_array_equal(seen['frames'][1], np.tile(known.contents[::3], 2))


def test_without_motions_the_frames_are_compared(monkeypatch, untrained):
    both = metrics._classifiers
    monkeypatch.setattr(metrics, '_classifiers', lambda *about: {'frames': both(*about)['frames']})
    known = moving(12)
    found = clip_metrics(known.examples, known.examples, known, real_motions=known.labels, fake_motions=known.labels)
    assert list(found) == ['content_entropy', 'content_agreement', 'frame_fid']


def test_what_is_not_known_gets_a_sentence():
    known = moving(3)
    bare = Dataset('bare', 'train', known.examples, None, None, 'f')
    with pytest.raises(UserError, match="motions as classes or with known contents, and 'bare' has neither"):
        clip_metrics(known.examples, known.examples, bare)
    with pytest.raises(UserError, match='clips needs samples of a run'):
        clips_of(Evidence(None, None, None))
