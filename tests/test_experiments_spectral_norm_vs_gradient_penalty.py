"""The experiment on spectral norm against gradient penalty: singular values against numpy's, slopes, a toy run."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cost, results, sweep
from experiments.spectral_norm_vs_gradient_penalty import __main__ as experiment
from experiments.spectral_norm_vs_gradient_penalty import lipschitz
from experiments.spectral_norm_vs_gradient_penalty.__main__ import (
    ARMS,
    FULL,
    Steepness,
    draw,
    last_grid,
    measure,
)
from experiments.sweep import Arm
from gan_jax import build
from gan_jax.judgement import judgement
from gan_jax.layers.linear import Conv, Dense
from gan_jax.models.dcgan import Discriminator
from gan_jax.records import report
from tests import toy_experiments


def made(layer, shape):
    """A layer's variables, with a bias, which is no part of its linear map."""
    variables = layer.init(jax.random.key(1), jnp.zeros(shape), train=False)
    bias = jnp.full_like(variables['params']['bias'], 3.0)
    return {**variables, 'params': {**variables['params'], 'bias': bias}}


def matrix(layer, variables, shape):
    """The linear map as a matrix [inputs, outputs] in float64, one column of the identity at a time."""
    size = math.prod(shape)
    outputs = layer.apply(variables, jnp.eye(size).reshape(size, *shape[1:]), train=False)
    return np.asarray(outputs - variables['params']['bias'], np.float64).reshape(size, -1)


@pytest.mark.parametrize('iterations', [0, 30])
def test_norm_of_a_convolution_is_that_of_its_matrix(iterations):
    layer, shape = Conv(3, kernel_size=4, stride=2, spectral_iterations=iterations), (1, 8, 8, 2)
    variables = made(layer, shape)
    expected = np.linalg.norm(matrix(layer, variables, shape), 2)
    operator = float(lipschitz.operator_norm(layer, variables, shape))
    assert operator == pytest.approx(expected, rel=1e-4)
    kernel = lipschitz.kernel_norm(layer, variables)
    if iterations:
        assert kernel == pytest.approx(1, rel=1e-4)  # Miyato's normalisation, while the map itself is longer
        assert operator > 1.1
    else:
        reshaped = np.asarray(variables['params']['kernel'], np.float64).reshape(-1, 3)
        assert kernel == pytest.approx(np.linalg.norm(reshaped, 2), rel=1e-6)


def test_windows_that_do_not_overlap_make_both_norms_equal():
    for layer, shape in ((Conv(4, kernel_size=2, stride=2), (1, 6, 6, 3)), (Dense(5), (1, 7))):
        variables = made(layer, shape)
        operator = float(lipschitz.operator_norm(layer, variables, shape))
        assert operator == pytest.approx(lipschitz.kernel_norm(layer, variables), rel=1e-4)


def test_slopes_stay_below_the_product_of_the_layers():
    shape = (8, 8, 1)
    module = Discriminator(width=4, normalization='none', initializer='he')
    variables = module.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)
    layers = lipschitz.layers(module, variables, shape)
    assert list(layers) == ['Conv_0', 'Dense_0']
    real, fake = np.random.default_rng(0).normal(size=(2, 16, *shape)).astype(np.float32)
    slopes = lipschitz.slopes(lambda images: judgement(module.apply(variables, images, train=False)).logits, real, fake)
    steepness = Steepness(layers, slopes)
    assert max(norms.max() for norms in slopes.values()) <= steepness.bound('operator')
    columns = steepness.columns()
    assert columns['bound by operators'] == pytest.approx(layers['Conv_0'].operator * layers['Dense_0'].operator)
    assert columns['slope, largest'] >= columns['slope, 99 %'] >= columns['slope, real'] > 0


def test_slopes_of_a_plane():
    normal = np.array([3.0, 4.0], np.float32)
    real, fake = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)
    slopes = lipschitz.slopes(lambda points: points @ normal, real, fake)
    assert list(slopes) == ['real', 'fake', 'between']
    for norms in slopes.values():
        np.testing.assert_allclose(norms, 5, rtol=1e-6)


def test_all_arms_have_the_same_generator_and_the_published_ones_load():
    options = sweep.parse('spectral_norm_vs_gradient_penalty', '', [])
    configs = {arm: sweep.config_of(recipe, options) for arm, recipe in ARMS.items()}
    assert {one.loss.name for one in configs.values()} == {'hinge'}
    assert len({str(one.generator.to_dict()) for one in configs.values()}) == 1
    assert [one.discriminator.normalization for one in configs.values()] == ['none', 'spectral', 'none', 'none']
    for recipe in FULL.values():
        config = sweep.config_of(recipe, options)
        assert (config.model, config.duration) == ('sngan', '100000 steps')
        build.make_game(config, (32, 32, 3))


def test_a_run_without_a_checkpoint_has_no_steepness_and_no_samples(tmp_path):
    steepness = measure(tmp_path)
    assert all(math.isnan(value) for value in steepness.columns().values())
    draw(tmp_path / 'steepness.png', {'nothing': [steepness]})
    assert last_grid([results.read(tmp_path)]) is None
    report.save_png(tmp_path / 'samples.png', np.zeros((8, 8, 1), np.uint8))
    assert last_grid([results.read(tmp_path)]).shape == (8, 8, 1)


@pytest.mark.slow
def test_at_toy_size_every_seed_is_measured(tmp_path, monkeypatch):
    changes = {
        'spectral norm': {'discriminator.normalization': 'spectral', 'discriminator.spectral_iterations': '10'},
        'gradient penalty': {'penalties.gradient_penalty.weight': '10.0'},
    }
    arms = {arm: Arm(toy_experiments.RECIPE, change) for arm, change in changes.items()}
    monkeypatch.setattr(experiment, 'POINTS', 20)
    monkeypatch.setattr(cost, 'seconds_per_step', lambda path, arms: dict.fromkeys(arms, 0.5))
    monkeypatch.setattr(lipschitz, 'ITERATIONS', 100)
    toy_experiments.run(experiment, tmp_path, arms, {'evaluate': 'fid,inception_score'})
    record = json.loads((tmp_path / 'results/results.json').read_text())
    assert list(record['values']) == list(changes)
    for arm, row in record['values'].items():
        (layers,) = record['layers'][arm]
        assert row['bound by operators'][0] == pytest.approx(math.prod(one['operator'] for one in layers.values()))
        assert row['slope, largest'][0] <= row['bound by operators'][0]
        assert (row['ms a step'], row['images/s']) == ([500], [16])
        assert row['inception_score'][0] >= 1
    for name in ('table.md', 'steepness.png', 'curves.png', 'samples.png', 'page.html'):
        assert (tmp_path / 'results' / name).stat().st_size > 500
