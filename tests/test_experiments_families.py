"""The experiment on families of networks: its own arithmetic by hand, and a toy run."""

import json
import math

import numpy as np
import pytest

from experiments import cost, results, sweep
from experiments.families import __main__ as experiment
from experiments.families.__main__ import ARMS, DCGAN, FULL, at, tabulate
from gan_jax import config as configs
from gan_jax.records.metrics import MetricsFile
from tests import toy_experiments


def finished(directory, values):
    directory.mkdir()
    metrics = MetricsFile(directory / 'metrics.jsonl')
    for kimg, (fid, kid) in values.items():
        metrics.write(int(kimg), kimg, {'eval/fid': fid, 'eval/kid': kid})
    return results.read(directory)


def test_dcgan_is_read_after_as_many_images_and_after_as_much_time(tmp_path):
    dcgan = finished(tmp_path / 'dcgan', {10.0: (8.0, 0.8), 20.0: (4.0, 0.4), 40.0: (2.0, 0.3)})
    other = finished(tmp_path / 'other', {10.0: (5.0, 0.5), 15.0: (3.0, 0.2)})
    arms = {DCGAN: [dcgan], 'other': [other]}
    row = tabulate(arms, {DCGAN: 40.0, 'other': 15.0}, {DCGAN: 3.0, 'other': 6.0})['other']
    assert (row['thousand images'], row['minutes']) == ([15.0], [1.5])
    assert (row['fid'], row['kid']) == ([3.0], [0.2])
    assert row['DCGAN: fid, equal images'] == [6.0]
    assert row['DCGAN: fid, equal time'] == [3.0]  # 30 thousand images
    assert row['DCGAN: kid, equal time'] == pytest.approx([0.35])
    assert 'DCGAN: fid, equal time' not in tabulate({'other': [other]}, {'other': 15.0}, {'other': 6.0})['other']
    assert math.isnan(at(dcgan, 'fid', 41.0))
    assert math.isnan(at(dcgan, 'fid', 9.0))
    assert math.isnan(at(dcgan, 'recall', 10.0))


def test_arms_see_the_same_data_in_batches_of_one_size_and_schedules_last_as_long_as_the_training():
    options = sweep.parse('families', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in ARMS.items()}
    assert {(one.data.name, one.batch_size, one.evaluate) for one in made.values()} == {
        ('fashion_mnist', 64, ('fid', 'kid'))
    }
    assert all(' in 800 steps' in text for text in made['R3GAN'].schedules)
    assert len(made['R3GAN'].schedules) == len(configs.load(f'{sweep.ROOT}/configs/r3gan.py:small').schedules) > 0
    assert list(FULL) == list(ARMS)
    assert all(sweep.config_of(arm, options).data.name == 'cifar10' for arm in FULL.values())


def test_at_toy_size_arms_are_in_table_and_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, 'seconds_per_step', lambda path, arms: dict.fromkeys(arms, 0.5))
    arms = {DCGAN: sweep.Arm(toy_experiments.RECIPE), 'GAT': sweep.Arm(toy_experiments.RECIPE)}
    toy_experiments.run(experiment, tmp_path, arms, {'evaluate': 'fid,kid'})
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == [DCGAN, 'GAT']
    row = record['values']['GAT']
    assert row['thousand images'] == [2 * 8 / 1000]
    assert row['fid'] == row['DCGAN: fid, equal images'] == row['DCGAN: fid, equal time']
    assert np.isfinite(row['fid']).all()
    assert record['seconds of a thousand images'] == {DCGAN: 62.5, 'GAT': 62.5}
    for name in ('table.md', 'curves.png', 'dcgan.png', 'gat.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 300


def test_the_cost_of_a_conditional_recipe_is_measured(tmp_path):
    told = {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'concatenate'}
    small = {'batch_size': '8', 'log_every': '1 steps', 'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    config = configs.load(f'{sweep.ROOT}/{toy_experiments.RECIPE}', told | small)
    assert cost.seconds_per_step(tmp_path / 'cost.json', {'told': config})['told'] > 0
