"""Filters that halve and double, against published outputs and XLA's convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.layers.convolution import convolution
from gan_jax.layers.filters import (
    blur,
    convolve_average,
    convolve_nearest,
    filter_downsample,
    filter_upsample,
    interpolating_taps,
)
from gan_jax.layers.resampling import average_pool
from tests import golden_files


@pytest.mark.parametrize('weights', [(1, 2, 1), (1,), (1, 4, 6, 4, 1)])
def test_they_are_r3gans(weights):
    arrays, name = golden_files.read('r3gan_resamplers'), ''.join(map(str, weights))
    taps, images = interpolating_taps(weights), golden_files.nhwc(arrays['in/x'])
    golden_files.assert_close(np.outer(taps, taps), arrays[f'out/InterpolativeUpsampler/{name}/kernel'])
    for resample, published in ((filter_downsample, 'Down'), (filter_upsample, 'Up')):
        golden = golden_files.nhwc(arrays[f'out/Interpolative{published}sampler/{name}'])
        golden_files.assert_close(resample(images, taps), golden)


@pytest.mark.parametrize('taps', [(0.1, 0.2, 0.3, 0.4), (0.2, 0.3, 0.5), (1.0, 2.0)])
def test_halving_is_the_convolution_and_doubling_its_adjoint(taps):
    images = jax.random.normal(jax.random.key(0), (2, 6, 10, 3))
    low = (len(taps) - 1) // 2
    kernel = jnp.outer(jnp.array(taps), jnp.array(taps))[:, :, None, None] * jnp.ones((1, 1, 1, 3))
    padding = [(low, len(taps) - 2 - low)] * 2
    wanted = lax.conv_general_dilated(
        images, kernel, (2, 2), padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC'), feature_group_count=3
    )
    halved, adjoint = jax.vjp(lambda images: filter_downsample(images, taps), images)
    np.testing.assert_allclose(halved, wanted, atol=1e-6)
    outputs = jax.random.normal(jax.random.key(1), halved.shape)
    np.testing.assert_allclose(filter_upsample(outputs, taps), 4 * adjoint(outputs)[0], atol=1e-6)


def test_convolutions_around_nearest_neighbours_and_means_are_those():
    images = jax.random.normal(jax.random.key(0), (2, 6, 10, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))
    np.testing.assert_allclose(
        convolve_nearest(images, kernel), convolution(images.repeat(2, 1).repeat(2, 2), kernel), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        convolve_average(images, kernel), average_pool(convolution(images, kernel)), rtol=1e-4, atol=1e-5
    )


def test_blurring_weighs_neighbours_by_their_distance():
    blurred = blur(jnp.zeros((1, 5, 5, 1)).at[0, 0, 2].set(16.0))[0, :, :, 0]
    np.testing.assert_allclose(blurred, [[0, 2, 4, 2, 0], [0, 1, 2, 1, 0], *[[0] * 5] * 3])
