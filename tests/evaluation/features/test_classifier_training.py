"""Training on the embedded digits: it learns, it can be repeated, and it says what it cannot do."""

import dataclasses

import numpy as np
import pytest

from gan_jax import data
from gan_jax.errors import MissingSplitError, UserError
from gan_jax.evaluation.features import classifier_training
from gan_jax.evaluation.features.classifier import load_classifier, weights_hash
from gan_jax.evaluation.features.classifier_training import Recipe, accuracy, find_recipe, fit, train_classifier
from tools import train_classifier as command

TINY = Recipe(widths=(8, 16), epochs=8, batch_size=50, flip=True)


@pytest.fixture(scope='module')
def digits():
    return [data.load('digits', split=split, show_progress=False) for split in ('train', 'test')]


@pytest.fixture(scope='module')
def training(digits):
    """A classifier and what was reported of its epochs."""
    reports = []
    trained = train_classifier(*digits, recipe=TINY, seed=3, report=lambda *values: reports.append(values))
    return trained, reports


def test_it_learns_the_digits(training, digits):
    trained, reports = training
    assert [epoch for epoch, _, _ in reports] == list(range(1, 9))
    assert reports[-1][1] < 0.6 * reports[0][1]
    assert reports[-1][2] > 0.8 > reports[0][2]
    assert trained.accuracy > 0.7  # chance is 0.1
    assert trained.tested_on == '297 images of digits test'
    assert (trained.data, trained.shape) == ('digits', (8, 8, 1))
    assert trained.training == {**TINY._asdict(), 'seed': 3, 'images': 1500, 'fingerprint': digits[0].fingerprint}


def test_the_accuracy_is_the_share_of_right_answers(training, digits):
    network, variables = training[0].network, training[0].variables
    test = digits[1]
    assert accuracy(network, variables, test.examples, test.labels) == training[0].accuracy
    answers = np.asarray(classifier_training._predict(network, variables, test.examples))
    assert training[0].accuracy == (answers == test.labels).mean()
    wrong = np.where(np.arange(297) < 99, (answers + 1) % 10, answers)
    assert accuracy(network, variables, test.examples, wrong) == pytest.approx(2 / 3)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(training, digits):
    hashes = [weights_hash(train_classifier(*digits, recipe=TINY, seed=seed).variables) for seed in (3, 4)]
    assert hashes[0] == weights_hash(training[0].variables)
    assert hashes[1] != hashes[0]


def test_without_a_test_set_every_tenth_image_is_held_out(digits):
    train, test = digits
    examples = np.concatenate([train.examples, test.examples[:167]])  # 1,667 leave the 1,500 that are compiled for
    labels = np.concatenate([train.labels, test.labels[:167]])
    wrong = np.where(np.arange(1667) % 10 == 0, (labels + 1) % 10, labels)
    trained = train_classifier(dataclasses.replace(train, examples=examples, labels=wrong), recipe=TINY)
    assert trained.tested_on == '167 held-out images of digits train'
    assert trained.training['images'] == 1500
    network, variables = trained.network, trained.variables
    assert accuracy(network, variables, examples[::10], wrong[::10]) == trained.accuracy < 0.3
    assert accuracy(network, variables, examples[::10], labels[::10]) > 0.7


def test_the_command_trains_saves_and_says_what_came_of_it(training, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(classifier_training.RECIPES, 'digits', TINY)
    monkeypatch.setattr(command.parallel, 'enable_compilation_cache', lambda: None)
    assert command.main(['digits', '--seed', '3', '--output', str(tmp_path / 'digits.npz')]) == 0
    trained = load_classifier(tmp_path / 'digits.npz')
    name = weights_hash(training[0].variables)
    assert weights_hash(trained.variables) == name
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[1].startswith('epoch 1 of 8: loss ')
    assert lines[-1].startswith(
        f'{trained.accuracy:.2%} right of 297 images of digits test, weights {name}: {tmp_path}'
    )


def test_the_command_says_what_is_wrong_before_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.parallel, 'enable_compilation_cache', lambda: None)
    monkeypatch.setattr(command, 'train_classifier', lambda *_, **__: pytest.fail('it trains'))
    (tmp_path / 'file').write_text('')
    (tmp_path / 'directory.npz').mkdir()
    for arguments, sentence in (
        (['--split', 'night'], "'digits' has no split 'night'"),
        (['--output', 'digits'], '--output is digits: name a file *.npz'),
        (
            ['--output', f'{tmp_path}/directory.npz'],
            'directory.npz cannot be written, because it is not a regular file',
        ),
        (['--output', f'{tmp_path}/file/digits.npz'], 'file/digits.npz cannot be written ('),
    ):
        assert command.main(['digits', *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith('gan_jax: ')
        assert sentence in error


def test_the_command_holds_images_out_if_the_data_have_no_test_split(tmp_path, monkeypatch, capsys):
    load, seen = command.data.load, []

    def load_training_images(name, *, split, **options):
        if split == 'test':
            raise MissingSplitError('digits', 'test', ['train'])
        return load(name, split=split, **options)

    def see(train, test, **_):
        seen.append((train.split, test and test.split))
        raise UserError('Enough.')

    monkeypatch.setattr(command.parallel, 'enable_compilation_cache', lambda: None)
    monkeypatch.setattr(command.data, 'load', load_training_images)
    monkeypatch.setattr(command, 'train_classifier', see)
    command.main(['digits', '--output', str(tmp_path / 'digits.npz')])
    assert seen == [('train', None)]
    assert command.main(['digits', '--test_split', 'test', '--output', str(tmp_path / 'digits.npz')]) == 2
    assert "has no split 'test'" in capsys.readouterr().err


def test_the_recipe_for_a_gpu_is_wider_and_cuts_out_only_where_it_flips():
    assert find_recipe('flowers') == Recipe()
    assert find_recipe('mnist', full=True)._replace(epochs=0) == Recipe((64, 128, 256), 2, 1, epochs=0, batch_size=256)
    assert find_recipe('cifar10', full=True).policy == ('translation', 'cutout')


def test_data_that_cannot_be_classified_are_refused(digits):
    train = digits[0]
    unlabelled = dataclasses.replace(train, labels=None, num_classes=None)
    with pytest.raises(UserError, match=r"'digits' \(train\) has no labels: a classifier needs data with classes"):
        train_classifier(unlabelled, recipe=TINY)
    images, labels = train.examples, train.labels
    for arrays, sentence in (
        (
            (images.astype(np.float32), labels),
            r'on uint8 images \[n, H, W, C\], not on float32 of shape \[1500, 8, 8, 1\]',
        ),
        ((images[..., 0], labels), r'not on uint8 of shape \[1500, 8, 8\]'),
        ((images, labels[:7]), r'1500 images need one whole number each as label, not int32 of shape \[7\]'),
        ((images, labels.astype(np.float32)), 'one whole number each as label, not float32'),
        ((images, labels - 1), r'Labels must be in \[0, 10\), but these are from -1 to 8: remove'),
        ((images, labels + 1), 'these are from 1 to 10'),
    ):
        with pytest.raises(UserError, match=sentence):
            fit(*arrays, 10, recipe=TINY)
    with pytest.raises(UserError, match=r'A recipe is .* at least one epoch'):
        fit(images, labels, 10, recipe=TINY._replace(epochs=0))
