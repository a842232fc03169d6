"""vid2vid's networks: a clip is made frame by frame, the mixture of each frame, gradients through time, bad shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.flow import warp
from gan_jax.models.vid2vid import Discriminator, Generator, mixed

B, T, SIDE, CLASSES = 2, 4, 8, 3
SMALL = {'width': 2, 'halvings': 1, 'blocks': 2, 'kernel': 3, 'reach': 5.0, 'initializer': 'he'}
MAPS = jax.nn.one_hot(jax.random.randint(jax.random.key(0), (B, T, SIDE, SIDE), 0, CLASSES), CLASSES)
NONE, KEY = jnp.zeros((B, 0)), jax.random.key(0)


@pytest.fixture(scope='module')
def network():
    return Generator(**SMALL)


@pytest.fixture(scope='module')
def weights(network):
    return jax.jit(lambda key: network.init(key, NONE, MAPS, train=True))(jax.random.key(1))


@pytest.fixture(scope='module')
def made(network, weights):
    return jax.jit(lambda weights: network.apply(weights, NONE, MAPS, train=True))(weights)


def test_a_clip_is_a_loop_over_its_frames(network, weights, made):
    frame = jax.jit(lambda *given: network.apply(weights, *given, train=True, method='frame'))
    frames, past_maps = jnp.zeros((B, SIDE, SIDE, 6)), jnp.zeros((B, SIDE, SIDE, 2 * CLASSES))
    for t in range(T):
        one = frame(MAPS[:, t], frames, past_maps, jnp.asarray(t == 0))
        np.testing.assert_allclose(made[:, t], one, rtol=1e-3, atol=1e-3)
        frames = jnp.concatenate([one[..., :3], frames[..., :3]], axis=-1)
        past_maps = jnp.concatenate([MAPS[:, t], past_maps[..., :CLASSES]], axis=-1)
    assert np.ptp(made[:, 1:, ..., 3:5]) > 0.1
    assert not made[:, 0, ..., 3:5].any()  # flow
    np.testing.assert_array_equal(made[:, 0, ..., 5], 1)
    assert 0 < made[:, 1:, ..., 5].min() < made[:, 1:, ..., 5].max() < 1


def test_where_the_mask_is_zero_a_frame_is_the_warped_last_one(network, weights, made):
    last = {'bias': jnp.full(1, -1e9), 'kernel': jnp.zeros((3, 3, 2, 1))}  # of the mask, which is made last
    (name,) = (name for name, layer in weights['params'].items() if layer['kernel'].shape == last['kernel'].shape)
    blind = {'params': weights['params'] | {name: last}}
    clip = jax.jit(lambda weights: network.apply(weights, NONE, MAPS, train=True))(blind)
    np.testing.assert_allclose(clip[:, 0], made[:, 0], rtol=1e-4, atol=1e-4)  # which is fresh
    np.testing.assert_allclose(clip[:, 1:, ..., :3], warp(clip[:, :-1, ..., :3], clip[:, 1:, ..., 3:5]), atol=1e-6)
    assert not clip[:, 1:, ..., 5].any()


def test_a_mixture_is_linear_in_the_mask():
    last, fresh, flow = (jax.random.normal(jax.random.key(i), (1, 4, 4, n)) for i, n in enumerate((3, 3, 2)))
    warped = jax.jit(warp)(last, flow)
    masks = jnp.repeat(jnp.array([0, 1, 0.25]), 16).reshape(3, 1, 4, 4, 1)
    of_none, of_all, of_a_quarter = jax.jit(jax.vmap(lambda mask: mixed(last, fresh, flow, mask)))(masks)
    np.testing.assert_array_equal(of_none, warped)
    np.testing.assert_array_equal(of_all, fresh)
    np.testing.assert_allclose(of_a_quarter, 0.25 * fresh + 0.75 * warped, rtol=1e-5, atol=1e-6)


def reach_of_gradients(network, weights):
    """For each frame whether the last generated frame depends on its map by gradients."""

    def value(maps):
        return jnp.sin(3 * network.apply(weights, NONE, maps, train=True)[:, -1, ..., :3]).sum()

    return np.abs(jax.jit(jax.grad(value))(MAPS)).max((0, 2, 3, 4)) > 0


@pytest.mark.slow  # 10 s of compilation
def test_gradients_flow_through_as_many_frames_as_asked(weights):
    assert reach_of_gradients(Generator(**SMALL, truncation=0), weights).all()
    assert reach_of_gradients(Generator(**SMALL, truncation=1), weights).tolist() == [False, False, False, True]
    assert reach_of_gradients(Generator(**SMALL, truncation=2), weights).tolist() == [False, False, True, True]


def test_without_a_past_frames_are_translated_one_by_one():
    network = Generator(**SMALL, past=0)
    weights = jax.jit(lambda key: network.init(key, NONE, MAPS, train=True))(jax.random.key(1))
    apply = jax.jit(lambda maps: network.apply(weights, NONE, maps, train=True))
    made, backwards = apply(MAPS), apply(MAPS[:, ::-1])
    np.testing.assert_allclose(made[:, ::-1], backwards, rtol=1e-4, atol=1e-5)
    assert not made[..., 3:5].any()
    np.testing.assert_array_equal(made[..., 5], 1)


def test_discriminators_have_no_state():
    shape = (1, 16, 16, 5)
    variables = jax.eval_shape(lambda key: Discriminator(width=2).init(key, jnp.zeros(shape), train=True), KEY)
    assert list(variables) == ['params']


@pytest.mark.parametrize(
    ('options', 'shape', 'message'),
    [
        ({}, (B, SIDE, SIDE, CLASSES), r'impossible for maps of shape \(8, 8, 3\): use frames whose sides are multi'),
        ({}, (B, T, SIDE, 9, CLASSES), 'multiples of 2 and at least 4, or other halvings'),
        ({'halvings': 3}, (B, T, SIDE, SIDE, CLASSES), 'multiples of 8 and at least 16'),
        ({'kernel': 4}, MAPS.shape, 'generator.kernel is 4; it must be an odd number'),
        ({'normalization': 'batch'}, MAPS.shape, 'no running statistics'),
    ],
)
def test_what_is_impossible_gets_a_sentence(options, shape, message):
    network = Generator(**SMALL | options)
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda key: network.init(key, NONE, jnp.zeros(shape), train=True), KEY)
