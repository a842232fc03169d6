"""The experiment on generated training images: equal numbers for all arms, and a toy run that was stopped."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.augmentation import __main__ as experiment
from experiments.augmentation.__main__ import BOTH, CEILING, GENERATED, REAL, SETTINGS, Setting, training_sets
from gan_jax import build, data
from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier_training import Recipe

TOY = {
    'data.name': 'digits',
    'batch_size': '10',
    'duration': '2 steps',
    'log_every': '2 steps',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'generator.conditioning': 'concatenate',
    'discriminator.conditioning': 'concatenate',
    'discriminator.joint_width': '8',
}


def test_every_arm_has_as_many_images_and_few_are_repeated_evenly():
    few = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), np.arange(6)
    made = np.arange(100, 120, dtype=np.uint8).reshape(20, 1, 1, 1), np.arange(100, 120)
    sets = training_sets(few, made, 20)
    assert list(sets) == [REAL, GENERATED, BOTH]
    for images, labels in sets.values():
        assert len(images) == len(labels) == 20
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)  # each image has its own label
    counts = np.bincount(sets[REAL][1])
    assert (counts.min(), counts.max(), len(counts)) == (3, 4, 6)
    np.testing.assert_array_equal(sets[GENERATED][1], made[1])
    both = sets[BOTH][1]
    assert (both < 100).sum() == 10
    np.testing.assert_array_equal(both[10:], made[1][:10])


def test_the_gan_sees_the_images_of_the_budget_alone():
    train = data.load('digits')
    few = experiment.few_of(train, 10, seed=1)
    assert len(few) == 100
    assert np.bincount(few.labels).tolist() == [10] * 10
    whole = {image.tobytes(): label for image, label in zip(train.examples, train.labels, strict=True)}
    assert all(whole[image.tobytes()] == label for image, label in zip(few.examples, few.labels, strict=True))


@pytest.mark.parametrize('table', [SETTINGS, experiment.FULL])
def test_gans_can_be_made_and_arms_differ_in_nothing_but_their_images(table):
    for name, setting in table.items():
        options = sweep.parse('augmentation', '', ['--setting', name], settings=tuple(SETTINGS))
        config = sweep.config_of(setting.gan, options._replace(seeds=1))
        shape = (16, 16, 1) if name == 'digits' else (28, 28, 1)
        assert build.make_game(config, shape, num_classes=10).given == 'label'
        assert config.augment.name == 'diffaugment'
        assert setting.number >= 10 * max(experiment.BUDGETS)


@pytest.mark.slow
def test_a_toy_run_fills_the_table_and_measures_nothing_twice(tmp_path, monkeypatch, capsys):
    recipe = Recipe(widths=(4,), epochs=1, batch_size=50, policy=())
    toy = Setting(sweep.Arm('configs/mlp.py:digits', TOY), 200, recipe)
    monkeypatch.setattr(experiment, 'SETTINGS', {'digits': toy, 'fashion_mnist': toy})
    monkeypatch.setattr(experiment, 'BUDGETS', (5,))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    argv = ['--seeds=1', f'--runs={tmp_path}/runs', f'--out={tmp_path}/results']
    assert experiment.main(argv) == 0
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [REAL, GENERATED, BOTH, CEILING]
    assert all(0 <= found <= 1 for columns in values.values() for (found,) in columns.values())
    for name in ('table.md', 'budgets.png', 'samples-5.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 300
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / 'runs').glob('s*')}
    assert {path.name for path in kept} == {'scores-0.json', 'samples-5-0.npz'}

    def forbidden(*arguments, **options):
        raise AssertionError('trained again')

    monkeypatch.setattr(experiment, 'classification_accuracy_score', forbidden)
    assert experiment.main(argv) == 0
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / 'runs').glob('s*')}
    assert experiment.main([*argv, '--config.duration=4 steps']) == 2  # other samples would be needed
    assert 'samples and scores of another recipe' in capsys.readouterr().err


def test_samples_of_another_recipe_are_refused(tmp_path):
    experiment.check_recipe(tmp_path, {'widths': (4,)})
    experiment.check_recipe(tmp_path, {'widths': (4,)})
    with pytest.raises(UserError, match='of another recipe: choose another --runs'):
        experiment.check_recipe(tmp_path, {'widths': (8,)})
