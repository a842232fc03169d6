"""Self-attention against loops over pixels, and against the published implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.attention import SelfAttention
from tests import compiled, golden_files

PROJECTIONS = {'query': 'theta', 'key': 'phi', 'value': 'g', 'output': 'o'}


def pixel_by_pixel(images, kernels, gamma):
    """Each output pixel by itself, in float64."""
    outputs = np.array(images, np.float64)
    query, key, value, output = (np.asarray(kernels[name][0, 0], np.float64) for name in PROJECTIONS)
    for example, row, column in np.ndindex(images.shape[:3]):
        image = images[example].astype(np.float64)
        blocks = [
            image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(4, -1)
            for i, j in np.ndindex(image.shape[0] // 2, image.shape[1] // 2)
        ]
        similarities = np.array([(block @ key).max(0) @ (image[row, column] @ query) for block in blocks])
        weights = np.exp(similarities) / np.exp(similarities).sum()
        read = sum(weight * (block @ value).max(0) for weight, block in zip(weights, blocks, strict=True))
        outputs[example, row, column] += gamma * (read @ output)
    return outputs


@pytest.mark.parametrize('size', [(4, 6), (5, 3)])
def test_it_is_the_sum_over_blocks(size):
    images = np.random.default_rng(0).normal(size=(2, *size, 16)).astype(np.float32)
    module = SelfAttention(jax.nn.initializers.normal(0.4))
    params = module.init(jax.random.key(0), images)['params']
    np.testing.assert_array_equal(module.apply({'params': params}, images), images)  # gamma starts at 0
    assert {name: params[name]['kernel'].shape for name in PROJECTIONS} == {
        'query': (1, 1, 16, 2),
        'key': (1, 1, 16, 2),
        'value': (1, 1, 16, 8),
        'output': (1, 1, 8, 16),
    }
    got = module.apply({'params': params | {'gamma': jnp.float32(0.7)}}, images)
    wanted = pixel_by_pixel(images, {name: params[name]['kernel'] for name in PROJECTIONS}, 0.7)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def published(arrays, net):
    """The layer with the weights of a golden network, as its evaluation normalises them."""
    layer = f'p/{net}/attn_block.'
    kernels = {}
    for ours, theirs in PROJECTIONS.items():
        weight = arrays[f'{layer}{theirs}.weight_orig'][..., 0, 0]
        sigma = arrays[f'{layer}{theirs}.weight_u'] @ weight @ arrays[f'{layer}{theirs}.weight_v']
        kernels[ours] = {'kernel': (weight / sigma).T[None, None]}
    return {'params': kernels | {'gamma': arrays[f'{layer}gamma']}}


def test_it_is_the_published_layer():
    arrays = golden_files.read('mimicry_sagan128')
    images, wanted = (golden_files.nhwc(arrays[f'out/G/eval/{name}']) for name in ('block4', 'attn_block'))
    got = SelfAttention().apply(published(arrays, 'G'), images)
    assert np.abs(wanted - images).max() > 0.1 * np.abs(images).max()
    golden_files.assert_close(got, wanted, 2e-5)


def test_spectral_normalisation_is_of_all_four_maps_and_bfloat16_stays():
    images = jnp.ones((1, 2, 2, 8), jnp.bfloat16)
    module = SelfAttention(spectral_iterations=1, dtype=jnp.bfloat16)
    variables = compiled.init(module, jax.random.key(0), images)
    assert {name: variables['spectral'][name]['normalization']['u'].shape for name in PROJECTIONS} == {
        'query': (1,),
        'key': (1,),
        'value': (4,),
        'output': (8,),
    }
    assert compiled.apply(module, variables, images).dtype == jnp.bfloat16


@pytest.mark.parametrize('shape', [(1, 4, 4, 7), (1, 1, 4, 8)])
def test_images_that_are_too_small_are_refused(shape):
    with pytest.raises(UserError, match='needs at least 8 channels and 2x2 pixels,'):
        SelfAttention().init(jax.random.key(0), jnp.zeros(shape))
