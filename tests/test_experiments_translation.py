"""The experiment on translation at toy size."""

import json

import numpy as np
import pytest

from experiments import sweep, translations
from experiments.results import read
from experiments.translation import __main__ as experiment
from gan_jax import build, data
from gan_jax.evaluation.record import Estimate
from tests import toy_experiments

TOY = {
    'data.name': None,
    'data.size': '16',
    'evaluate': None,
    'evaluation.split': None,
    'evaluation.extractor': None,
    'generator.levels': '1',
    'generator.width': '2',
    'generator.widths': None,
    'discriminator.width': '2',
    'discriminator.widths': None,
    'discriminator.receptive_field': '1',
    'discriminator.dropout': None,
}
ALONE = 'L1 only'


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('translation')
    arms = {ALONE: experiment.ARMS[ALONE]}
    toy_experiments.run(experiment, root, arms, TOY, number=20)
    return root / 'results'


def test_l1_alone_is_the_whole_loss_of_its_arm(results):
    run = read(results.parent / 'runs/l1-only/member-0')
    (_, loss), (_, l1) = run.curve('generator/loss'), run.curve('generator/l1')
    assert len(loss)
    np.testing.assert_allclose(loss, 100 * l1, rtol=1e-5)


def test_table_and_record_have_every_arm_and_measure(results):
    record = json.loads((results / 'results.json').read_text())
    assert list(record['values']) == [ALONE, experiment.COPIED, experiment.MEDIAN]
    pairs = data.load('edges:digits', split='test', size=16)
    for arm, row in record['values'].items():
        assert list(row) == ['L1', 'PSNR', 'SSIM', 'edge F1', 'by chance']
        assert 0 <= row['edge F1'][0] <= 1, arm
    copied = np.abs(pairs.inputs[:20].astype(float) - pairs.examples[:20]).mean() / 255
    np.testing.assert_allclose(record['values'][experiment.COPIED]['L1'], [copied])
    assert '20 of edges:digits test' in record['protocols']['edge F1']
    assert '| L1 only |' in (results / 'table.md').read_text()


def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'translations.png'}
    assert 'input, L1 only, target' in (results / 'page.html').read_text()


def test_a_seed_that_diverged_keeps_its_place(tmp_path):
    (seed,) = translations.of_arms({ALONE: [tmp_path]}, np.zeros((2, 16, 16, 1), np.uint8))[ALONE]
    assert seed is None
    images = np.zeros((2, 16, 16, 3), np.uint8)
    made = {ALONE: [None, images], 'wild': [None]}
    assert list(translations.first_of_each(made)) == [ALONE]
    assert np.isnan(list(experiment.measure(None, images).values())).all()
    measured = {ALONE: [None, {'l1': Estimate(0.5)}], 'real': [{}]}
    values = translations.tabulated(measured, {'l1': 'L1'})
    assert values[ALONE]['L1'] == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert values['real']['L1'] == []


def test_domains_are_the_two_halves_of_the_pairs(tmp_path):
    pairs = data.load('edges:digits', split='test', size=16)
    experiment.write_domains(pairs.select(np.arange(5), 'five'), tmp_path)
    inputs, images = (data.load(f'folder:{tmp_path}/{domain}').examples for domain in experiment.DOMAINS)
    np.testing.assert_array_equal(inputs, pairs.inputs[[0, 2, 4]])
    np.testing.assert_array_equal(images, pairs.examples[[1, 3]])


@pytest.mark.parametrize('argv', [[], ['--setting', 'flowers', '--full']])
def test_recipes_can_be_made(argv):
    options = sweep.parse('translation', '', argv, settings=tuple(experiment.SETTINGS))
    for arm in experiment.arms_of(options).values():
        config = sweep.config_of(arm, options)
        size = config.data.size
        grey, colour = (size, size, 1), (size, size, 3)
        build.make_game(config, colour, shapes={'real': colour, 'input': grey, 'a': colour})
    assert options.out.name == options.setting


@pytest.mark.slow
def test_every_arm_is_measured_on_the_same_pairs(tmp_path):
    changes = {**TOY, 'generator.levels': None}
    toy_experiments.run(experiment, tmp_path, experiment.ARMS, changes, number=10)
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [*experiment.ARMS, experiment.COPIED, experiment.MEDIAN]
    assert all(np.isfinite(row['PSNR']).all() for row in values.values())
    assert len({row['L1'][0] for row in values.values()}) > 3
