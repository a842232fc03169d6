"""Labels of two sets in one numbering."""

import numpy as np

from gan_jax.evaluation.labels import match, renumber


def test_equal_names_get_equal_numbers():
    matched = match(np.array([0, 1, 2, 2]), ('a', 'b', 'c'), np.array([0, 1, 2, -1]), ('c', 'd', 'a'))
    assert matched.names == ('a', 'b', 'c', 'd')
    np.testing.assert_array_equal(matched.real, [0, 1, 2, 2])
    np.testing.assert_array_equal(matched.fake, [2, 3, 0, -1])
    assert matched.rule == 'classes matched by name'


def test_without_names_on_both_sides_numbers_stay():
    labels = np.array([0, 2, -1])
    for names in ((None, None), (('a', 'b', 'c'), None), (None, ('c', 'b', 'a'))):
        matched = match(labels, names[0], labels, names[1])
        np.testing.assert_array_equal(matched.fake, labels)
        assert (matched.names, matched.rule) == (None, 'classes matched by number')


def test_labels_of_some_classes_among_more():
    np.testing.assert_array_equal(renumber(np.array([1, 0, 1]), ('b', 'a'), ('a', 'x', 'b')), [0, 2, 0])
