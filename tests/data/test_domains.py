"""Two unpaired domains."""

import numpy as np
import pytest

from gan_jax.data import Dataset, absolute_name, domains
from gan_jax.errors import UserError

NAMED = Dataset(
    'pets', 'train', np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), np.array([0, 1, 2, 0, 1, 2]), 4, 'f',
    ('Cat', 'cat', 'dog', 'owl'),
)  # fmt: skip


def test_two_classes_of_the_digits(load_quietly):
    digits, both = load_quietly('digits'), load_quietly('classes:digits:3:8')
    np.testing.assert_array_equal(both.examples, digits.examples[digits.labels == 8])
    np.testing.assert_array_equal(both.groups['a'].examples, digits.examples[digits.labels == 3])
    assert (both.name, both.split, both.groups['a'].name) == ('classes:digits:3:8', 'train', 'class 3 of digits')
    assert both.shapes == {'real': (8, 8, 1), 'a': (8, 8, 1)}
    assert both.label_sets == {}
    assert not both.examples.flags.writeable
    others = (load_quietly(name).fingerprint for name in ('digits', 'classes:digits:8:3', 'classes:digits:3:7'))
    assert len({both.fingerprint, both.groups['a'].fingerprint, *others}) == 5
    assert both.fingerprint == load_quietly('classes:digits:3:8').fingerprint


@pytest.mark.parametrize(('wanted', 'values'), [('cat', [1, 4]), ('Cat', [0, 3]), ('DOG', [2, 5]), ('2', [2, 5])])
def test_a_class_by_its_name_by_its_name_in_any_case_or_by_its_number(wanted, values):
    other = 'Cat' if values[0] else 'dog'
    both = domains.two_classes('two', NAMED, other, wanted)
    np.testing.assert_array_equal(both.examples.ravel(), values)


def test_classes_of_pairs_keep_their_inputs(folder, load_quietly):
    both = load_quietly(f'classes:grey:folder:{folder}:a:b')
    np.testing.assert_array_equal(both.inputs[:, 0, 0, 0], [38])
    np.testing.assert_array_equal(both.groups['a'].inputs[:, 0, 0, 0], [32, 35])
    assert set(both.shapes) == {'real', 'input', 'a', 'a_input'}


def test_two_data_sets(folder, load_quietly):
    colours, digits = load_quietly(f'folder:{folder}', size=8), load_quietly('digits')
    both = load_quietly(f'unpaired:digits,folder:{folder}', size=8)
    np.testing.assert_array_equal(both.examples, colours.examples)
    np.testing.assert_array_equal(both.groups['a'].examples, digits.examples)
    assert both.shapes == {'real': (8, 8, 3), 'a': (8, 8, 1)}
    assert both.label_sets == {'real': ('a', 'b'), 'a': tuple(map(str, range(10)))}
    assert both.fingerprint not in {colours.fingerprint, digits.fingerprint}


def test_names_from_every_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, absolute in [
        ('paired:x', f'paired:{tmp_path}/x'),
        ('edges:folder:x', f'edges:folder:{tmp_path}/x'),
        ('grey:stacked:folder:x', f'grey:stacked:folder:{tmp_path}/x'),
        ('classes:folder:x:a:b', f'classes:folder:{tmp_path}/x:a:b'),
        ('classes:mnist:3.0.1:3:8', 'classes:mnist:3.0.1:3:8'),
        ('unpaired:folder:x,edges:folder:y', f'unpaired:folder:{tmp_path}/x,edges:folder:{tmp_path}/y'),
        ('edges', 'edges'),
    ]:
        assert absolute_name(name) == absolute_name(absolute) == absolute


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('classes:digits:3', "'classes:digits:3' does not name two classes: write classes:NAME:A:B"),
        ('classes:digits:3:', "'classes:digits:3:' does not name two classes"),
        ('classes:digits:3:03', "'classes:digits:3:03' names the class '3' twice: name two different classes"),
        ('classes:digits:3:12', 'There is no class 12: classes are numbered from 0 to 9; the nearest is 9.'),
        ('classes:digits:3:apple', "There is no class 'apple'; the nearest name is"),
        ('unpaired:digits', "'unpaired:digits' does not name two data sets: write unpaired:A,B with exactly one comma"),
        ('unpaired:digits,digits,digits', "'unpaired:digits,digits,digits' does not name two data sets"),
        ('unpaired:ring,digits', "'ring' is a set of points, not of images"),
        (
            'unpaired:digits,classes:digits:3:8',
            "'classes:digits:3:8' already has two domains: use data sets of one domain.",
        ),
        ('classes:unpaired:digits,digits:3:8', "'unpaired:digits,digits' already has two domains: use"),
    ],
)
def test_sentences(load_quietly, name, sentence):
    with pytest.raises(UserError, match=f'^{sentence}'):
        load_quietly(name)


def test_sentences_of_sizes_and_labels(load_quietly, folder):
    with pytest.raises(
        UserError, match=r"^the images of 'digits' are 8x8 and those of 'folder:.*' 4x6: give both one size"
    ):
        load_quietly(f'unpaired:digits,folder:{folder}')
    with pytest.raises(UserError, match=r"^'folder:.*' has no classes, but 'classes:.*' needs two"):
        load_quietly(f'classes:folder:{folder}/b:0:1')
    with pytest.raises(UserError, match=r"^'pets' has no examples of the class 'owl' in its split 'train'"):
        domains.two_classes('two', NAMED, 'dog', 'owl')
