"""The experiment on super-resolution at toy size, its arms, and its rows without training."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.super_resolution import __main__ as experiment
from experiments.super_resolution.__main__ import ALONE, ARMS, COLUMNS, FULL, LOSSES
from gan_jax import build, data
from gan_jax.config import json_values
from gan_jax.data import leaves
from gan_jax.layers.bicubic import ENLARGEMENTS
from tests import toy_experiments

TOY = {
    'data.name': 'quarter:leaves',
    'data.size': '32',
    'evaluate': 'luma',
    'evaluation.split': 'test',
    'evaluation.samples': '8',
    'earlier_phases': '()',
    'game.crop': '0',
    'generator.width': '4',
    'generator.widths': None,
    'generator.depth': '1',
    'discriminator.width': '4',
    'discriminator.widths': None,
    'discriminator.dropout': None,
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('super_resolution')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaves, '_SPLITS', {'train': (16, 0), 'test': (20, 1)})
        toy_experiments.run(experiment, root, {'SRResNet': ARMS['SRResNet']}, TOY)
    return root / 'results'


@pytest.mark.slow  # tests of label_maps and multimodal train and publish in the same way
def test_table_and_record_have_the_arm_and_both_interpolations(results):
    record = json.loads((results / 'results.json').read_text())
    values = record['values']
    assert list(values) == ['SRResNet', *ENLARGEMENTS]
    for row in values.values():
        assert list(row) == list(COLUMNS.values())
        assert np.isfinite(list(row.values())).all()
    assert values['bicubic']['PSNR'][0] > values['nearest']['PSNR'][0]
    assert '20 of quarter:leaves test; dB, peak 255, luma of BT.601' in record['protocols']['PSNR']
    assert '| SRResNet |' in (results / 'table.md').read_text()


@pytest.mark.slow
def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'translations.png'}
    assert 'SRResNet, bicubic, nearest, real' in (results / 'page.html').read_text()


def test_measures_of_the_real_images_are_the_best_ones():
    real = np.asarray(data.load('leaves', split='test', size=32).examples[:8])
    nearly = np.where(real > 0, real - np.uint8(1), np.uint8(1))  # the PSNR of equal images is infinite
    found = experiment.measure(nearly, real)
    assert set(COLUMNS) <= set(found)
    assert found['psnr_y'].value > 45
    assert found['edge_f1'].value > 0.95
    assert found['patches'].value < experiment.measure(real[::-1] // 2, real)['patches'].value


@pytest.mark.parametrize('arms', [ARMS, FULL])
def test_arms_of_a_recipe_differ_in_the_adversary_of_the_last_phase_alone(arms):
    options = sweep.parse('super_resolution', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in arms.items()}
    for name, (recipe, losses) in LOSSES.items():
        against = next(other for other, pair in LOSSES.items() if pair == (recipe, {}))
        changed = json_values.differences(made[against].to_dict(), made[name].to_dict())
        assert {text.split()[0] for text in changed} == set(losses)
        shapes = {'real': (128, 128, 3), 'input': (32, 32, 3)}
        game = build.make_game(made[name], shapes['real'], shapes=shapes)
        assert {turn.player for turn in game.turns} == {'generator'} | ({'discriminator'} if losses != ALONE else set())


@pytest.mark.slow
def test_every_arm_is_measured_on_the_same_pairs(tmp_path):
    changes = {**TOY, 'earlier_phases': "('duration=2 steps; game.adversary=0.0',)"}
    toy_experiments.run(experiment, tmp_path, ARMS, changes, number=10)
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [*ARMS, *ENLARGEMENTS]
    assert all(np.isfinite(values[arm]['PSNR']).all() for arm in ARMS)
