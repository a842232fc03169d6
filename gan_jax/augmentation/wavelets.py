"""The wavelet filters of adaptive discriminator augmentation.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B: Daubechies' symlets sym6,
by which geometric transforms sample, and sym2, of which the four bands of the image-space filters are made.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.layers.filters import resample

Array = jax.Array

_SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
_SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_POWERS = np.array([10, 1, 1, 1]) / 13  # of the four bands in the spectrum 1 / f of natural images
_REACH = len(_SYM6) // 2 - 1  # pixels of twice the resolution in front of a place, from which it is filtered


def double_periodic(image: Array) -> Array:
    """An image [H, W, C], continued periodically, at twice the resolution: [2 H, 2 W, C]."""
    taps = 2 * np.array(_SYM6[::-1]) / sum(_SYM6)
    border = len(taps) // 4  # of pixels that the filter sees
    padded = jnp.pad(image, ((border, border), (border, border), (0, 0)), 'wrap')
    return resample(padded[None], taps, up=(2, 2), padding=((0, -1), (0, -1)))[0]


def halved_places(size: int) -> np.ndarray:
    """The places, in pixels of the halved image, of the samples that `halve` makes `size` pixels of."""
    return np.arange(-_REACH, 2 * size + _REACH) / 2


def halve(samples: Array) -> Array:
    """Samples [2 H + 10, 2 W + 10, C] at the `halved_places` of both axes as an image [H, W, C]."""
    return resample(samples[None], np.array(_SYM6) / sum(_SYM6), down=(2, 2))[0]


def normalize_gains(gains: Array) -> Array:
    """The gains [4] by which an image's bands are multiplied so that one after another they leave its power as it is.

    Row i has the gain of band i alone; its power is expected to be that of natural images.
    """
    alone = jnp.where(np.eye(4, dtype=bool), gains, 1.0)
    power = (jnp.asarray(_POWERS, alone.dtype) * alone**2).sum(1, keepdims=True)
    return (alone / jnp.sqrt(power)).prod(0)


def amplify(image: Array, gains: Array) -> Array:
    """An image [H, W, C], mirrored at its borders, with four bands of its frequencies multiplied by the gains [4].

    The filters are applied as one matrix for each axis.
    """
    rows, columns = (jnp.tensordot(gains, _band_matrices(size), 1, precision='highest') for size in image.shape[:2])
    return jnp.einsum('ih,jw,hwc->ijc', rows, columns, image, precision='highest')


@functools.cache
def _band_matrices(size: int) -> np.ndarray:
    """The filter of each band on a line of so many pixels: [4, size, size]."""
    filters = band_filters()
    offsets = np.arange(filters.shape[1]) - filters.shape[1] // 2
    places = np.arange(size)[:, None] + offsets
    mirrored = (size - 1) - np.abs(places % (2 * (size - 1)) - (size - 1))
    matrices = np.zeros((4, size, size))
    for band in range(4):
        np.add.at(matrices[band], (np.arange(size)[:, None], mirrored), filters[band])
    return matrices


@functools.cache
def band_filters() -> np.ndarray:
    """The taps [4, 43] of the bands, from the lowest; their sum is a single 1 in the middle.

    Each octave's low band is that of the octave below, stretched and filtered; its high band is what sym2 lets through.
    """
    low = np.array(_SYM2)
    high = low * (-1) ** np.arange(len(low))
    low, high = (np.convolve(taps, taps[::-1]) / 2 for taps in (low, high))
    filters = np.eye(4, 1)
    for band in range(1, 4):
        stretched = np.zeros((4, 2 * filters.shape[1] - 1))
        stretched[:, ::2] = filters
        filters = np.stack([np.convolve(taps, low) for taps in stretched])
        middle = (filters.shape[1] - len(high)) // 2
        filters[band, middle : middle + len(high)] += high
    return filters
