"""Classes that are left out."""

import numpy as np
import pytest

from gan_jax import config
from gan_jax.data import Dataset
from gan_jax.data.left_out import without_classes
from gan_jax.errors import UserError
from gan_jax.training.datasets import load_data


def of(labels, names=None):
    examples = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Dataset('some', 'train', examples, np.asarray(labels), 3, 'f', names)


def test_all_other_examples_stay_with_their_numbers_of_classes():
    whole = of([0, 2, -1, 1, 2, 0], ('x', 'y', 'z'))
    found = without_classes(whole, 'x,1')
    assert found.labels.tolist() == [2, -1, 2]
    assert found.examples.ravel().tolist() == [1, 2, 4]
    assert (found.name, found.num_classes, found.class_names) == ('some', 3, ('x', 'y', 'z'))
    fingerprints = {data.fingerprint for data in (whole, found, without_classes(whole, '0'))}
    assert len(fingerprints) == 3


def test_a_config_leaves_them_out_in_training_and_not_in_another_split(load_quietly):
    options = config.load('mlp:digits', ['data.left_out=3,8']).data
    train, test = load_data(options), load_data(options, 'test')
    assert sorted(set(train.labels)) == [0, 1, 2, 4, 5, 6, 7, 9]
    assert len(set(test.labels)) == 10
    assert len(load_data(options, 'train')) == 1500
    both = load_quietly('digits', left_out='3,8')
    assert (both.fingerprint, len(both)) == (train.fingerprint, len(train))


def test_sentences():
    with pytest.raises(UserError, match=r"^data\.left_out=0,1,2 leaves no example of 'some'"):
        without_classes(of([0, 1, 2]), '0,1,2')
    with pytest.raises(UserError, match=r'^There is no class 3: classes are numbered from 0 to 2'):
        without_classes(of([0, 1, 2]), '3')
    with pytest.raises(UserError, match=r'^data\.left_out=, names no class: write data\.left_out=3,8, or unset it'):
        without_classes(of([0, 1, 2]), ',')
    unlabelled = Dataset('some', 'train', np.zeros((2, 1, 1, 1), np.uint8), None, None, 'f')
    with pytest.raises(UserError, match=r"^'some' has no classes to leave out: unset data\.left_out"):
        without_classes(unlabelled, '0')
