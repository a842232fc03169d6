"""Noise on stages: published levels, nested variances, the same draws on any number of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.layers import stages
from gan_jax.layers.stages import LEVELS, perturb

KEY = jax.random.key(3)


def test_levels_of_four_stages():
    signal, noise = stages.linear(4)
    np.testing.assert_allclose(noise, [0.885, 0.76, 0.51, 0.01], atol=1e-12)
    np.testing.assert_allclose(signal + noise, 1)
    signal, noise = stages.exponential(4)
    np.testing.assert_allclose(signal, [0.125, 0.25, 0.5, 1], atol=1e-12)
    np.testing.assert_allclose(signal**2 + noise**2, 1)
    assert stages.linear(1)[1] == pytest.approx(0.01)
    assert LEVELS['none'](4) is None


@pytest.mark.parametrize('name', ['linear', 'exponential'])
def test_noises_are_nested_and_have_their_deviations(name):
    signal, spread = LEVELS[name](4)
    noise = np.asarray(perturb(jnp.zeros((4, 4, 40_000)), (signal, spread), KEY, jnp.arange(4), 0.5), np.float64)
    covariance = np.einsum('bin,bjn->ij', noise, noise) / noise[:, 0].size
    # Stage k is a_k / a_j times the noise of a later stage j, plus what does not depend on it.
    ratio = signal[:, None] / signal
    wanted = 0.25 * np.where(ratio <= 1, ratio * spread**2, (ratio * spread**2).T)
    np.testing.assert_allclose(covariance, wanted, atol=6 * 0.25 * 160_000**-0.5)


def test_a_stage_is_its_signal_and_the_noise_of_its_place():
    pictures = jax.random.normal(jax.random.key(0), (8, 4, 2, 2, 1))
    levels, places = stages.linear(4), jnp.arange(8)
    noise = perturb(jnp.zeros_like(pictures), levels, KEY, places)
    made = perturb(pictures, levels, KEY, places)
    np.testing.assert_allclose(made, levels[0][:, None, None, None] * pictures + noise, atol=1e-6)
    assert len(np.unique(np.asarray(noise)[:, 0, 0, 0, 0])) == 8
    np.testing.assert_allclose(perturb(pictures[4:], levels, KEY, places[4:]), made[4:], atol=1e-6)
