"""Convolutions of any layout become NHWC x HWIO -> NHWC wherever they stand, and the values stay."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax import config
from gan_jax.layers.platforms import traced_for
from gan_jax.runtime import parallel
from gan_jax.runtime.canonical import canonical
from gan_jax.sampling.inversion import _descend, squared_error
from gan_jax.train import train, train_population

CONFIG = pathlib.Path(__file__).parent.parent / 'configs' / 'dcgan.py'
WEIGHTS = 'learning_rate', 'prior', 'variance'
CANONICAL = ('b, 0, 1, f', '0, 1, i, o', 'b, 0, 1, f')
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 6)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 2, 6, 4)).astype(np.float32)


def layouts(lowered):
    """The layouts of the convolutions in the program that XLA is given."""
    found = re.findall(r'dim_numbers = \[(.*?)\]x\[(.*?)\]->\[(.*?)\]', lowered.as_text())
    assert found
    return set(found)


def convolve(images, kernel, specs=('NHWC', 'HWIO', 'NHWC'), **options):
    strides = options.pop('strides', (1, 1))
    return lax.conv_general_dilated(images, kernel, strides, ((1, 1), (0, 1)), dimension_numbers=specs, **options)


@pytest.mark.parametrize(
    ('specs', 'options'),
    [
        (('NCHW', 'OIHW', 'NCHW'), {'strides': (2, 1)}),
        (('HWNC', 'IHWO', 'CNHW'), {'rhs_dilation': (1, 2)}),
        (('NHWC', 'OHWI', 'NHWC'), {'lhs_dilation': (2, 3)}),
        (('CHWN', 'HWIO', 'NWHC'), {'strides': (2, 1), 'feature_group_count': 2}),
    ],
)
def test_every_layout_gives_the_values_of_the_canonical_one(specs, options):
    def permuted(array, before, after):
        return np.transpose(array, [before.index(axis) for axis in after])

    kernel = KERNEL[:, :, : 6 // options.get('feature_group_count', 1)]
    expected = convolve(IMAGES, kernel, **options)
    arguments = permuted(IMAGES, 'NHWC', specs[0]), permuted(kernel, 'HWIO', specs[1])
    program = jax.jit(canonical(lambda images, kernel: convolve(images, kernel, specs, **options))).lower(*arguments)
    assert layouts(program) == {CANONICAL}
    result = permuted(program.compile()(*arguments), specs[2], 'NHWC')
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def gradient(images, kernel):
    return jax.grad(lambda kernel: jnp.sum(jnp.tanh(convolve(images, kernel))))(kernel)


@jax.custom_vjp
def with_own_rule(images, kernel):
    return gradient(images, kernel)


with_own_rule.defvjp(lambda *inputs: (with_own_rule(*inputs), inputs), lambda inputs, _: inputs)

PLACES = {
    'outermost': gradient,
    'jit': jax.jit(gradient),
    'scan': lambda images, kernel: lax.scan(lambda k, _: (k - gradient(images, k), None), kernel, length=2)[0],
    'while': lambda images, kernel: lax.while_loop(
        lambda k: jnp.sum(jnp.square(gradient(images, k))) < 0, lambda k: gradient(images, k), kernel
    ),
    'branch': lambda images, kernel: lax.cond(kernel.sum() < 9, gradient, lambda _, k: k, images, kernel),
    'vmap': lambda images, kernel: jax.vmap(gradient, (0, None))(images.reshape(2, 2, 8, 8, 6), kernel),
    'remat': jax.checkpoint(gradient),
    'rule': with_own_rule,
    'shared': lambda images, kernel: jax.jit(gradient)(images, kernel) + jax.jit(gradient)(images, 2 * kernel),
}


@pytest.mark.parametrize('place', PLACES)
def test_convolutions_are_found_wherever_they_stand(place):
    plain, changed = (jax.jit(f).lower(IMAGES, KERNEL) for f in (PLACES[place], canonical(PLACES[place])))
    assert layouts(plain) != {CANONICAL} == layouts(changed)
    np.testing.assert_allclose(changed.compile()(IMAGES, KERNEL), plain.compile()(IMAGES, KERNEL), rtol=1e-4, atol=1e-4)


def test_nothing_changes_where_there_is_nothing_to_transpose():
    def loop(images, kernel):
        return lax.scan(lambda total, _: (total + convolve(images, kernel).sum(), total), 0.0, length=3)

    before, after = (jax.make_jaxpr(f)(IMAGES, KERNEL) for f in (loop, canonical(loop)))
    assert str(after) == str(before)


def test_other_devices_keep_the_layout():
    with traced_for(None):
        traced = [jax.jit(f).trace(IMAGES, KERNEL) for f in (gradient, canonical(gradient))]
    before, after = (layouts(one.lower(lowering_platforms=('cuda',))) for one in traced)
    assert after == before != {CANONICAL}


@pytest.mark.parametrize(
    ('start', 'overrides'),
    [
        (train, {'parallel.devices': '1'}),
        (train, {'parallel.devices': '2'}),
        (train, {'parallel.devices': '2', 'parallel.mode': 'sharding'}),
        (train_population, {'population': '2'}),
    ],
)
def test_the_training_loop_of_a_family_of_flax_layers_has_no_others(start, overrides, tmp_path, monkeypatch):
    class SeenError(Exception):
        pass

    def see(program, *arguments):
        raise SeenError(layouts(program.lower(*arguments)))

    monkeypatch.setattr(parallel.Program, 'compile', see)
    options = config.load(str(CONFIG), {'model': 'tests.flax_family', 'batch_size': '4', 'log_every': '5'} | overrides)
    with pytest.raises(SeenError) as seen:
        start(options, tmp_path)
    assert seen.value.args[0] == {CANONICAL}


def test_the_loop_of_an_inversion_has_no_others():
    def generate(latents):
        return jax.nn.tanh(convolve(latents.reshape(-1, 8, 8, 6), KERNEL))

    starts, target, weights = jnp.ones((2, 384)), jnp.ones((8, 8, 4)), dict.fromkeys(WEIGHTS, 0.1)
    generate = jax.tree_util.Partial(generate)
    assert layouts(_descend.lower(generate, target, starts, (), weights, squared_error, 3)) == {CANONICAL}
