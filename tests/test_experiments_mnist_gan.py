"""The experiment on the fully connected GAN at toy size, and its pictures."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import classes, sweep
from experiments.mnist_gan import __main__ as experiment
from experiments.mnist_gan import pictures
from gan_jax import build
from gan_jax.evaluation.features.extractor import Extractor, Features
from gan_jax.records import report
from tests import toy_experiments


def look(images):
    """The mean of each row of a picture as features; which of its first ten rows is brightest as its class."""
    rows = images.astype(jnp.float32).mean((2, 3)) / 255
    return Features(rows, rows[:, :10])


BRIGHTEST_ROW = Extractor('brightest row', 'version 1', look)

TOY = {
    'data.size': '16',
    'batch_size': '250',
    'duration': '12 steps',
    'sample_every': '6 steps',
    'checkpoint_every': '6 steps',
    'evaluate_every': '6 steps',
    'evaluation.extractor': 'tests.test_experiments_mnist_gan:BRIGHTEST_ROW',
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """Of the recipe, and of an arm whose seeds all become NaN before they are first recorded."""
    root = tmp_path_factory.mktemp('mnist_gan')
    recipe = experiment.ARMS['recipe']
    arms = {'recipe': recipe, 'wild': recipe._replace(overrides={**recipe.overrides, **toy_experiments.DIVERGING})}
    toy_experiments.run(experiment, root, arms, TOY, seeds=2, samples=200)
    return root / 'results'


def test_the_record_agrees_with_the_shares_of_digits(results):
    record = json.loads((results / 'results.json').read_text())
    reals, shares = np.array(record['shares']['test images'][0]), np.array(record['shares']['recipe'])
    assert shares.shape == (2, 10)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    columns = record['values']['recipe']
    assert columns['digits made'] == (shares >= 0.01).sum(axis=1).tolist()
    np.testing.assert_allclose(columns['commonest digit'], shares.max(axis=1))
    divergence = [sum(p * math.log(p / q) for p, q in zip(row, reals, strict=True) if p) for row in shares]
    np.testing.assert_allclose(columns['KL of digits'], divergence, atol=1e-9)
    assert all(value > 0 for value in columns['fid'])
    assert columns['fid, epoch 2'] == columns['fid']  # the arms are of one length
    assert record['protocols']['digits made'].startswith('those that are at least 1% of 200 samples')
    assert (results / 'table.md').read_text().count('±') >= 5


def test_an_arm_that_diverged_has_no_values(results):
    record = json.loads((results / 'results.json').read_text())
    assert (results.parent / 'runs/wild/member-1/diverged.json').exists()
    assert all(column == [None, None] for column in record['values']['wild'].values())
    assert 'wild' not in record['shares']
    assert '| wild | none |' in (results / 'table.md').read_text()


def test_a_seed_without_a_checkpoint_is_left_out_of_the_digits():
    shown = classes.Shown(np.zeros((4, 1)), None, np.array([0, 0, 0, 1]), np.zeros((4, 1, 1, 1), np.uint8))
    columns = experiment.columns_of_digits([None, shown], np.array([5, 5]))
    assert columns['digits made'] == pytest.approx([math.nan, 2], nan_ok=True)
    assert columns['commonest digit'] == pytest.approx([math.nan, 0.75], nan_ok=True)
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert columns['KL of digits'] == pytest.approx([math.nan, divergence], nan_ok=True)


def test_it_leaves_pictures_and_a_page(results):
    assert {path.name for path in results.glob('*.png')} == {'curves.png', 'digits.png', 'epochs.png'}
    assert (results / 'page.html').read_text().count('<figure>') == 3


def test_grids_are_those_of_the_epochs(tmp_path):
    (tmp_path / 'run.json').write_text(json.dumps({'data': {'examples': 1000}}))
    (tmp_path / 'config.json').write_text(json.dumps({'batch_size': 100}))
    for step in (5, 10, 20, 48, 960, 1000, 1040):
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', np.zeros((8, 8, 1), np.uint8))
    assert pictures.epoch(tmp_path, 2.5) == 2.5
    found = pictures.grids(tmp_path, (1, 2, 5, 10, 100))
    assert {wanted: int(path.stem) for wanted, path in found.items()} == {1: 10, 2: 20, 5: 48, 100: 1000}


def test_full_recipes_can_be_made():
    options = sweep.parse('mnist_gan', '', ['--full'])
    assert sweep.config_of(experiment.ARMS["Adam's defaults"], options).generator_optimizer.b1 == 0.9
    recipe = sweep.config_of(experiment.ARMS['recipe'], options)
    assert sweep.kimg(recipe) == pytest.approx(100 * 60, rel=0.001)
    assert {10, 25, 50, 100} < set(experiment.EPOCHS)
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (28, 28, 1))
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, 100)
        assert config.batch_size == 128
        assert config.evaluation.samples == 50_000
