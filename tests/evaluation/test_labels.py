"""Labels of two sets in one numbering, and drawn for samples."""

import numpy as np

from gan_jax.data import Dataset
from gan_jax.evaluation.labels import draw_conditions, match, renumber


def of_classes(labels, names):
    return Dataset('d', 'train', np.zeros((len(labels), 1, 1, 1)), np.array(labels), max(labels) + 1, '', names)


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


def test_samples_have_the_classes_of_the_real_images_by_name():
    def conditions(labels, names, class_names):
        return draw_conditions(of_classes(labels, names), 12, 0, 3, class_names)

    assert set(conditions([0, 0, 0], ('c',), ('a', 'b', 'c'))['conditions']) == {2}
    assert set(conditions([0, 1, 1], ('b', 'a'), ('a', 'b', 'c'))['conditions']) == {0, 1}
    assert set(conditions([1, 2, 2], None, ('a', 'b', 'c'))['conditions']) == {1, 2}
    for strangers in (conditions([0, 1, 1], ('a', 'x'), ('a', 'b', 'c')), conditions([0, 1, 1], None, None)):
        assert strangers['labels'] == 'all equally often'
        np.testing.assert_array_equal(strangers['conditions'], np.arange(12) % 3)


def test_samples_have_classes_as_often_as_the_real_images():
    drawn = draw_conditions(of_classes([0, 0, 0, 1], None), 4000, 0, 2, None)['conditions']
    assert abs(drawn.mean() - 0.25) < 0.03
    np.testing.assert_array_equal(
        drawn, draw_conditions(of_classes([0, 0, 0, 1], None), 4000, 0, 2, None)['conditions']
    )
