"""Checks of the arrays given to metrics."""

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import is_real


def features_array(features: ArrayLike, what: str = 'the features', least: int = 1) -> np.ndarray:
    """Checks features and returns them as an array [n, D] of float64, or of float32 where they were.

    Args:
        features: [n, D].
        what: description of the features for error messages.
        least: the minimum n.

    Raises:
        UserError: they are not real numbers, have another shape, are too few, or contain NaN or infinity.
    """
    try:
        array = np.asarray(features)
    except ValueError as error:
        raise UserError(
            f'{what} are not an array, because their rows differ in length: give rows of equal length, one per image.'
        ) from error
    if not (is_real(array.dtype) or array.dtype == bool):
        raise UserError(f'{what} are {array.dtype}; a metric takes real numbers.')
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    if array.ndim != 2 or array.shape[1] == 0:
        raise UserError(f'{what} have shape {list(array.shape)}; a metric takes one row of features for each image.')
    if len(array) < least:
        raise UserError(f'{what} belong to {len(array)} images; this metric needs at least {least}.')
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        raise UserError(
            f'{what} of {bad.sum()} of {len(array)} images (the first is number {bad.argmax()}) are NaN or infinite: '
            'check the source of these images.'
        )
    return array


def check_same_dimension(first: np.ndarray, second: np.ndarray) -> None:
    """Raises a UserError if two sets of features cannot be from the same extractor."""
    if first.shape[1] != second.shape[1]:
        raise UserError(
            f'The features have {first.shape[1]} and {second.shape[1]} dimensions: use the same extractor for both.'
        )
