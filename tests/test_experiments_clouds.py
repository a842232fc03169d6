"""The experiment on point clouds at toy size, its arms, and its rows without training."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.clouds import __main__ as experiment
from experiments.clouds.__main__ import ARMS, COLUMNS, FULL, KNOWN, MIXED, ONE, without_training
from gan_jax.data import furniture_points
from tests import toy_experiments

TOY = {
    'data.name': 'furniture_points',
    'data.size': '16',
    'evaluate': 'clouds',
    'evaluation.split': 'test',
    'evaluation.samples': '20',
    'discriminator.dropout': None,
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('clouds')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(furniture_points, '_SPLITS', {'train': 60, 'test': 40})
        toy_experiments.run(experiment, root, {'r-GAN': sweep.Arm('configs/pointgan.py:raw')}, TOY)
    return root / 'results'


def test_table_and_record_have_the_arm_and_the_rows_without_training(results):
    record = json.loads((results / 'results.json').read_text())
    values = record['values']
    assert list(values) == ['r-GAN', KNOWN, ONE, MIXED]
    for row in values.values():
        assert list(row) == list(COLUMNS.values())
        assert np.isfinite(list(row.values())).all()
    assert values[ONE]['coverage'] == [1 / 20]
    assert values[KNOWN]['MMD'] < values[ONE]['MMD']
    assert '20 clouds of each set' in record['protocols']['1-NNA']
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'r-gan.png'}
    assert '| training clouds |' in (results / 'table.md').read_text()


def test_rows_without_training_are_made_of_training_clouds():
    known = np.random.default_rng(1).normal(size=(30, 8, 3))
    made = without_training(known, 10)
    points = {tuple(point) for point in known.reshape(-1, 3)}
    assert all(clouds.shape == (10, 8, 3) for clouds in made.values())
    assert all({tuple(point) for point in clouds.reshape(-1, 3)} <= points for clouds in made.values())
    assert len({cloud.tobytes() for cloud in made[KNOWN]}) == 10
    assert len({cloud.tobytes() for cloud in made[ONE]}) == 1
    assert not any(any(np.array_equal(cloud, one) for one in known) for cloud in made[MIXED])


@pytest.mark.parametrize('arms', [ARMS, FULL])
def test_all_arms_have_the_same_clouds_and_r_gans_see_as_many(arms):
    options = sweep.parse('clouds', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in arms.items()}
    assert len({(config.data.name, config.data.size, config.evaluation.samples) for config in made.values()}) == 1
    assert [config.game.name for config in made.values()] == ['latent_gan', 'adversarial', 'adversarial']
    if arms is ARMS:
        batches = [sweep.kimg(config) * config.discriminator_steps for config in list(made.values())[1:]]
        assert batches[0] == batches[1]
