"""Parts of transformers against loops and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers import transformer
from gan_jax.layers.transformer import Attention, RMSNorm, SwiGLU


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_patches_are_squares_row_by_row_and_join_again():
    images = draw(2, 4, 6, 3)
    tokens = transformer.patches(images, 2)
    assert tokens.shape == (2, 6, 12)
    np.testing.assert_array_equal(tokens[1, 4], images[1, 2:4, 2:4].reshape(-1))
    np.testing.assert_array_equal(transformer.joined(tokens, (4, 6, 3), 2), images)


def test_the_sine_table_by_hand():
    table = transformer.sine_table((2, 3), 8)
    for row, column in np.ndindex(2, 3):
        wanted = [f(place * w) for place in (column, row) for f in (np.sin, np.cos) for w in (1.0, 0.01)]
        np.testing.assert_allclose(table[3 * row + column], wanted, rtol=1e-6)


def test_rotated_products_depend_on_the_distance_of_two_places_alone():
    angles = transformer.rotary_angles((3, 4), 8)
    query, key = (np.broadcast_to(draw(8, seed=seed), (1, 12, 1, 8)) for seed in (1, 2))
    turned = [np.asarray(transformer.rotate(jnp.asarray(one), angles))[0, :, 0] for one in (query, key)]
    products = (turned[0] @ turned[1].T).reshape(3, 4, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(turned[0], axis=1), np.linalg.norm(query[0, 0, 0]), rtol=1e-5)
    np.testing.assert_allclose(products[0, 0, 1, 1], products[1, 2, 2, 3], rtol=1e-4)
    np.testing.assert_allclose(products[2, 1, 0, 2], products[2, 2, 0, 3], rtol=1e-4)
    # Steps along rows and columns are told apart, and so are both ways of one.
    assert len({round(float(products[1, 1][place]), 3) for place in ((0, 1), (2, 1), (1, 0), (1, 2))}) == 4


def test_a_pair_turns_by_its_angle():
    token = jnp.asarray([[[[1.0, 0.0, 0.0, 2.0]]]])
    turned = transformer.rotate(token, np.array([[np.pi / 2, np.pi / 6]], np.float32))[0, 0, 0]
    np.testing.assert_allclose(turned, [0, 1, -2 * 0.5, 2 * np.cos(np.pi / 6)], atol=1e-6)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_attention_is_the_weighted_mean_of_the_values_as_jax_has_it(dtype):
    three = [jnp.asarray(draw(2, 5, 3, 4, seed=seed), dtype) for seed in range(3)]
    read = transformer.attend(*three)
    assert read.dtype == dtype
    wanted = jax.nn.dot_product_attention(*(one.astype(jnp.float32) for one in three))
    np.testing.assert_allclose(read.astype(jnp.float32), wanted, atol=1e-5 if dtype == 'float32' else 0.03)
    by_hand = [np.asarray(one[1, :, 2], np.float32) for one in three]
    scores = np.exp(by_hand[0] @ by_hand[1].T / 2)
    loop = scores / scores.sum(1, keepdims=True) @ by_hand[2]
    np.testing.assert_allclose(read[1, :, 2].astype(jnp.float32), loop, atol=1e-5 if dtype == 'float32' else 0.03)


def test_norms_divide_by_the_root_mean_square():
    values = jnp.asarray([[3.0, 4.0], [0.0, 0.0]])
    wanted = np.array([[3, 4], [0, 0]]) / 12.5**0.5
    np.testing.assert_allclose(transformer.root_mean_square(values), wanted, rtol=1e-6)
    params = {'scale': jnp.asarray([2.0, -1.0])}
    np.testing.assert_allclose(RMSNorm().apply({'params': params}, values), wanted * [2, -1], rtol=1e-6)
    assert transformer.root_mean_square(values.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_the_gated_layers_by_hand():
    tokens = draw(2, 3, 6)
    outputs, variables = SwiGLU().init_with_output(jax.random.key(0), tokens)
    params = jax.tree.map(np.asarray, variables['params'])
    assert params['hidden']['kernel'].shape == (6, 2 * 16)
    gate, hidden = np.split(tokens @ params['hidden']['kernel'], 2, axis=-1)
    wanted = gate / (1 + np.exp(-gate)) * hidden @ params['output']['kernel']
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)


def test_attention_does_not_depend_on_the_length_of_queries_and_keys():
    tokens, angles = draw(2, 4, 8), transformer.rotary_angles((2, 2), 4)
    layer = Attention(2)
    params = layer.init(jax.random.key(0), tokens, angles)['params']
    kernel = params['queries_keys_values']['kernel']
    longer = {**params, 'queries_keys_values': {**params['queries_keys_values'], 'kernel': kernel.at[:, :16].mul(50.0)}}
    read, again = (layer.apply({'params': one}, tokens, angles) for one in (params, longer))
    np.testing.assert_allclose(read, again, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: transformer.grid_of((28, 30, 1), 4), r'Patches of 4x4 pixels do not cover .* \(28, 30, 1\)'),
        (lambda: transformer.grid_of((10,), 2), r'give images \[H, W, C\]'),
        (lambda: transformer.sine_table((2, 2), 6), r'width of a transformer is 6; it must be a multiple of 4'),
        (lambda: transformer.rotary_angles((2, 2), 6), r'dimensions of a head of attention is 6'),
    ],
)
def test_impossible_sizes_are_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
