"""The score of generated images that say all, nothing, and the wrong thing about their class."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.errors import UserError
from gan_jax.evaluation.classification_accuracy import classification_accuracy_score
from gan_jax.evaluation.features.classifier_training import Recipe

TINY = Recipe(widths=(8, 16), epochs=8, batch_size=50, flip=True)


def _bars(labels, seed):
    """Images whose class is the brightness of their ten-step ladder, with a little noise."""
    noise = np.random.default_rng(seed).integers(-4, 5, (len(labels), 8, 8, 1))
    return (20 + 24 * labels[:, None, None, None] + noise).astype(np.uint8)


def test_generated_images_that_tell_their_class_score_one():
    labels = np.arange(1500) % 4
    fake, real = _bars(3 * labels, 0), _bars(3 * labels[:297], 1)
    estimate = classification_accuracy_score(fake, labels, real, labels[:297], 10, recipe=TINY, seed=5)
    assert estimate.value == 1.0
    assert estimate.error is None
    assert estimate.rule == (
        'classifier (widths (8, 16), blocks 1, stem_stride 2, epochs 8, batch_size 50, learning_rate 0.2, weight_decay '
        "0.0005, label_smoothing 0.1, flip True, policy ('translation',), seed 5) trained on 1500 generated images, "
        'tested on 297 real ones, binomial standard error'
    )


def test_shuffled_labels_score_about_chance_and_right_ones_far_above():
    train, test = (data.load('digits', split=split, show_progress=False) for split in ('train', 'test'))
    shuffled = np.random.default_rng(0).permutation(train.labels)
    right, wrong = (
        classification_accuracy_score(train.examples, labels, test.examples, test.labels, 10, recipe=TINY)
        for labels in (train.labels, shuffled)
    )
    assert right.value > 0.7
    assert wrong.value < 0.25
    assert wrong.error == pytest.approx(np.sqrt(wrong.value * (1 - wrong.value) / 297))


def test_images_of_two_shapes_are_refused():
    labels = np.arange(4)
    with pytest.raises(
        UserError, match=r'Generated images have shape \[8, 8, 1\] and real ones \[9, 8, 1\]: convert them'
    ):
        classification_accuracy_score(
            np.zeros((4, 8, 8, 1), np.uint8), labels, np.zeros((4, 9, 8, 1), np.uint8), labels, 10
        )
