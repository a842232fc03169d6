"""The experiment on privacy: its arms, and a toy run."""

import json

import pytest

from experiments import sweep
from experiments.privacy import __main__ as experiment
from tests import toy_experiments


def test_arms_differ_in_epsilon_alone():
    options = sweep.parse('privacy', '', [])
    made = [sweep.config_of(arm, options) for arm in experiment.ARMS.values()]
    assert [one.game.epsilon for one in made] == [1, 3, 10, 0]
    for one in made:
        one.game.epsilon = 0.0
    assert len({one.to_json() for one in made}) == 1
    assert list(experiment.FULL) == list(experiment.ARMS)


@pytest.mark.slow
def test_at_toy_size_the_table_has_epsilon_accuracy_and_attack(tmp_path):
    recipe = 'configs/dpgan.py:debug'
    arms = {'epsilon 5': sweep.Arm(recipe), 'epsilon infinity': sweep.Arm(recipe, {'game.epsilon': '0.0'})}
    changes = dict.fromkeys(('discriminator.dropout', 'evaluation.extractor'), None)
    changes |= {
        'game.microbatch': '4',
        'game.accountant': 'rdp',
        'evaluation.split': 'test',
        'discriminator_steps': '2',
    }
    changes |= {'evaluate': "('classification_accuracy', 'membership')"}
    toy_experiments.run(experiment, tmp_path, arms, changes)
    values = json.loads((tmp_path / 'results/results.json').read_text())['values']
    assert list(values) == [*arms, 'real images']
    assert 0 < values['epsilon 5']['epsilon'][0] <= 10
    assert values['epsilon infinity']['epsilon'] == [None]
    for arm in arms:
        assert 0 <= values[arm]['accuracy'][0] < 1
        assert 0.2 < values[arm]['membership attack'][0] < 0.8
