"""The experiment on few labels at toy size: its draws, its results, and a run that was stopped."""

import json

import numpy as np
import pytest

from experiments import sweep
from experiments.semi_supervised import __main__ as experiment
from experiments.semi_supervised import training
from gan_jax import data

ARMS = ('semi-supervised', 'VAT + entropy', 'labels alone')


def run(root, *arguments):
    flags = experiment.parse([*arguments, '--runs', str(root / 'runs'), '--out', str(root / 'out')])
    experiment.compare(flags, lambda split: data.load('digits', split=split), widths=((8, 6), (6,)))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp('whole')
    run(root, '--epochs', '2', '--arms', *ARMS)
    return root


def test_a_draw_has_ten_labels_of_each_class_and_another_seed_others():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    draws = [training.draw_labels(labels, 10, seed) for seed in (0, 1)]
    for draw in draws:
        assert len(set(draw)) == 100
        assert np.bincount(labels[draw]).tolist() == [10] * 10
    assert set(draws[0]) != set(draws[1])
    assert np.array_equal(draws[0], training.draw_labels(labels, 10, 0))


def test_draws_that_were_trained_are_in_the_order_of_their_seeds(tmp_path):
    for seed in (10, 2, 0):
        (tmp_path / f'draw-{seed}').mkdir()
    assert [path.name for path in experiment.kept(tmp_path)] == ['draw-0', 'draw-2', 'draw-10']


def test_every_arm_records_its_epochs_and_its_own_terms_and_the_table_has_the_last(whole):
    found = json.loads((whole / 'out/results.json').read_text())['values']
    assert tuple(found) == ARMS
    for arm, columns in found.items():
        path = whole / 'runs' / sweep.slug(arm) / 'draw-0/metrics.jsonl'
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert [record['step'] for record in records] == [15, 30]
        assert columns['errors'] == [records[-1]['eval/errors']]
        assert ('generator/feature_matching' in records[0]) == (arm == 'semi-supervised')
        assert ('discriminator/virtual_adversarial' in records[0]) == (arm == 'VAT + entropy')
        assert ('discriminator/conditional_entropy' in records[0]) == (arm == 'VAT + entropy')
    assert found['labels alone']['errors, averaged'] == []
    assert 0 <= found['semi-supervised']['errors, averaged'][0] <= 297
    assert {path.name for path in (whole / 'out').iterdir()} == {
        *('table.md', 'results.json', 'curves.png', 'samples.png', 'page.html')
    }


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(whole, tmp_path, capsys):
    for epochs in ('1', '2', '0'):
        run(tmp_path, '--arms', 'semi-supervised', '--epochs', epochs)
    name = 'runs/semi-supervised/draw-0/metrics.jsonl'
    assert (tmp_path / name).read_text() == (whole / name).read_text()
    assert '| semi-supervised |' in capsys.readouterr().out.split('# MNIST with 100 labels')[-1]
