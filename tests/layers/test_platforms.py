"""Forms of a computation for a CPU and for other devices."""

import jax
import jax.numpy as jnp
import pytest

from gan_jax.layers.platforms import by_platform, traced_for
from gan_jax.runtime import parallel


def _program(x):
    return by_platform(jnp.sin, jnp.cos, x)


def _primitives():
    def program(x):  # a new function: JAX keeps what it has traced
        return _program(x)

    return {equation.primitive.name for equation in jax.make_jaxpr(program)(1.0).eqns}


@pytest.mark.parametrize(('platform', 'there'), [('cpu', {'sin'}), ('gpu', {'cos'}), ('tpu', {'cos'})])
def test_a_program_for_one_platform_has_its_form_alone(platform, there):
    with traced_for(platform):
        assert _primitives() == there


def test_a_program_for_all_platforms_has_both():
    with traced_for(None):
        assert 'cond' in _primitives()
        for platform, there in (('cpu', 'sine'), ('cuda', 'cosine'), ('tpu', 'cosine')):
            lowered = jax.jit(_program).trace(1.0).lower(lowering_platforms=(platform,))
            assert f'stablehlo.{there} ' in lowered.as_text()
        with traced_for('tpu'):
            assert _primitives() == {'cos'}
        assert 'cond' in _primitives()


def test_training_traces_for_its_devices_alone():
    layout = parallel.make_layout(2, num_devices=1)

    def stretch(state, data, positions, slot, count):
        return _program(state), data

    with traced_for(None):
        program = layout.compile(stretch, data_axis=None)
        lowered = program.lower(1.0, 2.0, layout.local_positions, 0, 1).as_text()
        assert 'stablehlo.sine' in lowered
        assert 'stablehlo.case' not in lowered
        assert program(jnp.float32(1.0), 2.0, layout.local_positions, 0, 1)[0] == jnp.sin(1.0)
