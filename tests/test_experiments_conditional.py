"""The experiment on conditioning at toy size, and what it measures."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import classes, sweep
from experiments.conditional import __main__ as experiment
from experiments.conditional import measures
from gan_jax import build
from gan_jax.evaluation.features.extractor import Extractor, Features


def look(images):
    """Rows and columns of a picture as features; which of its first ten rows is brightest as its class."""
    images = images.astype(jnp.float32)[..., 0] / 255
    return Features(jnp.concatenate([images.mean(1), images.mean(2)], axis=1), images.mean(2)[:, :10])


BRIGHTEST_ROW = Extractor('brightest row', 'version 1', look)

TOY = {
    'data.name': 'digits',
    'duration': '4 steps',
    'log_every': '2 steps',
    'sample_every': '2 steps',
    'checkpoint_every': '2 steps',
    'evaluate_every': '2 steps',
    'evaluation.samples': '64',
    'evaluation.split': 'train',
    'evaluation.extractor': 'tests.test_experiments_conditional:BRIGHTEST_ROW',
    'generator.width': '4',
    'discriminator.width': '4',
    'data.size': '16',
    'batch_size': '8',
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('conditional')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(root / 'cache'))
        options = ['--seeds=2', f'--runs={root}/runs', f'--out={root}/results']
        overrides = [f'--config.{key}={value}' for key, value in TOY.items()]
        assert experiment.main([*options, *overrides], samples=100) == 0
    return root / 'results'


def test_table_and_record_have_every_arm_and_measure(results):
    record = json.loads((results / 'results.json').read_text())
    assert list(record['values']) == ['unconditional', 'concatenation', 'projection']
    plain, told = record['values']['unconditional'], record['values']['concatenation']
    assert plain['asked class recognised'] == plain['intra_fid'] == [None, None]
    assert all(0 <= value <= 1 for value in told['asked class recognised'])
    assert all(value > 0 for value in told['intra_fid'] + plain['fid'])
    assert all(best <= last for best, last in zip(told['best fid'], told['fid'], strict=True))
    assert 'fitted on 80 latents, tested on the other 20' in record['protocols']['class read from z']
    assert 'brightest row' in record['protocols']['asked class recognised']
    by_class = record['recognised by class']
    assert list(by_class) == list('0123456789')
    mean = np.mean([by_class[name]['concatenation'] for name in by_class], axis=0)
    np.testing.assert_allclose(mean, told['asked class recognised'])
    assert '| projection |' in (results / 'table.md').read_text()


def test_it_leaves_pictures_of_every_arm(results):
    assert {path.name for path in results.glob('*.png')} == {
        'curves.png',
        'confusion.png',
        'samples-unconditional.png',
        'samples-concatenation.png',
        'samples-projection.png',
        'interpolation-concatenation.png',
        'interpolation-projection.png',
    }
    assert (results / 'page.html').read_text().count('<figure>') == 7


def test_full_recipes_can_be_made():
    options = sweep.parse('conditional', '', ['--full'])
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (28, 28, 1), num_classes=10)
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, config.latents.size)
        assert config.generator.width == 64


def test_a_linear_probe_reads_what_is_linearly_there():
    latents = np.random.default_rng(0).standard_normal((1000, 4))
    assert measures.probe(latents, (latents[:, 0] > 0).astype(int)).accuracy > 0.97
    hidden = measures.probe(latents, (latents[:, 0] * latents[:, 1] > 0).astype(int))
    assert abs(hidden.accuracy - 0.5) < 0.08
    assert measures.probe(latents, np.full(1000, 3)) == (1.0, 1.0)
    uneven = np.r_[np.zeros(800, int), np.ones(150, int), np.zeros(50, int)]
    assert measures.probe(latents, uneven) == (0.25, 0.75)


def test_confusion_by_hand():
    true, seen = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 2, 1, 0])
    np.testing.assert_allclose(measures.confusion(true, seen, 3), [[0.75, 0, 0.25], [0.5, 0.5, 0], [0, 0, 0]])
    shown = classes.Shown(np.zeros((6, 1)), true, seen)
    assert measures.recognised(shown) == pytest.approx(4 / 6)
    assert np.isnan(measures.recognised(shown._replace(asked=None)))


def test_the_class_is_that_of_the_largest_logit():
    images = np.zeros((2, 12, 12, 1), np.uint8)
    images[0, 7], images[1, 3] = 200, 200
    np.testing.assert_array_equal(classes.name(BRIGHTEST_ROW, images), [7, 3])
