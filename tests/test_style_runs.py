"""Runs of style generators, noise, mixing, lazy penalties, ADA and growth included: devices, populations, kills."""

import pathlib
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from gan_jax import config
from gan_jax.train import train, train_population
from tests.contents import differences
from tests.same_players import assert_close
from tests.test_train import environment

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'batch_size': '32',  # a group of the minibatch deviation for each of eight devices
    'latents.size': '8',
    'log_every': '3 steps',
    'sample_every': '8 steps',
    'checkpoint_every': '4 steps',
    'samples': '4',
    'generator.max_width': '8',
    'generator.w_size': '8',
    'generator.mixing': '0.9',
    'discriminator.max_width': '8',
}
# Plain gradient descent: Adam would blow rounding noise up where a gradient is exactly zero. The strengths of the noise
# begin at zero; this rate makes them large enough for a comparison within a few steps.
PLAIN = {
    'generator_optimizer.name': 'sgd',
    'generator_optimizer.learning_rate': '0.03',
    'discriminator_optimizer.name': 'sgd',
}
RECIPES = {
    'stylegan2_ada': {
        'data.size': '8',
        'duration': '9 steps',  # with two turns of path length and R1
        'lazy.generator': '4',
        'lazy.discriminator': '8',
        'augment.initial': '0.5',
    },
    'stylegan': {
        'data.size': '8',
        'duration': '8 steps',
        'earlier_phases': "('duration=8 steps; data.size=4; real_fade=0.; generator.fade=0.; discriminator.fade=0.',)",
    },
}
KILLS = {'stylegan2_ada': (3, 6), 'stylegan': (6, 15)}  # in the middle of each phase
KILLED = """
import os, signal, sys
from gan_jax.main import main
from gan_jax.training.member import Member

read, last = Member.read, int(sys.argv[1])

def killed(member, stretch):
    if stretch.last >= last:
        os.kill(os.getpid(), signal.SIGKILL)
    read(member, stretch)

Member.read = killed
sys.exit(main(sys.argv[2:]))
"""

pytestmark = pytest.mark.slow


def make_config(recipe, **overrides):
    return config.load(f'{ROOT}/configs/{recipe}.py', SMALL | PLAIN | RECIPES[recipe] | overrides)


@pytest.fixture(scope='module', params=RECIPES)
def alone(request, tmp_path_factory):
    """The name of a recipe and the last state of its run on one device."""
    directory = tmp_path_factory.mktemp(request.param)
    return request.param, train(make_config(request.param, seed='1', **{'parallel.devices': '1'}), directory)


def test_the_noise_of_a_run_is_not_silent(alone):
    _, state = alone
    leaves = jax.tree_util.tree_leaves_with_path(state.generator.params)
    strengths = [leaf for path, leaf in leaves if 'strength' in jax.tree_util.keystr(path)]
    assert max(np.abs(strength).max() for strength in strengths) > 1e-3


@pytest.mark.parametrize('mode', ['pmap', 'sharding'])
def test_eight_devices_give_the_run_of_one(alone, tmp_path, mode):
    recipe, state = alone
    sharded = make_config(recipe, seed='1', **{'parallel.devices': '8', 'parallel.mode': mode})
    assert_close(train(sharded, tmp_path), state)


def test_a_member_of_a_population_is_the_run_of_its_seed(alone, tmp_path):
    recipe, state = alone
    states = train_population(make_config(recipe, population='2'), tmp_path)
    assert_close(states[1], state)
    average = states[0].generator.variables['styles']['average']
    assert np.abs(average - states[1].generator.variables['styles']['average']).max() > 1e-3


def start(recipe, workdir, last=10**9):
    """Starts a run in a process of its own, which is killed when it reads the metrics of a step; returns its code."""
    options = [f'--config.{key}={value}' for key, value in (SMALL | RECIPES[recipe]).items()]
    arguments = ['--config', f'configs/{recipe}.py', '--workdir', str(workdir), *options]
    command = [sys.executable, '-c', KILLED, str(last), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode


@pytest.mark.parametrize('recipe', RECIPES)
def test_a_run_killed_in_each_phase_ends_with_the_same_bits(recipe, tmp_path):
    assert start(recipe, tmp_path / 'whole') == 0
    for last in KILLS[recipe]:
        assert start(recipe, tmp_path / 'killed', last) == -signal.SIGKILL
    assert start(recipe, tmp_path / 'killed') == 0
    assert differences(tmp_path / 'killed', tmp_path / 'whole') == []
