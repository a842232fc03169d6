"""The experiment on conditioning at toy size, and what it measures."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import classes, sweep
from experiments.conditional import __main__ as experiment
from experiments.conditional import measures
from gan_jax import build
from gan_jax.evaluation.features.extractor import Extractor, Features
from tests import toy_experiments


def look(images):
    """Rows and columns of a picture as features; which of its first ten rows is brightest as its class."""
    images = images.astype(jnp.float32)[..., 0] / 255
    return Features(jnp.concatenate([images.mean(1), images.mean(2)], axis=1), images.mean(2)[:, :10])


BRIGHTEST_ROW = Extractor('brightest row', 'version 1', look)

TOLD = {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'projection'}
ARMS = {
    'unconditional': sweep.Arm(toy_experiments.RECIPE, {'evaluate': 'fid'}),
    'projection': sweep.Arm(toy_experiments.RECIPE, TOLD | {'evaluate': 'fid,intra_fid'}),
}
TOY = {
    'data.size': '16',
    'evaluate': None,
    'evaluation.samples': '64',
    'evaluation.extractor': 'tests.test_experiments_conditional:BRIGHTEST_ROW',
    'samples': '10',
}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp('conditional')
    toy_experiments.run(experiment, root, ARMS, TOY, samples=100)
    return root / 'results'


def test_table_and_record_have_every_arm_and_measure(results):
    record = json.loads((results / 'results.json').read_text())
    assert list(record['values']) == ['unconditional', 'projection']
    plain, told = record['values']['unconditional'], record['values']['projection']
    assert plain['asked class recognised'] == plain['intra_fid'] == [None]
    assert all(0 <= value <= 1 for value in told['asked class recognised'])
    assert all(value > 0 for value in told['intra_fid'] + plain['fid'])
    assert all(best <= last for best, last in zip(told['best fid'], told['fid'], strict=True))
    assert 'fitted on 80 latents, tested on the other 20' in record['protocols']['class read from z']
    assert 'brightest row' in record['protocols']['asked class recognised']
    by_class = record['recognised by class']
    assert list(by_class) == list('0123456789')
    mean = np.mean([by_class[name]['projection'] for name in by_class], axis=0)
    np.testing.assert_allclose(mean, told['asked class recognised'])
    assert '| projection |' in (results / 'table.md').read_text()


def test_it_leaves_pictures_of_every_arm(results):
    assert {path.name for path in results.glob('*.png')} == {
        'curves.png',
        'confusion.png',
        'samples-unconditional.png',
        'samples-projection.png',
        'interpolation-projection.png',
    }
    assert (results / 'page.html').read_text().count('<figure>') == 5


def test_full_recipes_can_be_made():
    options = sweep.parse('conditional', '', ['--full'])
    for arm in experiment.ARMS.values():
        build.make_game(sweep.config_of(arm, options), (28, 28, 1), num_classes=10)
    for arm in experiment.FULL.values():
        config = sweep.config_of(arm, options)
        game = build.make_game(config, (28, 28, 1), num_classes=10)
        assert game.latents(jax.random.key(0), jnp.arange(2)).shape == (2, config.latents.size)
        assert config.generator.width == 64
    config = sweep.config_of(experiment.ARMS['embedding on the features'], options)
    game = build.make_game(config, (28, 28, 1), num_classes=10)
    params, _ = jax.eval_shape(game.init, jax.random.key(0))['discriminator']
    assert (10, 50) in {leaf.shape for leaf in jax.tree.leaves(params)}


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
    shown = classes.Shown(np.zeros((6, 1)), true, seen, np.zeros((6, 1, 1, 1), np.uint8))
    assert measures.recognised(shown) == pytest.approx(4 / 6)
    assert np.isnan(measures.recognised(shown._replace(asked=None)))


def test_a_seed_without_a_checkpoint_is_left_out_of_the_classes(tmp_path):
    assert classes.of_samples(tmp_path, 10) is None
    shown = classes.Shown(np.eye(5), np.arange(5), np.array([0, 1, 2, 3, 0]), np.zeros((5, 1, 1, 1), np.uint8))
    columns = experiment.columns_of_classes([None, shown], np.ones(5, int))
    assert columns['asked class recognised'] == pytest.approx([np.nan, 0.8], nan_ok=True)
    assert columns['by guessing'] == pytest.approx([np.nan, 1.0], nan_ok=True)
    assert np.isnan([columns['KL of classes'][0], columns['class read from z'][0]]).all()


def test_a_classifier_of_the_data_names_classes_in_the_place_of_inception(monkeypatch):
    plain = BRIGHTEST_ROW._replace(name='inception-tf1')
    monkeypatch.setattr(classes, 'find_extractor', lambda spec, *data: BRIGHTEST_ROW if spec == 'classifier' else plain)
    config = ConfigDict({'evaluation': {'extractor': 'auto'}, 'data': {'name': 'cifar10'}})
    assert classes.find_classifier(config, (32, 32, 3)) is BRIGHTEST_ROW
    plain = plain._replace(name='classifier-cifar10')
    assert classes.find_classifier(config, (32, 32, 3)) is plain


def test_the_class_is_that_of_the_largest_logit():
    images = np.zeros((2, 12, 12, 1), np.uint8)
    images[0, 7], images[1, 3] = 200, 200
    np.testing.assert_array_equal(classes.classify(BRIGHTEST_ROW, images), [7, 3])
