"""Runs of super-resolution, crops and both phases included: on several devices, in populations, killed."""

import functools
import json
import pathlib

import pytest

from gan_jax import config
from gan_jax.train import train, train_population
from tests.contents import differences
from tests.same_players import assert_close
from tests.test_loop import KilledError, killed_in

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'data.size': '32',
    'data.split': 'test',
    'batch_size': '16',
    'duration': '5 steps',
    'earlier_phases': "('duration=4 steps; game.adversary=0.0',)",
    'log_every': '2 steps',
    'sample_every': '4 steps',
    'checkpoint_every': '2 steps',
    'evaluate_every': '8 steps',
    'evaluation.samples': '16',
    'samples': '6',
    'game.crop': '16',
    'game.rotate': 'True',
    'generator.width': '4',
    'generator.depth': '1',
    'discriminator.width': '4',
    'discriminator.hidden': '8',
    # Plain gradient descent: Adam would blow rounding noise up where a gradient is exactly zero.
    'generator_optimizer.name': 'sgd',
    'discriminator_optimizer.name': 'sgd',
}

pytestmark = pytest.mark.slow


def make_config(**overrides):
    return config.load(f'{ROOT}/configs/srgan.py', SMALL | overrides)


@functools.cache
def alone(directory):
    return train(make_config(seed='1', **{'parallel.devices': '1'}), directory / 'alone')


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp('super_resolution')


@pytest.mark.parametrize('mode', ['pmap', 'sharding'])
def test_eight_devices_give_the_run_of_one(directory, mode):
    sharded = make_config(seed='1', **{'parallel.devices': '8', 'parallel.mode': mode})
    assert_close(train(sharded, directory / mode), alone(directory))


def test_a_member_of_a_population_is_the_run_of_its_seed(directory):
    states = train_population(make_config(population='2'), directory / 'population')
    assert_close(states[1], alone(directory))


@pytest.mark.parametrize('number', [1, 2, 3])  # in the first phase, at its end, and in the second
def test_a_kill_loses_no_bit(directory, tmp_path, monkeypatch, number):
    alone(directory)
    killed_in(monkeypatch, 'save', number)
    again = make_config(seed='1', **{'parallel.devices': '1'})
    with pytest.raises(KilledError):
        train(again, tmp_path)
    monkeypatch.undo()
    train(again, tmp_path)
    assert differences(tmp_path, directory / 'alone') == []


def test_both_phases_are_evaluated_beside_interpolations(directory):
    alone(directory)
    lines = [json.loads(line) for line in (directory / 'alone' / 'metrics.jsonl').read_text().splitlines()]
    found = [line for line in lines if 'eval/psnr_y' in line]
    assert len(found) == 2
    assert len({line['eval/psnr_y_bicubic'] for line in found}) == 1
    assert 'generator/pixels' in lines[0]
    assert 'discriminator/loss' not in lines[0]
    assert any('discriminator/loss' in line for line in lines)
