"""The experiment on what metrics notice, at toy size, and its damages."""

import json

import numpy as np
import pytest

from experiments.damaged_copies.__main__ import EVERYTHING, main
from experiments.damaged_copies.damages import DAMAGES
from gan_jax import data


@pytest.fixture(scope='module')
def digits():
    return data.load('digits', split='train')


def test_every_damage_keeps_number_shape_and_type(digits):
    for name, damage in DAMAGES.items():
        worse = damage(digits, digits)
        assert worse.examples.shape == digits.examples.shape
        assert worse.examples.dtype == np.uint8
        assert len(worse.labels) == len(digits)
        assert (worse.fingerprint != digits.fingerprint) == (name != 'intact')


def test_the_damages_do_what_they_say(digits):
    change = {
        name: np.abs(damage(digits, digits).examples.astype(int) - digits.examples).mean()
        for name, damage in DAMAGES.items()
    }
    assert change['intact'] == change['mislabelled'] == change['memorised'] == 0
    assert change['blurred'] > 5
    assert change['noisy'] > 5
    assert set(DAMAGES['half of the classes'](digits, digits).labels) == set(range(5))
    assert len(np.unique(DAMAGES['duplicated'](digits, digits).examples, axis=0)) <= len(digits) / 10


def test_a_set_of_half_of_the_classes_needs_no_further_images(digits):
    first = digits.select(np.flatnonzero(digits.labels < 5)[:20], 'twenty')
    assert len(DAMAGES['half of the classes'](first, digits)) == 20


def test_a_run_that_is_not_there_is_noticed_first(tmp_path, capsys):
    assert main(['--data=digits', '--num=100', f'--run={tmp_path}/none', f'--out={tmp_path}']) == 2
    out, error = capsys.readouterr()
    assert f'{tmp_path}/none is not the directory of a run' in error
    assert 'intact' not in out


def test_every_metric_of_sets_of_images_is_computed(tmp_path):
    slow = 'classification_accuracy'  # trains a classifier on each set
    names = [name for name in EVERYTHING if name != slow]
    assert slow in EVERYTHING
    assert {'fid', 'kid', 'precision_recall', 'authenticity', 'ms_ssim'} < set(names)
    options = ['--data=digits', '--num=100', '--extractor=tests.extractors:QUADRANTS', f'--out={tmp_path}']
    assert main([*options, f'--metrics={",".join(names)}']) == 0
    (intact, *_) = json.loads((tmp_path / 'results.json').read_text()).values()
    found = {record['metric'] for record in intact}
    assert {'fid', 'kid', 'precision', 'recall', 'authenticity', 'sliced_wasserstein'} <= found


def test_the_table_has_every_set_and_metric(tmp_path):
    options = ['--data=digits', '--num=100', '--extractor=tests.extractors:QUADRANTS', f'--out={tmp_path}']
    assert main([*options, '--metrics=fid,precision_recall,intra_fid']) == 0
    results = json.loads((tmp_path / 'results.json').read_text())
    values = {name: {record['metric']: record['value'] for record in records} for name, records in results.items()}
    assert list(values) == list(DAMAGES)
    assert values['memorised']['fid'] == pytest.approx(0, abs=1e-9)
    assert values['noisy']['fid'] > values['intact']['fid']
    assert 'intra_fid' not in values['half of the classes']
    table = (tmp_path / 'table.md').read_text()
    assert table.splitlines()[0] == '| metric | ' + ' | '.join(DAMAGES) + ' |'
    assert '| recall ↑ |' in table
    assert (tmp_path / 'sets.png').exists()
