"""Initialisers by name."""

import jax
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.initializers import initializer


@pytest.mark.parametrize(
    ('name', 'deviation'),
    # A 4x4 kernel of 32 -> 64 channels: fan-in 512, fan-out 1024.
    [('normal', 0.02), ('xavier', np.sqrt(2 / (512 + 1024))), ('he', np.sqrt(2 / 512))],
)
def test_deviations(name, deviation):
    kernel = initializer(name)(jax.random.key(0), (4, 4, 32, 64))
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.02)
    np.testing.assert_allclose(kernel.mean(), 0.0, atol=deviation / 50)


def test_orthogonal_columns():
    kernel = initializer('orthogonal')(jax.random.key(0), (3, 3, 4, 8)).reshape(-1, 8)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


def test_an_unknown_name_is_answered_with_the_names():
    with pytest.raises(UserError) as error:
        initializer('xaviar')
    assert str(error.value) == (
        "There is no initialiser 'xaviar': did you mean 'xavier'? Choose from normal, xavier, he, lecun, orthogonal."
    )
