"""The experiment on DCGAN at toy size."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import results as finished
from experiments import sweep
from experiments.dcgan_cifar10 import __main__ as experiment
from gan_jax import build
from gan_jax.records.metrics import MetricsFile
from tests import toy_experiments

TOY = {
    'duration': '6 steps',
    'evaluate': None,
    'evaluation.samples': '64',
    'evaluation.split': 'train[:200]',
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('dcgan_cifar10')
    own = {key: experiment.SMALL[key] for key in ('evaluate', 'checkpoints.best_metric')}
    toy_experiments.run(experiment, root, {'DCGAN': sweep.Arm(toy_experiments.RECIPE, own)}, TOY, seeds=2)
    return root


def test_final_best_and_real_images_in_the_table(root):
    record = json.loads((root / 'results/results.json').read_text())
    runs = [finished.read(root / f'runs/dcgan/member-{i}') for i in range(2)]
    values = record['values']['DCGAN']
    assert values['fid'] == [run.final('fid') for run in runs]
    assert values['best fid'] == [run.best('fid') for run in runs]
    for run, kimg, best in zip(runs, values['best at kimg'], values['best fid'], strict=True):
        places, fids = run.curve('eval/fid')
        assert len(fids) == 3
        assert fids[places == kimg] == [best]
    real = record['values']['real images']
    assert real['fid'][0] < min(values['best fid'])
    assert real['recall'][0] > 0.5
    assert record['real images'] == 'test[:64]'  # as many as samples


def test_it_leaves_the_best_and_the_final_grid(root):
    out = root / 'results'
    names = {'curves.png', 'real.png', 'best-dcgan.png', 'final-dcgan.png'}
    assert {path.name for path in out.glob('*.png')} == names
    run = root / 'runs/dcgan/member-0'
    assert (out / 'final-dcgan.png').read_bytes() == (run / 'samples/00000006.png').read_bytes()
    best = experiment.best_evaluation(finished.read(run))['step']
    assert (out / 'best-dcgan.png').read_bytes() == (run / f'samples/{best:08d}.png').read_bytes()
    assert np.asarray(Image.open(out / 'real.png')).shape == np.asarray(Image.open(out / 'final-dcgan.png')).shape
    assert (out / 'page.html').read_text().count('<figure>') == 4


def test_a_run_without_a_finite_fid_or_without_grids_has_no_best_one(tmp_path):
    metrics = MetricsFile(tmp_path / 'metrics.jsonl')
    metrics.write(2, 0.2, {'eval/fid': math.nan})
    assert experiment.best_evaluation(finished.read(tmp_path)) is None
    assert experiment.best_and_final_grid(finished.read(tmp_path)) == {}
    grids = [tmp_path / f'samples/{step:08d}.png' for step in (2, 5, 9)]
    grids[0].parent.mkdir()
    for grid in grids:
        grid.touch()
    assert experiment.best_and_final_grid(finished.read(tmp_path)) == {'final': grids[2]}
    for step, fid in ((4, 3.0), (6, 8.0)):
        metrics.write(step, step / 10, {'eval/fid': fid})
    assert experiment.best_evaluation(finished.read(tmp_path))['kimg'] == 0.4
    assert experiment.best_and_final_grid(finished.read(tmp_path)) == {'best': grids[1], 'final': grids[2]}


def test_full_recipes_can_be_made():
    options = sweep.parse('dcgan_cifar10', '', ['--full'])
    small = sweep.config_of(experiment.ARMS['DCGAN'], options)
    build.make_game(small, (32, 32, 3))
    smoothing = []
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (32, 32, 3))
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, 100)
        players = jax.eval_shape(game.init, jax.random.key(0))
        sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(params)) for name, (params, _) in players.items()}
        assert sizes == {'generator': 12_140_035, 'discriminator': 663_361}  # as in tests/models/test_dcgan.py
        assert config.batch_size == 64
        smoothing.append(config.loss.real_label)
    assert smoothing == [0.9, 1.0]
