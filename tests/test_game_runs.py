"""Runs of every game but the usual one: on two devices, in populations, and killed."""

import json
import pathlib

import pytest

from gan_jax import config
from gan_jax.train import train, train_population
from tests.contents import differences
from tests.test_loop import KilledError, killed_in
from tests.toy_experiments import without_pages

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
GAMES = sorted(path.stem for path in CONFIGS.glob('*.py') if config.load(str(path)).game.name != 'adversarial')
FEW = {
    'duration': '4 steps',
    'log_every': '1 steps',
    'sample_every': '4 steps',
    'checkpoint_every': '1 steps',
    'evaluate': '()',
    'samples': '4',
    'seed': '1',
    'parallel.devices': '1',
}

pytestmark = pytest.mark.slow


def make_config(name, **overrides):
    """The small version of a recipe, by gradient descent: Adam blows rounding noise up where a gradient is zero."""
    spec = f'{CONFIGS}/{name}.py:debug'
    plain = {f'{key}.name': 'sgd' for key in config.load(spec) if key.endswith('optimizer')}
    return config.load(spec, FEW | plain | overrides)


@pytest.fixture(scope='module', params=GAMES)
def alone(request, tmp_path_factory):
    """The name of a recipe and the directory of its run."""
    directory = tmp_path_factory.mktemp(request.param)
    with without_pages():
        train(make_config(request.param), directory)
    return request.param, directory


def assert_same_start(directory, other):
    """The metrics of the first two steps, gradients included, are equal up to the order of additions.

    Later steps are no measure, and the second is a coarser one: an absolute difference has a gradient of either sign
    near zero, so that the noise of rounding grows tenfold with each step of a CycleGAN.
    """
    lines, others = ((path / 'metrics.jsonl').read_text().splitlines() for path in (directory, other))
    for line, expected, tolerance in zip(map(json.loads, lines), map(json.loads, others), (1e-3, 5e-3), strict=False):
        assert line == pytest.approx(expected, rel=tolerance, abs=1e-5)


def test_two_devices_give_the_run_of_one(alone, tmp_path):
    name, directory = alone
    with without_pages():
        train(make_config(name, **{'parallel.devices': '2'}), tmp_path)
    assert_same_start(tmp_path, directory)


def test_a_member_of_a_population_is_the_run_of_its_seed(alone, tmp_path):
    name, directory = alone
    with without_pages():
        train_population(make_config(name, seed='0', population='2'), tmp_path)
    assert_same_start(tmp_path / 'member-1', directory)


def test_a_kill_loses_no_bit(alone, tmp_path, monkeypatch):
    name, directory = alone
    with without_pages():
        killed_in(monkeypatch, 'save', 2)
        with pytest.raises(KilledError):
            train(make_config(name), tmp_path)
        monkeypatch.undo()
        train(make_config(name), tmp_path)
    assert differences(tmp_path, directory) == []
