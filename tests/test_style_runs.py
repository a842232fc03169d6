"""Runs of style generators, noise, mixing and lazy penalties included: on several devices, in populations, killed."""

import functools
import pathlib

import numpy as np
import pytest

from gan_jax import config
from gan_jax.train import train, train_population
from tests.same_players import assert_close

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {
    'data.size': '8',
    'batch_size': '32',  # a group of the minibatch deviation for each of eight devices
    'latents.size': '8',
    'duration': '9 steps',  # with two turns of path length and R1
    'log_every': '3 steps',
    'sample_every': '9 steps',
    'checkpoint_every': '4 steps',
    'samples': '4',
    'generator.max_width': '8',
    'generator.w_size': '8',
    'discriminator.max_width': '8',
    'generator.mixing': '0.9',
    'lazy.generator': '4',
    'lazy.discriminator': '8',
    # Plain gradient descent: Adam would blow rounding noise up where a gradient is exactly zero.
    'generator_optimizer.name': 'sgd',
    'discriminator_optimizer.name': 'sgd',
}

pytestmark = pytest.mark.slow


def make_config(**overrides):
    return config.load(f'{ROOT}/configs/stylegan2.py', SMALL | overrides)


@functools.cache
def alone(directory):
    return train(make_config(seed='1', **{'parallel.devices': '1'}), directory / 'alone')


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp('styles')


@pytest.mark.parametrize('mode', ['pmap', 'sharding'])
def test_eight_devices_give_the_run_of_one(directory, mode):
    sharded = make_config(seed='1', **{'parallel.devices': '8', 'parallel.mode': mode})
    assert_close(train(sharded, directory / mode), alone(directory))


def test_a_member_of_a_population_is_the_run_of_its_seed(directory):
    states = train_population(make_config(population='2'), directory / 'population')
    assert_close(states[1], alone(directory))
    average = states[0].generator.variables['styles']['average']
    assert np.abs(average - states[1].generator.variables['styles']['average']).max() > 1e-3
