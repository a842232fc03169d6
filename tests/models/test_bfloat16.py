"""A whole train step in bfloat16 keeps what training accumulates in float32."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import build
from gan_jax import config as configs

DCGAN = pathlib.Path(__file__).parents[2] / 'configs' / 'dcgan.py'
SHAPE = (16, 16, 1)  # two stages, so that the discriminator has batch statistics too


def floats(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def test_a_train_step_keeps_the_state_float32_and_finite():
    small = {'dtype': 'bfloat16', 'batch_size': '4', 'generator.width': '8', 'discriminator.width': '8'}
    config = configs.load(str(DCGAN), small)
    game = build.make_game(config, SHAPE)
    before = build.init_state(config, game)
    step = build.make_step(config, game)
    batch = {'real': np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype(np.float32)}
    program = str(jax.make_jaxpr(step)(before, batch))
    assert 'bf16[4,8,8,8]' in program  # the activations of the first stage
    after, metrics = jax.jit(step)(before, batch)
    for player in ('generator', 'discriminator'):
        old, new = getattr(before, player), getattr(after, player)
        for kept in (new.params, new.variables, new.opt_state):
            assert {leaf.dtype for leaf in floats(kept)} == {jnp.dtype('float32')}
            assert all(np.isfinite(leaf).all() for leaf in floats(kept))
        assert all((a != b).any() for a, b in zip(floats(old.variables), floats(new.variables), strict=True))
        assert any((a != b).any() for a, b in zip(floats(old.params), floats(new.params), strict=True))
    average = floats(after.generator.ema)
    assert len(average) == len(floats((after.generator.params, after.generator.variables)))
    assert all(leaf.dtype == jnp.float32 and np.isfinite(leaf).all() for leaf in average)
    assert all(np.isfinite(value) for value in metrics.values())
