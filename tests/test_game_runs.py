"""Runs of every game but the usual one: on two devices, in populations, and killed."""

import pathlib

import jax
import numpy as np
import pytest

from gan_jax import config
from gan_jax.train import train, train_population
from tests.contents import differences
from tests.test_loop import KilledError, killed_in
from tests.toy_experiments import without_pages

CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
GAMES = sorted(path.stem for path in CONFIGS.glob('*.py') if config.load(str(path)).game.name != 'adversarial')
FEW = {
    'duration': '6 steps',
    'log_every': '2 steps',
    'sample_every': '4 steps',
    'checkpoint_every': '2 steps',
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
    """The name of a recipe, the directory of its run, and its last state."""
    directory = tmp_path_factory.mktemp(request.param)
    with without_pages():
        return request.param, directory, train(make_config(request.param), directory)


def assert_close(one, other):
    leaves = jax.tree.leaves_with_path(one.players)
    for (path, x), y in zip(leaves, jax.tree.leaves(other.players), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-5, err_msg=jax.tree_util.keystr(path))


def test_two_devices_give_the_run_of_one(alone, tmp_path):
    name, _, state = alone
    with without_pages():
        assert_close(train(make_config(name, **{'parallel.devices': '2'}), tmp_path), state)


def test_a_member_of_a_population_is_the_run_of_its_seed(alone, tmp_path):
    name, _, state = alone
    with without_pages():
        assert_close(train_population(make_config(name, seed='0', population='2'), tmp_path)[1], state)


def test_a_kill_loses_no_bit(alone, tmp_path, monkeypatch):
    name, directory, _ = alone
    with without_pages():
        killed_in(monkeypatch, 'save', 2)
        with pytest.raises(KilledError):
            train(make_config(name), tmp_path)
        monkeypatch.undo()
        train(make_config(name), tmp_path)
    assert differences(tmp_path, directory) == []
