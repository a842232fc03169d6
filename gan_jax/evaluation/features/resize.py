"""Resizing of images to Inception's input: one pure function for each rule used for published figures.

Each function takes uint8 [n, H, W, C] in [0, 255], C being 1 or 3, to float32 [n, 299, 299, 3], normalised as that
rule's authors do. A grey image repeats its channel. All rules are separable, so that each is a product with one matrix
for each axis, computed by NumPy when the function is traced. NumPy arrays are resized by NumPy, which compiles nothing,
so that each image may have a size of its own.

How much the rule matters: Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation".
"""

from collections.abc import Callable
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import is_image_type

Array = jax.Array | np.ndarray

SIZE = 299
_UINT8_PRECISION = 22  # bits of PIL's fixed-point weights


def tf1(images: Array) -> Array:
    """TensorFlow 1's bilinear rule, then (x - 128) / 128: the original FID, and torch-fidelity.

    No half-pixel centres, no antialiasing, the upper neighbour clamped to the border, and no rounding afterwards.
    """
    return (_resample(images, tf1_matrix) - 128) / 128


def clean(images: Array) -> Array:
    """PIL's antialiased bicubic filter on float images, clipped to [0, 255], then (x - 128) / 128: clean-fid."""
    return (_resample(images, bicubic_matrix).clip(0, 255) - 128) / 128


def friendly(images: Array) -> Array:
    """PIL's antialiased bilinear filter on float images, then 2 x / 255 - 1: StudioGAN's 'friendly' resizer."""
    return 2 * _resample(images, bilinear_matrix) / 255 - 1


def pil_uint8(images: Array) -> Array:
    """PIL's antialiased bicubic filter on uint8 images, rounded after each axis as PIL does, then (x - 128) / 128.

    That is what images that were saved at 299x299 have been through. It is computed in PIL's own fixed-point numbers,
    so that it equals them bit for bit: those of Pillow up to 12, whatever is installed here.
    """
    return _in_fixed_point(images, (2, 1))


def pil13_uint8(images: Array) -> Array:
    """`pil_uint8` as Pillow has it from 13 on: tall images are resized along their height first, so bits differ."""
    height, width = images.shape[1:3]
    vertical_first = height > SIZE and height - SIZE > 2 * (width - SIZE)
    return _in_fixed_point(images, (1, 2) if vertical_first else (2, 1))


def pytorch_fid(images: Array) -> Array:
    """PyTorch's bilinear rule (half-pixel centres, no antialiasing), then 2 x / 255 - 1: pytorch-fid."""
    return 2 * _resample(images, half_pixel_matrix) / 255 - 1


RESIZES = MappingProxyType(
    {
        'tf1': tf1,
        'clean': clean,
        'friendly': friendly,
        'pil-uint8': pil_uint8,
        'pil13-uint8': pil13_uint8,
        'pytorch-fid': pytorch_fid,
    }
)


def tf1_matrix(size: int) -> np.ndarray:
    """The weights [299, size] of TensorFlow 1's bilinear rule, whose coordinates are float32."""
    return _linear_matrix(np.arange(SIZE, dtype=np.float32) * np.float32(size / SIZE), size)


def half_pixel_matrix(size: int) -> np.ndarray:
    """The weights [299, size] of the bilinear rule between the centres of pixels, in PyTorch's float32 coordinates."""
    centres = np.float32(size / SIZE) * (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    return _linear_matrix(np.maximum(centres, 0), size)


def bicubic_matrix(size: int) -> np.ndarray:
    """The weights [299, size] of PIL's antialiased bicubic filter, with a = -1/2 (Keys 1981, equation 4)."""

    def cubic(x: np.ndarray) -> np.ndarray:
        return np.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))

    return _antialiased_matrix(cubic, 2, size)


def bilinear_matrix(size: int) -> np.ndarray:
    """The weights [299, size] of PIL's antialiased bilinear (triangle) filter."""
    return _antialiased_matrix(lambda x: np.maximum(1 - x, 0), 1, size)


def _linear_matrix(coordinates: np.ndarray, size: int) -> np.ndarray:
    """Weights [299, size] of the two neighbours of each coordinate, which is at least 0."""
    lower = coordinates.astype(int)
    share = coordinates - lower.astype(np.float32)
    identity = np.eye(size)
    upper = np.minimum(lower + 1, size - 1)
    return (1 - share[:, None]) * identity[lower] + share[:, None] * identity[upper]


def _antialiased_matrix(kernel: Callable[[np.ndarray], np.ndarray], support: int, size: int) -> np.ndarray:
    """Weights [299, size] of a kernel of |x|, widened where the image shrinks and cut off at the border."""
    scale = size / SIZE
    width = max(scale, 1.0)
    centres = (np.arange(SIZE)[:, None] + 0.5) * scale
    pixels = np.arange(size)
    first, last = (np.trunc(centres + side * support * width + 0.5) for side in (-1, 1))
    weights = np.where((pixels >= first) & (pixels < last), kernel(np.abs(pixels + 0.5 - centres) / width), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _resample(images: Array, matrix: Callable[[int], np.ndarray]) -> Array:
    images = _checked(images).astype(np.float32)
    for axis in (2, 1):
        images = _multiply(matrix(images.shape[axis]).astype(np.float32), images, axis)
    return _coloured(images)


def _in_fixed_point(images: Array, axes: tuple[int, int]) -> Array:
    if images.dtype != np.uint8:  # such as those of path lengths, whose small steps would be rounded away
        raise UserError(f'This resize rule rounds to bytes and takes uint8 images, not {images.dtype}: use another.')

    def along(images: Array, axis: int) -> Array:
        matrix = bicubic_matrix(images.shape[axis]) * 2**_UINT8_PRECISION
        rounded = np.trunc(matrix + np.copysign(0.5, matrix)).astype(np.int32)
        sums = _multiply(rounded, images, axis) + 2 ** (_UINT8_PRECISION - 1)
        return (sums >> _UINT8_PRECISION).clip(0, 255)

    resized = along(along(_checked(images).astype(np.int32), axes[0]), axes[1])
    return (_coloured(resized.astype(np.float32)) - 128) / 128


def _multiply(matrix: np.ndarray, images: Array, axis: int) -> Array:
    """[n, H, W, C] with one of its axes multiplied by a matrix [299, H or W]."""
    equation = {1: 'yh,nhwc->nywc', 2: 'xw,nhwc->nhxc'}[axis]
    if isinstance(images, np.ndarray):  # in float64, in which the products of whole numbers are exact
        return np.einsum(equation, matrix.astype(np.float64), images, optimize=True).astype(images.dtype)
    return jnp.einsum(equation, matrix, images, precision='highest')


def _coloured(images: Array) -> Array:
    return images.repeat(3 // images.shape[3], axis=3)


def _checked(images: Array) -> Array:
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not is_image_type(images.dtype):
        raise UserError(
            f'Inception takes uint8 images [n, H, W, 1 or 3], not {images.dtype} {list(images.shape)}: convert them to '
            'bytes from 0 to 255 first.'
        )
    return images
