"""Few labels."""

import pathlib

import numpy as np
import pytest

from gan_jax import config
from gan_jax.data import Dataset
from gan_jax.data.few_labels import with_few_labels
from gan_jax.errors import UserError
from gan_jax.training import run

ROOT = pathlib.Path(__file__).parents[2]


def test_some_of_each_class_are_labelled_and_all_are_there_without(load_quietly):
    digits, few = load_quietly('digits'), load_quietly('digits', labels_per_class=4)
    assert few.examples is not few.groups['labelled'].examples
    np.testing.assert_array_equal(few.examples, digits.examples)
    assert (few.labels, few.num_classes, few.class_names) == (None, None, None)
    labelled = few.groups['labelled']
    np.testing.assert_array_equal(np.bincount(labelled.labels), [4] * 10)
    assert (labelled.num_classes, labelled.class_names) == (10, digits.class_names)
    assert labelled.name == 'digits, 4 labels a class'
    known = {image.tobytes(): label for image, label in zip(digits.examples, digits.labels, strict=True)}
    assert [known[image.tobytes()] for image in labelled.examples] == labelled.labels.tolist()
    assert len({image.tobytes() for image in labelled.examples}) == 40
    assert few.shapes == {'real': (8, 8, 1), 'labelled': (8, 8, 1)}
    assert few.label_sets == {'labelled': tuple(map(str, range(10)))}


def test_the_seed_decides_which_ones(load_quietly):
    first, again, other = (load_quietly('digits', labels_per_class=4, label_seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.groups['labelled'].examples, again.groups['labelled'].examples)
    assert first.fingerprint == again.fingerprint
    assert not np.array_equal(first.groups['labelled'].examples, other.groups['labelled'].examples)
    fingerprints = [load_quietly('digits', labels_per_class=5), load_quietly('digits'), first, other]
    assert len({data.fingerprint for data in fingerprints}) == 4


def test_every_example_of_a_class_is_equally_likely():
    data = Dataset('some', 'train', np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10) % 2, 2, 'f')
    draws = [with_few_labels(data, 2, seed).groups['labelled'].examples.ravel() for seed in range(1000)]
    # Each of the five of a class is drawn with probability 2/5: 400 times of 1,000, with a deviation of 15.5.
    assert (abs(np.bincount(np.ravel(draws)) - 400) < 4 * 15.5).all()


def test_those_without_a_class_are_never_labelled():
    labels = np.array([-1, 0, -1, 1, 1])
    data = Dataset('some', 'train', np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1), labels, 2, 'f', ('x', 'y'))
    few = with_few_labels(data, 1, 3)
    assert few.groups['labelled'].labels.tolist() == [0, 1]
    assert len(few) == 5
    with pytest.raises(UserError, match=r"^the class 'x' of 'some' has 1 labelled examples, fewer than .*=2: lower it"):
        with_few_labels(data, 2, 3)


def test_sentences(load_quietly, folder):
    with pytest.raises(
        UserError, match=r"^the class '\d' of 'digits' has \d+ labelled examples, fewer than data.labels"
    ):
        load_quietly('digits', labels_per_class=200)
    with pytest.raises(UserError, match=r'^.* has no labels, but data\.labels_per_class=1 needs some: unset it'):
        load_quietly(f'folder:{folder}/b', labels_per_class=1)
    for number in (0, -1):
        with pytest.raises(UserError, match=rf'^data\.labels_per_class is {number}; it must be at least 1'):
            load_quietly('digits', labels_per_class=number)


def test_a_config_asks_for_them_in_training_and_not_in_another_split(load_quietly, monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    options = config.load(f'{ROOT}/configs/mlp.py:digits', ['data.labels_per_class=3', 'data.label_seed=5']).data
    few, test = run.load_data(options), run.load_data(options, 'test')
    assert few.labels is None
    assert len(few.groups['labelled']) == 30
    assert few.fingerprint == load_quietly('digits', labels_per_class=3, label_seed=5).fingerprint
    assert len(test.labels) == len(test) == 297
