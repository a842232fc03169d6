"""The experiment on the fully connected GAN at toy size, and its pictures."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sweep
from experiments.mnist_gan import __main__ as experiment
from experiments.mnist_gan import pictures
from experiments.results import Finished
from gan_jax import build, report
from gan_jax.evaluation.features.extractor import Extractor, Features


def look(images):
    """The mean of each row of a picture as features; which of its first ten rows is brightest as its class."""
    rows = images.astype(jnp.float32).mean((2, 3)) / 255
    return Features(rows, rows[:, :10])


BRIGHTEST_ROW = Extractor('brightest row', 'version 1', look)

TOY = {
    'data.name': 'digits',
    'data.size': '16',
    'batch_size': '250',
    'duration': '12 steps',
    'log_every': '2 steps',
    'sample_every': '6 steps',
    'checkpoint_every': '6 steps',
    'evaluate_every': '6 steps',
    'evaluation.samples': '64',
    'evaluation.split': 'train',
    'evaluation.extractor': 'tests.test_experiments_mnist_gan:BRIGHTEST_ROW',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('mnist_gan')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(root / 'cache'))
        options = ['--seeds=2', f'--runs={root}/runs', f'--out={root}/results']
        overrides = [f'--config.{key}={value}' for key, value in TOY.items()]
        assert experiment.main([*options, *overrides], samples=200) == 0
    return root / 'results'


def test_the_record_agrees_with_the_shares_of_digits(results):
    record = json.loads((results / 'results.json').read_text())
    assert list(record['values']) == list(experiment.ARMS)
    reals = np.array(record['shares']['test images'][0])
    for arm, columns in record['values'].items():
        shares = np.array(record['shares'][arm])
        assert shares.shape == (2, 10)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert columns['digits made'] == (shares >= 0.01).sum(axis=1).tolist()
        np.testing.assert_allclose(columns['commonest digit'], shares.max(axis=1))
        divergence = [sum(p * math.log(p / q) for p, q in zip(row, reals, strict=True) if p) for row in shares]
        np.testing.assert_allclose(columns['KL of digits'], divergence, atol=1e-9)
        assert all(value > 0 for value in columns['fid'])
        assert columns['fid, epoch 2'] == columns['fid']  # the toys are of one length
    assert record['protocols']['digits made'].startswith('those that are at least 1% of 200 samples')
    assert (results / 'table.md').read_text().count('±') > 8


def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'digits.png', 'epochs.png'}
    assert (results / 'page.html').read_text().count('<figure>') == 3


def test_grids_are_those_of_the_epochs(tmp_path):
    (tmp_path / 'run.json').write_text(json.dumps({'data': {'examples': 1000}}))
    (tmp_path / 'config.json').write_text(json.dumps({'batch_size': 100}))
    for step in (5, 10, 20, 48):
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', np.zeros((8, 8, 1), np.uint8))
    assert pictures.epoch(tmp_path, 2.5) == 2.5
    found = pictures.grids(tmp_path, (1, 2, 5, 10))
    assert {wanted: path.stem for wanted, path in found.items()} == {1: '00000010', 2: '00000020', 5: '00000048'}


def test_the_value_at_a_place_is_that_of_the_nearest_evaluation():
    records = [{'kimg': kimg, 'eval/fid': fid} for kimg, fid in ((60.0, 9.0), (120.0, 5.0), (180.0, 4.0))]
    run = Finished(pathlib.Path(), records, {}, 0.0)
    assert [experiment.value_at(run, 'fid', kimg) for kimg in (60, 119, 500)] == [9.0, 5.0, 4.0]


def test_full_recipes_can_be_made():
    options = sweep.parse('mnist_gan', '', ['--full'])
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (28, 28, 1))
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, 100)
        assert config.batch_size == 128
        assert config.evaluation.samples == 50_000
