"""A stretch has the same bits however it is cut."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.training.stretch import make_stretch


class State(dict):
    step = property(lambda self: self['step'])


jax.tree_util.register_pytree_node(
    State,
    lambda state: (tuple(state.values()), tuple(state)),
    lambda names, values: State(zip(names, values, strict=True)),
)


def step(state, batch, positions):
    value = state['value'] * 0.9 + batch.sum() / 3
    return State(step=state.step + 1, value=value), {'value': value, 'step': state.step.astype(jnp.float32)}


def batch_at(data, number, slot, positions):
    return data[slot] + positions + number


def test_stretches_of_one_program_follow_one_another_to_the_bit():
    data, positions = jnp.arange(30.0).reshape(10, 3), jnp.arange(3.0)
    traced = []

    def counted(*arguments):
        traced.append(1)
        return step(*arguments)

    stretch = jax.jit(make_stretch(counted, batch_at, 10))
    start = State(step=jnp.int32(5), value=jnp.float32(0.1))
    whole, metrics = stretch(start, data, positions, 0, 10)
    state, values = start, []
    for slot, count in ((0, 1), (1, 4), (5, 5)):
        state, part = stretch(state, data, positions, slot, count)
        values.append(part['value'][:count])
    assert state['value'] == whole['value']
    assert state.step == whole.step == 15
    np.testing.assert_array_equal(np.concatenate(values), metrics['value'])
    assert len(traced) == 1  # one program, in which the step is traced once


def test_the_metrics_are_those_of_single_steps():
    data, positions = jnp.arange(30.0).reshape(10, 3), jnp.arange(3.0)
    state, expected = State(step=jnp.int32(0), value=jnp.float32(0)), []
    _, metrics = make_stretch(step, batch_at, 4)(state, data, positions, 6, 3)
    for slot in (6, 7, 8):
        state, values = step(state, batch_at(data, state.step, slot, positions), positions)
        expected.append(values['value'])
    np.testing.assert_allclose(metrics['value'][:3], expected, rtol=1e-6)
    np.testing.assert_array_equal(metrics['step'], [0, 1, 2, 0])  # what lies behind the last step says nothing
