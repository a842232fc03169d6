"""The experiment on DCGAN at toy size."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import results as finished
from experiments import sweep
from experiments.dcgan_cifar10 import __main__ as experiment
from gan_jax import build

TOY = {
    'data.name': 'digits',
    'data.size': '16',
    'batch_size': '8',
    'duration': '6 steps',
    'log_every': '2 steps',
    'sample_every': '2 steps',
    'checkpoint_every': '2 steps',
    'evaluate_every': '2 steps',
    'evaluation.samples': '64',
    'evaluation.split': 'train[:200]',
    'evaluation.extractor': 'tests.extractors:QUADRANTS',
    'generator.width': '4',
    'discriminator.width': '4',
    'samples': '9',
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('dcgan_cifar10')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(root / 'cache'))
        options = ['--seeds=2', f'--runs={root}/runs', f'--out={root}/results']
        overrides = [f'--config.{key}={value}' for key, value in TOY.items()]
        assert experiment.main([*options, *overrides], held_out='test[:100]') == 0
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
    assert record['real images'] == 'test[:100]'


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


def test_full_recipes_can_be_made():
    options = sweep.parse('dcgan_cifar10', '', ['--full'])
    smoothing = []
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (32, 32, 3))
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, 100)
        assert (config.batch_size, config.generator.width, config.generator.kernel_size) == (64, 128, 5)
        smoothing.append(config.loss.real_label)
    assert smoothing == [0.9, 1.0]
