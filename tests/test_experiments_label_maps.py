"""The experiment on label maps at toy size, its arms, and its rows without training."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.label_maps import __main__ as experiment
from experiments.label_maps.__main__ import ARMS, COLUMNS, FULL, MEAN, NEAREST, REAL
from gan_jax import build, data
from gan_jax.config import json_values
from gan_jax.data import scenes
from tests import toy_experiments

TOY = {
    'data.name': 'scenes',
    'data.size': '16',
    'evaluate': '',
    'evaluation.split': 'test',
    'generator.width': '2',
    'generator.widths': None,
    'discriminator.width': '2',
    'discriminator.widths': None,
    'discriminator.dropout': None,
}
SMALLER = {'generator.levels': '1', 'discriminator.receptive_field': '1'}  # pix2pix, which compiles faster than SPADE
ALONE = 'stand-in'


@pytest.fixture(scope='module', autouse=True)
def few_scenes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, 'NUM_EXAMPLES', {'train': 200, 'test': 100})
        scenes._painted.cache_clear()
        yield
    scenes._painted.cache_clear()


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('label_maps')
    toy_experiments.run(experiment, root, {ALONE: sweep.Arm('configs/pix2pix.py')}, TOY | SMALLER, number=20)
    return root / 'results'


def test_table_and_record_have_the_arm_and_the_rows_without_training(results):
    record = json.loads((results / 'results.json').read_text())
    values = record['values']
    assert list(values) == [ALONE, NEAREST, MEAN, REAL]
    for arm in (ALONE, NEAREST, MEAN):
        assert list(values[arm]) == list(COLUMNS.values())
        assert np.isfinite(list(values[arm].values())).all()
    assert [name for name, row in values[REAL].items() if row] == ['mIoU', 'pixel accuracy']
    assert values[REAL]['pixel accuracy'][0] > values[ALONE]['pixel accuracy'][0]
    assert '20 of scenes test' in record['protocols']['L1']
    assert f'the real images have {values[REAL]["mIoU"][0]:.4f}' in record['protocols']['mIoU']
    assert f'| {ALONE} |' in (results / 'table.md').read_text()


def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'translations.png'}
    assert f'map, {ALONE}, {NEAREST}, {MEAN}, real' in (results / 'page.html').read_text()


def test_rows_without_training_are_of_the_training_pairs():
    known, pairs = (data.load('scenes', split=split, size=16) for split in ('train', 'test'))
    same = experiment.baselines(known.select(np.arange(3), 'three'), known)
    np.testing.assert_array_equal(same[NEAREST], known.examples[:3])
    painted = experiment.baselines(pairs, known)[MEAN]
    sky = painted[pairs.inputs[..., 0] == 0]
    np.testing.assert_array_equal(sky, np.broadcast_to(sky[0], sky.shape))
    np.testing.assert_allclose(sky[0], known.examples[known.inputs[..., 0] == 0].mean(0), atol=0.5)


@pytest.mark.parametrize('arms', [ARMS, FULL])
def test_arms_differ_in_the_weights_of_the_losses_alone(arms):
    options = sweep.parse('label_maps', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in arms.items()}
    for name, config in made.items():
        changed = [text.split()[0] for text in json_values.differences(made['SPADE'].to_dict(), config.to_dict())]
        assert set(changed) == set(experiment.LOSSES[name])
        size = config.data.size
        shapes = {'real': (size, size, 3), 'input': (size, size, 1)}
        build.make_game(config, shapes['real'], num_classes=len(scenes.CLASSES), shapes=shapes)


@pytest.mark.slow
def test_every_arm_is_measured_on_the_same_pairs(tmp_path):
    changes = {**TOY, 'evaluate': None, 'evaluation.extractor': None, 'generator.hidden': '2'}
    toy_experiments.run(experiment, tmp_path, ARMS, changes, number=10)
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [*ARMS, NEAREST, MEAN, REAL]
    assert all(np.isfinite(values[arm]['PSNR']).all() for arm in ARMS)
