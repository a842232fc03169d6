"""Dropout: its rate, its scale, and masks that do not depend on the device."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.dropout import Dropout


def apply(layer, inputs, seed=0, train=True):
    return layer.apply({}, inputs, train=train, rngs={'dropout': jax.random.key(seed)})


def test_it_keeps_the_expected_share_and_the_expected_value():
    outputs = np.asarray(apply(Dropout(0.25), jnp.ones((100, 400))))
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(1 / 0.75)}
    # 40,000 draws: five standard deviations of the mean are 0.011.
    assert abs((outputs == 0).mean() - 0.25) < 0.011
    assert len({row.tobytes() for row in outputs}) == 100


def test_it_is_off_in_evaluation_and_at_rate_0_and_depends_on_the_key():
    inputs = jnp.ones((4, 50))
    assert np.array_equal(apply(Dropout(0.5), inputs, train=False), inputs)
    assert np.array_equal(apply(Dropout(0.0), inputs), inputs)
    assert not np.array_equal(apply(Dropout(0.5), inputs, 1), apply(Dropout(0.5), inputs, 2))


def test_eight_devices_draw_the_masks_of_one():
    inputs = jnp.ones((16, 30))
    mapped = jax.pmap(lambda share: apply(Dropout(0.5, 'devices'), share), axis_name='devices')
    assert np.array_equal(mapped(inputs.reshape(8, 2, 30)).reshape(16, 30), apply(Dropout(0.5), inputs))
