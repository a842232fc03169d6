"""The experiment on vanishing gradients: its measurements against a game that can be computed by hand, and toy runs."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sweep
from experiments.vanishing_gradients import __main__ as experiment
from experiments.vanishing_gradients.__main__ import FULL, STAGES
from experiments.vanishing_gradients.probe import iterations, make_probe
from gan_jax import adversarial, build, data, losses
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.networks import pure
from gan_jax.records import report
from tests import toy_experiments

LOSSES = {
    'saturating': losses.minimax(),
    'non-saturating': losses.non_saturating(),
    'Wasserstein': losses.wasserstein(),
}


def test_iterations_are_dense_at_first():
    assert iterations(1000)[:4] == [0, 1, 2, 4]
    assert iterations(1000)[-1] == 1000
    assert iterations(1) == [0, 1]


@pytest.fixture(scope='module')
def shifted():
    """Normal points moved by the generator's parameters, judged by a plane: every gradient is along its normal w."""
    generator = pure(lambda key: jnp.array([-4.0, 0.0]), lambda shift, latents: latents + shift)
    discriminator = pure(lambda key: jax.random.normal(key, (2,)), lambda w, points: points @ w)
    games = {name: adversarial.adversarial(generator, discriminator, loss, 2) for name, loss in LOSSES.items()}
    overrides = {'duration': '40 steps', 'batch_size': '32', 'discriminator_optimizer.name': 'sgd'}
    overrides['discriminator_optimizer.learning_rate'] = '0.1'
    config = configs.load(f'{sweep.ROOT}/configs/toy.py', overrides)
    points = np.random.default_rng(0).normal((4, 0), size=(256, 2)).astype(np.float32)
    dataset = data.Dataset('moved', 'train', points, None, None, 'moved')
    state = build.init_state(config, games['saturating'])
    return make_probe(config, games, dataset)(state.generator, 0)


def test_norms_of_a_linear_game(shifted):
    """With s(l) + s(-l) = 1 the two logistic gradients add up to w, which is Wasserstein's for every batch."""
    norms = {name: np.array(values) for name, values in shifted['norms'].items()}
    np.testing.assert_allclose(norms['saturating'] + norms['non-saturating'], norms['Wasserstein'], rtol=1e-5)
    np.testing.assert_allclose(shifted['variances']['Wasserstein'], 0, atol=1e-10)
    assert shifted['variances']['saturating'][-1] > 0


def test_the_saturating_gradient_vanishes_where_the_discriminator_is_right(shifted):
    share = np.array(shifted['norms']['saturating']) / shifted['norms']['Wasserstein']
    assert shifted['iterations'][-1] == 40
    assert shifted['accuracy'][-1] > 0.95
    assert share[-1] < 0.1
    assert shifted['loss'][-1] < shifted['loss'][0]


@pytest.mark.parametrize('channels', [1, 3])
def test_samples_of_stages_stand_side_by_side(tmp_path, channels):
    for step in (50, 500):
        picture = np.full((4, 4, channels), step // 2, np.uint8)
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', picture)
    grid = experiment.grid_of(tmp_path, (50, 500))
    assert grid.shape == (4 + 2 * 12, 2 * 4 + 3 * 12, channels)
    assert [grid[14, 14, 0], grid[14, 30, 0]] == [25, 250]


def test_runs_without_a_checkpoint_are_left_out(tmp_path, monkeypatch):
    directories = [tmp_path / f'member-{seed}' for seed in range(3)]
    found = {directories[1] / 'checkpoints': {}}
    monkeypatch.setattr(experiment.checkpoint, 'peek', found.get)
    assert experiment.trained(directories) == {1: directories[1]}
    with pytest.raises(UserError, match='All DCGANs diverged'):
        experiment.trained(directories[:1])


CHANGES = {'duration': '3 steps', 'log_every': '3 steps', 'sample_every': '3 steps', 'checkpoint_every': '3 steps'}
CRITICS = {
    'cross-entropy': {},
    'clipped critic': {'discriminator_optimizer.clip_weights': '0.01'},
    'penalised critic': {'penalties.gradient_penalty.weight': '10.0'},
}


@pytest.mark.slow
def test_at_toy_size_every_loss_is_measured_at_every_stage_and_kept(tmp_path, capsys):
    of_probes = experiment.SMALL[1].items()
    probes = {name: one._replace(arm=sweep.Arm(toy_experiments.RECIPE, CRITICS[name])) for name, one in of_probes}
    small = {'GAN': sweep.Arm(toy_experiments.RECIPE)}, probes
    toy_experiments.run(experiment, tmp_path, small, CHANGES, name='SMALL')
    first = (tmp_path / 'results/results.json').read_text()
    record = json.loads(first)
    curves = record['curves']
    assert list(curves) == ['saturating', 'non-saturating', 'Wasserstein, clipped', 'Wasserstein, penalty']
    assert len(record['values']) == len(curves) * len(STAGES)
    for loss, of_stages in curves.items():
        (one,) = of_stages['late']
        assert one['iterations'] == [0, 1, 2, 3]
        assert min(one['norms'][loss]) > 0
    # The clipped critic's weights have deviations above 0.1 before its first step and are at most 0.01 after it.
    clipped = curves['Wasserstein, clipped']['late'][0]['norms']['Wasserstein, clipped']
    assert clipped[1] < clipped[0] / 2
    for name in ('table.md', 'gradients.png', 'samples.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 500
    capsys.readouterr()
    toy_experiments.run(experiment, tmp_path, small, CHANGES, name='SMALL')  # nothing is trained again
    assert 'against seed' not in capsys.readouterr().out
    assert (tmp_path / 'results/results.json').read_text() == first


def test_the_published_recipe_loads():
    arms, probes = FULL
    options = sweep.parse('vanishing_gradients', '', ['--full'])
    config = sweep.config_of(arms['DCGAN'], options)
    assert (config.data.size, config.generator.width, config.checkpoints.keep_last) == (64, 64, 25)
    for probe in probes.values():
        one = sweep.config_of(probe.arm, options)
        assert (one.duration, one.discriminator_steps, one.latents.size) == ('4000 steps', 1, config.latents.size)
        build.make_game(one, (64, 64, 3))
