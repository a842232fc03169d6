"""Checks of the images given to metrics."""

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.errors import UserError


def images_array(images: ArrayLike, what: str = 'the images') -> np.ndarray:
    """Checks images and returns them as an array, uint8 [n, H, W, 1 or 3] with n, H, W of at least 1.

    Args:
        images: the images.
        what: description of the images for error messages.

    Raises:
        UserError: they have another shape or type.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise UserError(
            f'{what} are not an array, because they differ in shape: give one array [n, H, W, 1 or 3] of images.'
        ) from error
    if array.dtype != np.uint8:
        raise UserError(f'{what} are {array.dtype}{_seen(array)}; metrics take uint8 in [0, 255]{_remedy(array)}.')
    if array.ndim == 4 and array.shape[3] in {1, 3} and array.size:
        return array
    if array.ndim == 4 and array.shape[1] in {1, 3} and array.size:
        remedy = ': move the channels to the end with images.transpose(0, 2, 3, 1)'
    elif array.ndim == 3 and array.size:
        remedy = (
            ': add a last axis to grey images by images[..., None], or a first axis to a single image by images[None]'
        )
    else:
        remedy = ', at least one image'
    raise UserError(f'{what} have shape {list(array.shape)}; metrics take [n, H, W, 1 or 3]{remedy}.')


def check_same_shape(first: np.ndarray, second: np.ndarray) -> None:
    """Raises a UserError if two sets of images differ in height, width or channels."""
    if first.shape[1:] != second.shape[1:]:
        raise UserError(
            f'The images have shapes {list(first.shape[1:])} and {list(second.shape[1:])}: convert both to the '
            'same size and number of channels.'
        )


def _seen(array: np.ndarray) -> str:
    """The range of values that are not uint8, if they have one."""
    if not array.size or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        return ''
    if not np.isfinite(array).all():
        return ' with NaN or infinite values'
    return f' in [{array.min():.3g}, {array.max():.3g}]'


def _remedy(array: np.ndarray) -> str:
    if not array.size or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        return ''
    if not np.isfinite(array).all():
        return ': check the source of these images'
    low, high = array.min(), array.max()
    if np.issubdtype(array.dtype, np.floating) and low >= -1 and high <= 1:
        return ': convert by gan_jax.data.to_uint8 if -1 is black, by (255 * images).round().astype(uint8) if 0 is'
    if low >= 0 and high <= 255:
        return ': convert by images.round().astype(uint8)'
    return ': scale and clip to that range'
