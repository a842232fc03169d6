"""The experiment on the parts of a style-based generator: its arms, and a toy run."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.style import __main__ as experiment
from experiments.style.__main__ import ARMS, FULL
from gan_jax import combinations
from gan_jax import config as configs
from gan_jax.config import json_values
from tests import toy_experiments


@pytest.mark.parametrize('arms', [ARMS, FULL])
def test_arms_see_as_many_images_and_differ_by_one_part(arms):
    options = sweep.parse('style', '', [])
    made = {name: sweep.config_of(arm, options) for name, arm in arms.items()}
    images = [
        sum(configs.steps(one, 'duration') * one.batch_size for one in configs.split(config))
        for config in made.values()
    ]
    assert len(images) == 6
    assert len(set(images)) == 1
    whole = made.pop('no growing')
    assert (whole.earlier_phases, whole.generator.fade, whole.real_fade) == ((), 0.0, 0.0)
    base = made.pop('all')
    assert base.earlier_phases
    assert base.generator.noise_layers
    for config in made.values():
        changed = [text.split()[0] for text in json_values.differences(base.to_dict(), config.to_dict())]
        assert len([key for key in changed if not key.startswith('lazy.')]) == 1


@pytest.mark.parametrize('arm', [*ARMS.values(), *FULL.values()])
def test_the_parts_of_an_arm_can_be_combined_in_each_phase(arm):
    for config in configs.split(sweep.config_of(arm, sweep.parse('style', '', []))):
        combinations.check(config, (config.data.size, config.data.size, 1))


def test_at_toy_size_arms_are_in_table_and_pictures(tmp_path):
    arms = {'all': sweep.Arm(toy_experiments.RECIPE), 'no mixing': sweep.Arm(toy_experiments.RECIPE)}
    toy_experiments.run(experiment, tmp_path, arms, {'evaluate': 'fid,precision_recall'})
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == ['all', 'no mixing']
    assert np.isfinite(record['values']['all']['fid'] + record['values']['all']['recall']).all()
    assert record['values']['all']['path_length_w'] == [None]  # fully connected networks have no styles
    for name in ('table.md', 'curves.png', 'all.png', 'no-mixing.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 300
