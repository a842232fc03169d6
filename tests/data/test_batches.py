"""Batches on the device."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import gather, prepare, to_uint8

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 4, 5, 3), dtype=np.uint8)


def test_pixels_go_to_minus_one_to_one():
    examples = jnp.array([0, 51, 255], jnp.uint8).reshape(3, 1, 1, 1)
    batch = prepare(examples, jnp.array([2, 0, 1]), jax.random.key(0), jnp.arange(3), flip=False)
    assert batch['real'].dtype == jnp.float32
    assert batch['real'].ravel()[0] == -1
    assert batch['real'].ravel()[2] == 1
    np.testing.assert_allclose(batch['real'].ravel()[1], -0.6, atol=1e-7)
    np.testing.assert_array_equal(batch['label'], [2, 0, 1])
    assert batch['label'].dtype == jnp.int32


def test_to_uint8_inverts_prepare_and_clips():
    examples = jnp.arange(256, dtype=jnp.uint8).reshape(4, 8, 8, 1)

    @jax.jit
    def there(examples):
        return prepare(examples, None, jax.random.key(0), jnp.arange(4), flip=False)['real']

    assert there(examples).min() == -1
    assert there(examples).max() == 1
    np.testing.assert_array_equal(to_uint8(there(examples)), examples)
    np.testing.assert_array_equal(to_uint8(jnp.array([-1.5, 1.5, 0.0])), [0, 255, 128])


def test_points_pass_as_they_are_and_there_is_no_label_without_labels():
    points = jnp.array([[0.5, -3.0], [7.0, 2.0]])
    batch = prepare(points, None, jax.random.key(0), jnp.arange(2), flip=False)
    assert set(batch) == {'real'}
    np.testing.assert_array_equal(batch['real'], points)


def test_about_half_are_mirrored_left_to_right_and_the_others_left_alone():
    key = jax.random.key(1)
    plain = prepare(IMAGES, None, key, jnp.arange(64), flip=False)['real']
    flipped = prepare(IMAGES, None, key, jnp.arange(64), flip=True)['real']
    mirrored = np.array([np.array_equal(f, p[:, ::-1]) for f, p in zip(flipped, plain, strict=True)])
    untouched = np.array([np.array_equal(f, p) for f, p in zip(flipped, plain, strict=True)])
    assert (mirrored ^ untouched).all()
    assert 16 <= mirrored.sum() <= 48  # four standard deviations
    other = prepare(IMAGES, None, jax.random.key(2), jnp.arange(64), flip=True)['real']
    assert not np.array_equal(flipped, other)


def test_a_device_with_some_positions_draws_the_same_flips():
    key, positions = jax.random.key(1), np.array([40, 3, 63])
    whole = prepare(IMAGES, None, key, jnp.arange(64), flip=True)['real']
    part = prepare(IMAGES[positions], None, key, jnp.asarray(positions), flip=True)['real']
    np.testing.assert_array_equal(part, whole[positions])


def test_an_input_is_scaled_and_mirrored_with_its_example():
    grey = IMAGES[..., :1]
    batch = prepare(IMAGES, None, jax.random.key(1), jnp.arange(64), flip=True, inputs=grey)
    assert set(batch) == {'real', 'input'}
    np.testing.assert_array_equal(batch['input'], batch['real'][..., :1])
    alone = prepare(IMAGES, None, jax.random.key(1), jnp.arange(64), flip=True)
    np.testing.assert_array_equal(batch['real'], alone['real'])


def test_gather():
    arrays = {'examples': jnp.asarray(IMAGES), 'labels': jnp.arange(64)}
    picked = gather(arrays, jnp.array([63, 0, 63], jnp.uint32))
    np.testing.assert_array_equal(picked['examples'], IMAGES[[63, 0, 63]])
    np.testing.assert_array_equal(picked['labels'], [63, 0, 63])
