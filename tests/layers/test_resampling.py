"""Layers that double or halve an image."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.resampling import DOWNSAMPLINGS, UPSAMPLINGS, average_pool, depth_to_space, downsample, upsample


class Resampled(nn.Module):
    layer: object
    name_: str
    kernel_size: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, images):
        options = {'kernel_size': self.kernel_size, 'use_bias': self.use_bias}
        return self.layer(self.name_, images, 5, train=False, **options)


def parameters(layer, name, kernel_size=4):
    module = Resampled(layer, name, kernel_size)
    outputs, variables = jax.eval_shape(
        lambda key: module.init_with_output(key, jnp.ones((2, 4, 6, 3))), jax.random.key(0)
    )
    return outputs.shape, jax.tree.map(jnp.shape, variables['params'])


@pytest.mark.parametrize('name', UPSAMPLINGS)
@pytest.mark.parametrize('kernel_size', [3, 4, 5])
def test_upsampling_doubles(name, kernel_size):
    shape, _ = parameters(upsample, name, kernel_size)
    assert shape == (2, 8, 12, 5)


@pytest.mark.parametrize('name', DOWNSAMPLINGS)
@pytest.mark.parametrize('kernel_size', [3, 4, 5])
def test_downsampling_halves(name, kernel_size):
    shape, _ = parameters(downsample, name, kernel_size)
    assert shape == (2, 2, 3, 5)


@pytest.mark.parametrize(
    ('layer', 'name', 'wanted'),
    [
        (upsample, 'transposed', {'ConvTranspose_0': {'kernel': (4, 4, 3, 5), 'bias': (5,)}}),
        (upsample, 'nearest', {'Conv_0': {'kernel': (4, 4, 3, 5), 'bias': (5,)}}),
        (upsample, 'bilinear', {'Conv_0': {'kernel': (4, 4, 3, 5), 'bias': (5,)}}),
        (upsample, 'pixel_shuffle', {'Conv_0': {'kernel': (4, 4, 3, 20), 'bias': (20,)}}),
        (downsample, 'strided', {'Conv_0': {'kernel': (4, 4, 3, 5), 'bias': (5,)}}),
        (downsample, 'average', {'Conv_0': {'kernel': (4, 4, 3, 5), 'bias': (5,)}}),
    ],
)
def test_parameters(layer, name, wanted):
    assert parameters(layer, name)[1] == wanted


def rows_of(name, layer=upsample):
    """A 1x2 image of 0 and 4 (upsampling) through a 1x1 convolution with kernel 1, as rows of its first channel."""
    module = Resampled(layer, name, use_bias=False)
    image = jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    parameters = jax.tree.map(jnp.ones_like, module.init(jax.random.key(0), image))
    return module.apply(parameters, image)[0, :, :, 0]


def test_nearest_repeats_pixels():
    np.testing.assert_array_equal(rows_of('nearest'), [[0.0, 0.0, 4.0, 4.0]] * 2)


def test_bilinear_interpolates_between_pixel_centres():
    np.testing.assert_allclose(rows_of('bilinear'), [[0.0, 1.0, 3.0, 4.0]] * 2)


def test_depth_to_space_lays_channels_out_in_blocks():
    image = depth_to_space(jnp.arange(8.0).reshape(1, 1, 1, 8))
    np.testing.assert_array_equal(image[0], [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]])


def test_average_pool_is_the_mean_of_blocks():
    image = average_pool(jnp.arange(8.0).reshape(1, 2, 4, 1))
    np.testing.assert_array_equal(image[0, :, :, 0], [[2.5, 4.5]])


@pytest.mark.parametrize(
    ('layer', 'name', 'sentence'),
    [
        (
            upsample,
            'bilinar',
            "'bilinar': did you mean 'bilinear'? Choose from transposed, nearest, bilinear, pixel_shuffle.",
        ),
        (downsample, 'averaged', "'averaged': did you mean 'average'? Choose from strided, average."),
    ],
)
def test_an_unknown_name_is_answered_with_the_names(layer, name, sentence):
    with pytest.raises(UserError) as error:
        parameters(layer, name)
    kind = 'up' if layer is upsample else 'down'
    assert str(error.value) == f'There is no {kind}-sampling {sentence}'
