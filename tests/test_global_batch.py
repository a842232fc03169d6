"""Values of the global batch are the same on one device and divided over several."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import global_batch

KEY, ROWS = jax.random.key(3), jnp.arange(16.0).reshape(8, 2)


def values(rows, axis_name):
    """Values of each example, and of the whole batch."""
    positions = global_batch.positions(len(rows), axis_name)
    drawn = global_batch.draw(lambda key, row: row + jax.random.normal(key, (2,)), KEY, positions, rows)
    of_examples = positions, drawn, global_batch.roll(rows, axis_name)
    return of_examples, (global_batch.gather(rows, axis_name), global_batch.mean(rows.mean(), axis_name))


@pytest.mark.parametrize('devices', [2, 4])
def test_devices_see_what_one_device_sees(devices):
    mapped = jax.pmap(functools.partial(values, axis_name='batch'), 'batch', out_axes=(0, None))
    of_examples, of_batch = mapped(ROWS.reshape(devices, -1, 2))
    alone, whole = values(ROWS, None)
    for found, expected in zip(of_examples, alone, strict=True):
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    for found, expected in zip(of_batch, whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_rows_are_rolled_by_one_and_draws_depend_on_positions_alone():
    (positions, drawn, rolled), _ = values(ROWS, None)
    assert positions.tolist() == list(range(8))
    np.testing.assert_array_equal(rolled, np.roll(ROWS, -1, axis=0))
    later = global_batch.draw(lambda key: jax.random.normal(key, (2,)), KEY, positions[5:])
    np.testing.assert_array_equal(ROWS[5:] + later, drawn[5:])
