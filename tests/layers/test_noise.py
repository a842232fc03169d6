"""Gaussian noise: its moments, and draws that do not depend on the device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.noise import GaussianNoise


def apply(layer, inputs, seed=0, train=True):
    return layer.apply({}, inputs, train=train, rngs={'noise': jax.random.key(seed)})


def test_it_adds_values_of_mean_0_and_its_deviation_another_for_each_example():
    added = np.asarray(apply(GaussianNoise(0.3), jnp.full((100, 400), 2.0))) - 2
    # 40,000 draws: five standard errors of the mean are 0.0075, of the deviation 0.0053, of the fourth moment 0.25.
    assert abs(added.mean()) < 0.0075
    assert abs(added.std() - 0.3) < 0.0053
    assert abs((added**4).mean() / 0.3**4 - 3) < 0.25
    assert len({row.tobytes() for row in added}) == 100


def test_it_is_off_in_evaluation_and_at_deviation_0_and_depends_on_the_key():
    inputs = jnp.ones((4, 50))
    assert np.array_equal(apply(GaussianNoise(0.5), inputs, train=False), inputs)
    assert np.array_equal(apply(GaussianNoise(0.0), inputs), inputs)
    assert not np.array_equal(apply(GaussianNoise(0.5), inputs, 1), apply(GaussianNoise(0.5), inputs, 2))
    with pytest.raises(UserError, match=r'The standard deviation of noise is -1\.0; it must be at least 0'):
        apply(GaussianNoise(-1.0), inputs)


def test_eight_devices_draw_the_noise_of_one():
    inputs = jnp.ones((16, 30))
    mapped = jax.pmap(lambda share: apply(GaussianNoise(0.5, 'devices'), share), axis_name='devices')
    assert np.array_equal(mapped(inputs.reshape(8, 2, 30)).reshape(16, 30), apply(GaussianNoise(0.5), inputs))
