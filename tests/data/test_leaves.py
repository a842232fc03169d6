"""Generated images."""

import numpy as np
import pytest

from gan_jax.data.leaves import leaves
from gan_jax.errors import UserError


def test_an_image_depends_on_the_seed_and_its_place_alone():
    together = leaves(3, 16, seed=5)
    assert together.shape == (3, 16, 16, 3)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(leaves(1, 16, seed=5, first=2), together[2:])
    assert len({image.tobytes() for image in (*together, *leaves(3, 16, seed=6))}) == 6


def test_neighbouring_pixels_are_alike_and_distant_ones_are_not():
    images = leaves(20, 64, seed=0).astype(float)
    centred = images - images.mean()
    near, far = ((centred * np.roll(centred, distance, 2)).mean() / centred.var() for distance in (1, 32))
    assert near > 0.85
    assert far < 0.3


def test_sentences(load_quietly):
    with pytest.raises(UserError, match=r"^'leaves' has no split 'validation'; it has train, test\.$"):
        load_quietly('leaves', split='validation')


@pytest.mark.slow
def test_it_is_loaded_in_any_size(load_quietly):
    test = load_quietly('leaves', split='test', size=20, channels=1)
    assert (test.examples.shape, test.labels) == ((200, 20, 20, 1), None)
    assert test.fingerprint == load_quietly('leaves', split='test', size=20, channels=1).fingerprint
