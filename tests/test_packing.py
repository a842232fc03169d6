"""Discriminators that judge packs of examples."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.errors import UserError
from gan_jax.networks import pure
from gan_jax.packing import pack, packed

TOY = str(pathlib.Path(__file__).parent.parent / 'configs' / 'toy.py')


def test_a_pack_has_neighbours_side_by_side_in_its_channels():
    images = np.arange(4 * 2 * 3 * 2).reshape(4, 2, 3, 2)
    packs = pack(jnp.asarray(images), 2)
    assert packs.shape == (2, 2, 3, 4)
    np.testing.assert_array_equal(packs[1], np.concatenate([images[2], images[3]], axis=-1))
    np.testing.assert_array_equal(pack(jnp.arange(6.0).reshape(6, 1), 3), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(UserError, match='6 examples cannot be divided into packs of 4'):
        pack(jnp.zeros((6, 1)), 4)


def test_the_discriminator_judges_packs():
    network = packed(pure(lambda key: jnp.array([1.0, 10.0]), lambda weights, pairs: pairs @ weights), 2)
    logits, _ = network.apply(network.init(None)[0], {}, jnp.arange(6.0)[:, None], None, True)
    np.testing.assert_array_equal(logits, [10, 32, 54])


def test_a_config_trains_with_packs():
    small = {'batch_size': '12', 'generator.widths': '(4,)', 'discriminator.widths': '(4,)', 'packing': '3'}
    options = config.load(TOY, small)
    game = build.make_game(options, (2,))
    state = build.init_state(options, game)
    assert state.discriminator.params['Dense_0']['kernel'].shape == (6, 4)
    step = jax.jit(build.make_step(options, game))
    after, metrics = step(state, {'real': jax.random.normal(jax.random.key(0), (12, 2))})
    assert np.isfinite(metrics['discriminator/loss'])
    change = jax.tree.map(jnp.subtract, after.discriminator.params, state.discriminator.params)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(change))
    with pytest.raises(UserError, match='which cannot be conditional:'):
        build.make_game(
            config.load(
                TOY,
                {'packing': '2', 'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'concatenate'},
            ),
            (2,),
            num_classes=3,
        )
