"""The experiment on unpaired translators at toy size, its arms, and its rows without training."""

import json

import numpy as np
import pytest

from experiments import results as of_results
from experiments import sweep
from experiments.multimodal import __main__ as experiment
from experiments.multimodal.__main__ import ARMS, COLOURED, COLUMNS, COPIED, FULL, MUNIT, TRAINING
from gan_jax import build, data
from gan_jax.evaluation.translated import pixel_distance
from gan_jax.records.metrics import MetricsFile
from tests import toy_experiments

DATA = {
    'data.name': experiment.DATA,
    'data.size': '16',
    'evaluate': None,
    'evaluation.split': 'test',
    'evaluation.extractor': 'tests.test_experiments_conditional:BRIGHTEST_ROW',
    'generator.width': '2',
    'generator.widths': None,
    'discriminator.width': '2',
    'discriminator.widths': None,
    'discriminator.dropout': None,
}
SMALLER = {'evaluate': 'content_accuracy,fid', 'model': 'pix2pix', 'generator.levels': '1'}  # which compiles fast
SMALLER |= {'generator.blocks': None, 'discriminator.receptive_field': '1'}
ALONE = 'stand-in'


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('multimodal')
    toy_experiments.run(experiment, root, {ALONE: sweep.Arm('configs/cyclegan.py')}, DATA | SMALLER)
    return root / 'results'


def test_table_and_record_have_the_arm_and_the_rows_without_training(results):
    record = json.loads((results / 'results.json').read_text())
    values = record['values']
    assert list(values) == [ALONE, COPIED, COLOURED, TRAINING]
    for row in values.values():
        assert list(row) == list(COLUMNS.values())
        assert np.isfinite(list(row.values())).all()
    assert values[ALONE]['diversity'] == values[COPIED]['diversity'] == [0]
    assert values[COLOURED]['diversity'][0] > 0
    assert 'fakes=32 translations' in record['protocols']['content accuracy']
    assert f'reals=297 of {experiment.DATA} test' in record['protocols']['FID']
    assert f'| {ALONE} |' in (results / 'table.md').read_text()


def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'translations.png'}
    assert f'input, {ALONE}, {COLOURED}, {TRAINING}' in (results / 'page.html').read_text()


def test_rows_without_training_keep_their_inputs_or_do_not():
    grey, known = data.load('digits', split='test', size=16).examples, data.load('coloured:digits', size=16).examples
    draws = experiment.baselines(np.asarray(grey), np.asarray(known))
    np.testing.assert_array_equal(draws[COPIED](0), grey.repeat(3, -1))
    one, other = draws[COLOURED](0), draws[COLOURED](1)
    for images in (one, other):
        np.testing.assert_array_equal(images.max(-1, keepdims=True), grey)  # the largest of a colour is 1
        np.testing.assert_array_equal(draws[COLOURED](0), one)
    assert 0.02 < pixel_distance(one, other).mean() < pixel_distance(*map(draws[TRAINING], (0, 1))).mean()
    rows = {image.tobytes() for image in known}
    assert {image.tobytes() for image in draws[TRAINING](0)} <= rows
    test = data.load('coloured:digits', split='test', size=16).examples
    assert pixel_distance(one, test).mean() > 0.02  # the colours of the real images are others


def test_the_last_step_counts_and_one_output_has_no_diversity(tmp_path):
    metrics = MetricsFile(tmp_path / 'metrics.jsonl')
    for step, value in enumerate((0.5, 0.75)):
        metrics.write(step, float(step), {'eval/content_accuracy': value, 'eval/fid': 2.0, 'eval/diversity': 0.25})
    runs = [of_results.read(tmp_path)]
    assert experiment.finals(MUNIT, runs) == {'content accuracy': [0.75], 'FID': [2.0], 'diversity': [0.25]}
    assert experiment.finals('UNIT', runs)['diversity'] == [0]


@pytest.mark.parametrize('arms', [ARMS, pytest.param(FULL, marks=pytest.mark.slow)])
def test_arms_have_equal_data_sizes_and_steps(arms):
    options = sweep.parse('multimodal', '', [])
    made = [sweep.config_of(arm, options) for arm in arms.values()]
    for config in made:
        for key in ('data', 'batch_size', 'duration', 'evaluation', 'evaluate_every'):
            assert config[key] == made[0][key], key
        size = config.data.size
        shapes = {'real': (size, size, 3), 'a': (size, size, 1)}
        build.make_game(config, shapes['real'], num_classes=10, shapes=shapes)


@pytest.mark.slow
def test_munit_is_measured_and_shown_with_several_styles(tmp_path):
    changes = {**DATA, 'generator.blocks': '1', 'generator.style_width': '4', 'discriminator.scales': '1'}
    toy_experiments.run(experiment, tmp_path, {MUNIT: ARMS[MUNIT]}, changes)
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [MUNIT, COPIED, COLOURED, TRAINING]
    assert np.isfinite(list(values[MUNIT].values())).all()
    assert values[MUNIT]['diversity'][0] > 0
    shown = f'input, {", ".join(f"MUNIT, style {i}" for i in (1, 2, 3))}, {COLOURED}'
    assert shown in (tmp_path / 'results/page.html').read_text()
