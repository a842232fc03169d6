"""The last layer of slicing adversarial networks."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.layers.networks import slice_features

FEATURES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
WEIGHTS = np.array([2.0, -1.0, 2.0], np.float32)  # of length 3
TOY = str(pathlib.Path(__file__).parents[2] / 'configs' / 'toy.py')


@pytest.mark.parametrize('weights', [WEIGHTS, WEIGHTS * np.arange(1, 6, dtype=np.float32)[:, None]])
def test_both_are_the_inner_product(weights):
    for values in slice_features(FEATURES, weights):
        np.testing.assert_allclose(values, (FEATURES * weights).sum(-1), rtol=1e-5)


def test_the_game_teaches_features_and_length_and_the_other_the_direction():
    unit = WEIGHTS / 3
    along = np.outer(unit, unit)

    def gradients(which):
        return jax.grad(lambda features, weights: slice_features(features, weights)[which].sum(), argnums=(0, 1))(
            FEATURES, WEIGHTS
        )

    features, weights = gradients(0)
    np.testing.assert_allclose(features, np.tile(WEIGHTS, (5, 1)), rtol=1e-6)
    np.testing.assert_allclose(weights, along @ FEATURES.sum(0), rtol=1e-5, atol=1e-6)
    features, weights = gradients(1)
    assert not features.any()
    np.testing.assert_allclose(weights, (np.eye(3) - along) @ FEATURES.sum(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('conditioning', ['none', 'projection'])
def test_a_config_trains_with_it_and_its_loss_is_a_metric(conditioning):
    small = {
        'batch_size': '12',
        'generator.widths': '(4,)',
        'discriminator.widths': '(4,)',
        'discriminator.slicing': 'True',
        'discriminator.conditioning': conditioning,
        'generator.conditioning': 'none' if conditioning == 'none' else 'concatenate',
    }
    options = config.load(TOY, small)
    game = build.make_game(options, (2,), num_classes=None if conditioning == 'none' else 3)
    state = build.init_state(options, game)
    batch = {'real': jax.random.normal(jax.random.key(0), (12, 2))}
    if conditioning != 'none':
        batch['label'] = jnp.arange(12) % 3
    after, metrics = jax.jit(build.make_step(options, game))(state, batch)
    assert metrics['discriminator/direction'] != 0
    assert (after.discriminator.params['direction'] != state.discriminator.params['direction']).all()
