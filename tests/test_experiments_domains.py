"""The experiment on domains: accuracies and the share of the gap by hand, its arms, and a toy run."""

import json
import math

import pytest

from experiments import results, sweep
from experiments.domains import __main__ as experiment
from experiments.domains.__main__ import ARMS, FULL, SOURCE, TARGET, accuracies
from gan_jax.records.metrics import MetricsFile
from tests import toy_experiments


def finished(directory, errors):
    directory.mkdir()
    metrics = MetricsFile(directory / 'metrics.jsonl')
    for step, error in enumerate(errors):
        metrics.write(step, float(step), {'eval/class_error': error})
    return results.read(directory)


def test_the_last_step_counts_and_the_gap_lies_between_the_mean_accuracies(tmp_path):
    errors = {SOURCE: [[0.3, 0.6], [0.5]], 'DANN': [[0.0, 0.25], [0.45]], TARGET: [[0.1], [0.0]]}
    arms = {
        name: [finished(tmp_path / f'{name}{i}', values) for i, values in enumerate(runs)]
        for name, runs in errors.items()
    }
    values = accuracies(arms)
    assert values[SOURCE] == {'accuracy': [0.4, 0.5]}
    assert values['DANN']['accuracy'] == [0.75, 0.55]
    assert values['DANN']['share of the gap'] == pytest.approx([0.6, 0.2])
    assert values[TARGET] == {'accuracy': [0.9, 1.0]}


def test_a_seed_without_an_evaluation_is_left_out_of_the_mean(tmp_path):
    errors = {SOURCE: [[0.5], []], 'DANN': [[0.25]], TARGET: [[0.0]]}
    arms = {
        name: [finished(tmp_path / f'{name}{i}', values) for i, values in enumerate(runs)]
        for name, runs in errors.items()
    }
    assert accuracies(arms)['DANN']['share of the gap'] == [0.5]
    assert math.isnan(accuracies(arms | {SOURCE: arms[SOURCE][1:]})['DANN']['share of the gap'][0])


def test_arms_differ_in_what_they_learn_from():
    options = sweep.parse('domains', '', [])
    made = [sweep.config_of(arm, options) for arm in (*ARMS.values(), *FULL.values())]
    assert {one.data.name for one in made} == {'unpaired:mnist,blended:mnist+tf_flowers'}
    assert [one.game.learns_from for one in made] == 2 * ['source', 'both', 'target']
    assert [one.duration for one in made] == 3 * ['2000 steps'] + 3 * ['8600 steps']


@pytest.mark.slow
def test_at_toy_size_arms_are_in_table_and_pictures(tmp_path):
    changes = {'data.name': 'unpaired:digits,blended:digits', 'evaluate': 'class_error', 'generator.widths': '(4, 4)'}
    changes |= dict.fromkeys(('discriminator.widths', 'discriminator.dropout', 'evaluation.extractor'))
    toy_experiments.run(experiment, tmp_path, ARMS, changes)
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == [SOURCE, 'DANN', TARGET]
    assert len(record['values']['DANN']['share of the gap']) == 1
    assert (tmp_path / 'results/dann.png').exists()
