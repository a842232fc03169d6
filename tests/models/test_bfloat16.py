"""A whole train step in bfloat16 keeps what training accumulates in float32."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build
from gan_jax import config as configs
from tests.slow import slow_but

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


IMAGES, SMALL = (32, 32, 3), {'generator.width': 4, 'discriminator.width': 4}
TRANSLATORS = {  # name: (model, fields of the batch beside the real images, changes)
    'cyclegan': ('cyclegan', {'a': IMAGES}, SMALL),
    'pix2pix': ('pix2pix', {'input': IMAGES}, SMALL),
    'spade': ('spade', {'input': (32, 32, 1)}, SMALL),
    'stargan': ('stargan', {}, SMALL | {'discriminator.depth': 3, 'penalties.gradient_penalty.weight': 10.0}),
    'super_resolution': ('srgan', {'input': (8, 8, 3)}, SMALL | {'generator.depth': 1}),
    'inpainting': ('inpainting', {}, SMALL),
    'unit': ('unit', {'a': IMAGES}, SMALL | {'discriminator.scales': 1}),
}


@pytest.mark.parametrize('name', slow_but(('pix2pix', 'stargan'), TRANSLATORS))
def test_translations_and_losses_are_float32(name):
    model, fields, changes = TRANSLATORS[name]
    config = configs.base(model, game=name)
    config.update_from_flattened_dict({**changes, 'dtype': 'bfloat16', 'batch_size': 4})
    known = {'num_classes': 3, 'shapes': fields}
    metrics = build.step_metrics(config, IMAGES, **known)
    assert {value.dtype for value in metrics.values()} == {jnp.dtype('float32')}
    game = build.make_game(config, IMAGES, **known)

    def sample(key):
        images = jnp.zeros((2, *{**fields, 'real': IMAGES}[game.given]))
        return game.sample(*game.init(key)['generator'], game.latents(key, jnp.arange(2)), images)

    assert jax.eval_shape(sample, jax.random.key(0)).dtype == jnp.float32
