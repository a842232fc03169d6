"""Interpolation without parameters, against Pillow's."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.layers.bicubic import bicubic, enlarged

IMAGES = np.random.default_rng(0).random((2, 24, 36, 1)).astype(np.float32)


def pillow(images, height, width, how=Image.Resampling.BICUBIC):
    made = [Image.fromarray(image[..., 0]).resize((width, height), how) for image in images]
    return np.stack([np.asarray(image)[..., None] for image in made])


@pytest.mark.parametrize('size', [(6, 9), (12, 18), (96, 144)])  # quarter, half, and four times
def test_bicubic_is_pillows_with_antialiasing(size):
    made = bicubic(IMAGES, *size)
    np.testing.assert_allclose(made, pillow(IMAGES, *size), atol=2e-6)


def test_enlargements():
    np.testing.assert_allclose(enlarged('bicubic', IMAGES, 2), pillow(IMAGES, 48, 72), atol=2e-6)
    nearest = pillow(IMAGES, 48, 72, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(enlarged('nearest', IMAGES, 2), nearest)
    with pytest.raises(UserError, match="There is no interpolation 'cubic': did you mean 'bicubic'"):
        enlarged('cubic', IMAGES, 2)
