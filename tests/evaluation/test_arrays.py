"""Features that are none."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.arrays import features_array


@pytest.mark.parametrize(
    ('features', 'sentence'),
    [
        (np.array([['a', 'b']]), r'^X are <U1; a metric takes real numbers\.$'),
        (np.ones((3, 2)) * 1j, r'^X are complex128; a metric takes real numbers\.$'),
        (np.array([[{}]]), r'^X are object; a metric takes real numbers\.$'),
        ([[1.0], [1.0, 2.0]], r'^X are not an array, because their rows differ in length'),
        (np.zeros(3), r'^X have shape \[3\]; a metric takes one row of features for each image'),
        (np.zeros((3, 0)), r'^X have shape \[3, 0\]'),
        (np.zeros((1, 4)), r'^X belong to 1 images; this metric needs at least 2'),
        ([[0.0], [np.nan]], r'^X of 1 of 2 images \(the first is number 1\) are NaN or infinite'),
    ],
)
def test_what_is_no_features_is_one_sentence(features, sentence):
    with pytest.raises(UserError, match=sentence):
        features_array(features, 'X', least=2)


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.float16, np.float32, np.float64])
def test_real_numbers_are_taken(dtype):
    array = features_array(np.ones((2, 3), dtype))
    assert array.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(array, 1)
