"""The experiment on WGAN-GP against GAN: its own arithmetic by hand, and a toy run."""

import json

import numpy as np
import pytest

from experiments import cost, results, sweep
from experiments.wgan_gp_vs_gan import __main__ as experiment
from experiments.wgan_gp_vs_gan import pictures
from experiments.wgan_gp_vs_gan.__main__ import ARMS, FULL, GAN, LONG, WGAN, columns, follows, last_samples
from gan_jax import config as configs
from gan_jax.records.metrics import MetricsFile
from tests import toy_experiments


@pytest.fixture
def finished(tmp_path):
    """The loss of D rises as the FID falls, at all evaluations but one; that of G stays."""
    metrics = MetricsFile(tmp_path / 'metrics.jsonl')
    for step, (loss, fid) in enumerate(((-4.0, 40.0), (-3.0, 30.0), (-1.0, 20.0), (-2.0, 10.0)), 1):
        metrics.write(10 * step - 5, step - 0.5, {'discriminator/loss': 100.0, 'generator/loss': 0.0})
        metrics.write(10 * step, step, {'discriminator/loss': loss, 'generator/loss': 1.0})
        metrics.write(10 * step, step, {'eval/fid': fid})
    return results.read(tmp_path)


def test_rank_correlation_of_losses_where_they_were_evaluated(finished):
    # Ranks 1 2 4 3 against 4 3 2 1: 1 - 6 (9 + 1 + 4 + 4) / (4 (16 - 1)) = -0.8.
    assert follows(finished, 'discriminator/loss') == pytest.approx(-0.8)
    assert np.isnan(follows(finished, 'generator/loss'))
    assert np.isnan(follows(finished, 'unheard of'))


def test_columns_at_equal_updates(finished):
    row = columns({GAN: [finished]}, 2.0)[GAN]
    assert (row['fid'], row['best fid'], row['fid, equal updates']) == ([10.0], [10.0], [30.0])
    assert row['FID ~ -loss of D'] == pytest.approx([0.8])
    assert row['diverged'] == [0.0]
    (finished.workdir / 'diverged.json').write_text('{}')
    assert columns({GAN: [finished]}, 2.0)[GAN]['diverged'] == [1.0]


def test_a_grid_of_grids_has_a_gap_for_an_arm_without_images():
    white = np.full((4, 8, 8, 1), 255, np.uint8)
    grid = pictures.samples({'a': white, 'b': None}, columns=2)
    left, right = np.split(grid, 2, axis=1)
    assert (left == 255).sum() == 4 * 16 * 16
    assert (right == 255).sum() == 0


def test_a_run_without_a_checkpoint_shows_nothing(tmp_path):
    values, images = last_samples(tmp_path)
    assert list(values) == ['digits', 'reverse KL', 'MS-SSIM']
    assert np.isnan(list(values.values())).all()
    assert images is None
    (row,) = columns({WGAN: [results.read(tmp_path)]}, 2.0).values()
    assert np.isnan([row['fid, equal updates'][0], row['FID ~ loss of G'][0]]).all()
    pictures.losses(tmp_path / 'losses.png', {WGAN: [results.read(tmp_path)]})


def test_both_games_see_as_many_real_images_and_the_published_ones_load():
    options = sweep.parse('wgan_gp_vs_gan', '', [])
    made = {arm: sweep.config_of(recipe, options) for arm, recipe in ARMS.items()}
    for arms, number, length in ((ARMS, 8, 96_000), (LONG, 4, 1_600_000)):
        configured = [sweep.config_of(recipe, options) for recipe in arms.values()]
        images = [configs.steps(one, 'duration') * one.discriminator_steps * one.batch_size for one in configured]
        assert images == [length] * number
    rates = [one.discriminator_optimizer.learning_rate for one in made.values()]
    assert rates == pytest.approx([2e-4, 2e-3, 2e-5, 2e-4, 1e-4, 1e-3, 1e-5, 1e-4])
    bare = {
        player: [made[f'{name}, no norm'][player].to_dict() for name in (GAN, WGAN)]
        for player in ('generator', 'discriminator')
    }
    assert all(first == second for first, second in bare.values())
    full = sweep.config_of(FULL[WGAN], options)
    assert (full.duration, full.generator.width, full.data.name) == ('200000 steps', 64, 'cifar10')


def test_at_toy_size_arms_are_in_table_and_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, 'SAMPLES', 40)
    monkeypatch.setattr(experiment, 'PAIRS', 20)
    monkeypatch.setattr(cost, 'seconds_per_step', lambda path, arms: dict.fromkeys(arms, 0.5))
    penalised = {'loss.name': 'wasserstein', 'penalties.gradient_penalty.weight': '10.0'}
    arms = {GAN: sweep.Arm(toy_experiments.RECIPE), WGAN: sweep.Arm(toy_experiments.RECIPE, penalised)}
    toy_experiments.run(experiment, tmp_path, arms, {'evaluate': 'fid,inception_score'})
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == [GAN, WGAN]
    for row in record['values'].values():
        assert row['fid'][0] > 0
        assert row['inception_score'][0] >= 1
        assert 'precision' not in row  # was not evaluated
        assert 1 <= row['digits'][0] <= 2  # the toy classifier knows two classes
        assert 0 < row['MS-SSIM'][0] < 1
    assert record['seconds of a step of the generator'] == {GAN: 0.5, WGAN: 0.5}
    for name in ('table.md', 'losses.png', 'curves.png', 'samples.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 500


def test_a_measured_cost_is_believed_for_the_same_arms_only(tmp_path, monkeypatch):
    config = configs.load(f'{sweep.ROOT}/configs/toy.py', {'batch_size': '8', 'log_every': '1 steps'})
    first = cost.seconds_per_step(tmp_path / 'cost.json', {'toy': config})
    assert first['toy'] > 0
    monkeypatch.setattr(cost, 'Program', None)  # nothing is run again
    assert cost.seconds_per_step(tmp_path / 'cost.json', {'toy': config}) == first
    with pytest.raises(TypeError):
        cost.seconds_per_step(tmp_path / 'cost.json', {'other': config})
