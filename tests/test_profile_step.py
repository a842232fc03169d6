"""The profile of a step finds kinds, layers and FLOPs of a program whose operations are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tools import profile_step
from tools.hlo import Program, collectives

STEPS = 3

HLO = """HloModule jit_known, is_scheduled=true

%fused (param_0: f32[2,3,8,8], param_1: f32[5,3,4,4]) -> f32[2,5,8,8] {
  %param_0 = f32[2,3,8,8]{3,2,1,0} parameter(0)
  %param_1 = f32[5,3,4,4]{3,2,1,0} parameter(1)
  ROOT %inner = f32[2,5,8,8]{3,2,1,0} convolution(%param_0, %param_1), window={size=4x4}, dim_labels=bf01_oi01->bf01
}

ENTRY %main (a: f32[2,3,8,8], b: f32[5,3,4,4]) -> f32[2,5,8,8] {
  %a = f32[2,3,8,8]{3,2,1,0} parameter(0)
  %b = f32[5,3,4,4]{3,2,1,0} parameter(1)
  %c = f32[2,8,8,5]{3,2,1,0} parameter(2)
  %d = f32[2,2,5,6]{3,2,1,0} parameter(3)
  %e = f32[6]{0} parameter(4)
  %f = f32[4,3]{1,0} parameter(5)
  %g = f32[4,6]{1,0} parameter(6)
  %moved = f32[3,2,8,8]{3,2,1,0} transpose(%a), dimensions={1,0,2,3}
  %two = (f32[2,3,8,8]{3,2,1,0}, /*index=1*/f32[5,3,4,4]{3,2,1,0}) tuple(%a, %b)
  %third = (f32[2,7,7,6]{3,2,1,0}, u8[64]{0}) custom-call(%c, %d, %e), custom_call_target="__onednn$convolution", backend_config={"onednn_conv_config":{"dims":"4"}}
  %fourth = f32[3,6]{1,0} custom-call(%f, %g), custom_call_target="__onednn$matmul"
  ROOT %out = f32[2,5,8,8]{3,2,1,0} fusion(%a, %b), kind=kCustom, calls=%fused, metadata={op_name="jit(known)/while/body/transpose(jvp(Generator))/Conv_0/cond/dot_general"}
}
"""  # noqa: E501 - as XLA prints it


def test_a_program_is_read_from_its_text():
    program = Program(HLO)
    assert program.name == 'jit_known'
    assert [program.kind(name) for name in ('out', 'third', 'moved', 'two', 'unheard')] == [
        'matrix products',
        'matrix products',
        'copies',
        'copies',
        'other',
    ]
    assert program.flops('out') == 2 * (2 * 5 * 8 * 8) * (3 * 4 * 4)
    assert program.flops('third') == program.flops('third__onednn$convolution') == 2 * (2 * 7 * 7 * 6) * (2 * 2 * 5)
    assert program.flops('fourth') == 2 * 3 * 4 * 6
    assert program.flops('moved') == program.flops('unheard') == 0
    assert program.layer('out') == 'Generator/Conv_0, backward'


def test_collective_operations_are_counted_by_the_bytes_of_their_results():
    text = """
  %one = f32[3,2]{1,0} all-reduce(%a), replica_groups={{0,1}}
  %two = (bf16[4]{0}, /*index=1*/f32[]) all-reduce-start(%b, %c), replica_groups={{0,1}}
  %three = (bf16[4]{0}, f32[]) all-reduce-done(%two)
  %four = u32[10]{0} all-gather(%d), dimensions={0}
  %five = f32[3,2]{1,0} add(%one, %one), metadata={op_name="all-reduce(x)"}
"""
    assert collectives(text) == {'all-reduce': 24 + 8 + 4, 'all-gather': 40}


@pytest.fixture(scope='module')
def profile():
    """A program of which every operation is known, and its operations' times."""

    def step(carry, _):
        matrix, bits = carry
        bits = bits ^ (bits >> 3)
        matrix = jnp.tanh(matrix @ matrix.T @ matrix / 50) + bits.astype(jnp.float32)[:40, :64] * 1e-12
        return (matrix, bits), matrix.sum()

    jitted = jax.jit(lambda carry: jax.lax.scan(step, carry, None, STEPS))
    start = jnp.asarray(np.random.default_rng(0).normal(size=(40, 64)), jnp.float32), jnp.ones((64, 64), jnp.uint32)
    compiled = jitted.lower(start).compile()
    jax.block_until_ready(compiled(start))
    program = Program(compiled.as_text())
    return program, profile_step.operation_times(lambda: jax.block_until_ready(compiled(start)), program)


def test_the_kinds_are_found_and_hold_all_of_the_time(profile):
    program, times = profile
    kinds = profile_step.kind_times(program, times)
    assert {'matrix products', 'random numbers', 'reductions'} <= kinds.keys()
    assert list(kinds.values()) == sorted(kinds.values(), reverse=True)
    assert sum(kinds.values()) == pytest.approx(sum(map(sum, times.values())))


def test_the_flops_of_the_products_are_those_of_the_steps_that_ran(profile):
    program, times = profile
    flops = sum(len(each) * program.flops(name) for name, each in times.items())
    assert flops == STEPS * 2 * 2 * 40 * 40 * 64
