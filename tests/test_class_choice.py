"""Classes by number and name."""

import types

import pytest
import tensorflow_datasets as tfds
from ml_collections import ConfigDict
from PIL import Image

from gan_jax import class_choice
from gan_jax.class_choice import choose_classes, class_names
from gan_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ('cats', 'Big dogs', 'empty'):
        (tmp_path / name).mkdir()
    for name in ('cats/a.png', 'cats/b.png', 'Big dogs/c.png'):
        Image.new('L', (4, 4)).save(tmp_path / name)
    return ConfigDict({'name': f'folder:{tmp_path}', 'split': 'train', 'directory': None})


def test_numbers_need_no_data():
    assert choose_classes(['3', 0, '9'], 10, ConfigDict({'name': 'nowhere'})) == (3, 0, 9)


def test_names_are_those_of_the_data_in_any_case(folder):
    assert class_names(folder) == ['Big dogs', 'cats']
    assert choose_classes(['Cats', '0', 'big dogs'], 2, folder) == (1, 0, 0)


def test_names_are_those_that_tfds_gives_to_the_labels(monkeypatch):
    features = tfds.features.FeaturesDict(
        {
            'coarse': tfds.features.ClassLabel(names=['animal']),
            'image': tfds.features.Image(shape=(4, 4, 1)),
            'label': tfds.features.ClassLabel(names=['cat', 'dog']),
        }
    )
    info = types.SimpleNamespace(features=features, supervised_keys=('image', 'label'))
    monkeypatch.setattr(class_choice, 'find_builder', lambda name, directory: types.SimpleNamespace(info=info))
    assert choose_classes(['dog'], 2, ConfigDict({'name': 'pets', 'directory': None})) == (1,)


@pytest.mark.parametrize(
    ('wanted', 'sentence'),
    [
        (['10'], r'There is no class 10: they go from 0 to 9, and 9 is the nearest\.'),
        (['-1'], r'There is no class -1: they go from 0 to 9, and 0 is the nearest\.'),
        ([], r'No class is named: write --classes 3,5'),
    ],
)
def test_an_unknown_number_is_told_the_nearest(wanted, sentence):
    with pytest.raises(UserError, match=sentence):
        choose_classes(wanted, 10, ConfigDict({'name': 'nowhere'}))


def test_an_unknown_name_is_told_the_nearest(folder):
    with pytest.raises(UserError, match=r"There is no class 'dog' in folder:.*: the nearest is 'Big dogs'\."):
        choose_classes(['dog'], 2, folder)


@pytest.mark.parametrize('name', ['digits', 'ring', 'stacked:mnist'])
def test_data_whose_classes_have_no_names(name):
    with pytest.raises(UserError, match=f'The classes of {name} have no names: give their numbers.'):
        choose_classes(['three'], 10, ConfigDict({'name': name}))
