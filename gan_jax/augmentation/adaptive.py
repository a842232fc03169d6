"""The transforms of adaptive discriminator augmentation, for one image at a time.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B. Every transform draws its
value and is applied with a separate probability; the geometric ones compose into one affine matrix and the image is
sampled once, those of colour into one matrix of the channels, and the filters into one gain for each band of
frequencies. `gan_jax.augmentation.augment.adaptive` applies them to batches.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.augmentation import geometry, wavelets

Array = jax.Array
Key = jax.Array
Values = Mapping[str, Array | float]


class Transform(NamedTuple):
    """The random value of a transform.

    Attributes:
        neutral: the value that leaves an image as it is.
        draw: (uniform in [0, 1) [4], standard normal [4]) -> value.
    """

    neutral: float
    draw: Callable[[Array, Array], Array]


PIXEL_BLITTING = {
    'flip': Transform(0.0, lambda uniform, normal: jnp.floor(2 * uniform[0])),  # 1: left and right change places
    'rotate90': Transform(0.0, lambda uniform, normal: jnp.floor(4 * uniform[0])),  # quarter turns, as numpy.rot90
    'translate_integer': Transform(0.0, lambda uniform, normal: (2 * uniform[:2] - 1) / 8),  # [x, y] in sides
}
GEOMETRY = {
    'scale': Transform(1.0, lambda uniform, normal: jnp.exp2(0.2 * normal[0])),
    'rotate': Transform(0.0, lambda uniform, normal: math.pi * (2 * uniform[:2] - 1)),  # before and after the stretch
    'anisotropic_scale': Transform(1.0, lambda uniform, normal: jnp.exp2(0.2 * normal[0])),  # x by s, y by 1 / s
    'translate': Transform(0.0, lambda uniform, normal: normal[:2] / 8),  # [x, y] in sides
}
COLOUR = {
    'brightness': Transform(0.0, lambda uniform, normal: 0.2 * normal[0]),
    'contrast': Transform(1.0, lambda uniform, normal: jnp.exp2(0.5 * normal[0])),
    'luma_flip': Transform(0.0, lambda uniform, normal: jnp.floor(2 * uniform[0])),
    'hue': Transform(0.0, lambda uniform, normal: math.pi * (2 * uniform[0] - 1)),
    'saturation': Transform(1.0, lambda uniform, normal: jnp.exp2(normal[0])),
}
CORRUPTION = {
    'filter': Transform(1.0, lambda uniform, normal: jnp.exp2(normal)),  # gain of each of four bands of frequencies
    'noise': Transform(0.0, lambda uniform, normal: 0.1 * jnp.abs(normal[0])),  # standard deviation
    'cutout': Transform(-1.0, lambda uniform, normal: uniform[:2]),  # centre [x, y] in sides; -1 lies outside
}
TRANSFORMS = {**PIXEL_BLITTING, **GEOMETRY, **COLOUR, **CORRUPTION}
GROUPS = {  # by their published names; those of one transform have its name: filter, noise, cutout
    'blit': tuple(PIXEL_BLITTING),
    'geom': tuple(GEOMETRY),
    'color': tuple(COLOUR),
    'bg': (*PIXEL_BLITTING, *GEOMETRY),
    'bgc': (*PIXEL_BLITTING, *GEOMETRY, *COLOUR),
    'bgcf': (*PIXEL_BLITTING, *GEOMETRY, *COLOUR, 'filter'),
    'bgcfn': (*PIXEL_BLITTING, *GEOMETRY, *COLOUR, 'filter', 'noise'),
    'bgcfnc': tuple(TRANSFORMS),
}
RESAMPLING = {'wavelet': geometry.warp_by_wavelet, 'bilinear': geometry.warp}


def transform(
    image: Array,
    key: Key,
    probability: Array,
    transforms: Sequence[str],
    colour_share: float = 1.0,
    resampling: str = 'wavelet',
) -> Array:
    """One image [H, W, C] after random transforms, each with the probability; unchanged bit for bit if there are none.

    Differentiable in the image. With one channel, hue and saturation are skipped. Those of colour are applied with that
    share of the probability. Without a transform of `GEOMETRY` pixels are copied, with one the image is resampled.
    """
    if image.shape[-1] == 1:
        transforms = [name for name in transforms if name not in ('hue', 'saturation')]
    value_key, noise_key = jax.random.split(key)
    values = sample(value_key, probability, transforms, colour_share)
    result = image
    if any(name in GROUPS['bg'] for name in transforms):
        matrix = geometry.inverse_geometry(values, image.shape)
        warp = RESAMPLING[resampling if any(name in GEOMETRY for name in transforms) else 'bilinear']
        result = jnp.where(jnp.any(matrix != np.eye(3)), warp(result, matrix), result)
    if any(name in COLOUR for name in transforms):
        matrix = colour_matrix(values)
        result = jnp.where(jnp.any(matrix != np.eye(4)), recolour(result, matrix), result)
    if 'filter' in transforms:
        amplified = wavelets.amplify(result, wavelets.normalize_gains(values['filter']))
        result = jnp.where(jnp.any(values['filter'] != 1), amplified, result)
    if 'noise' in transforms:
        noisy = result + values['noise'] * jax.random.normal(noise_key, image.shape)
        result = jnp.where(values['noise'] > 0, noisy, result)
    if 'cutout' in transforms:
        result = cut_out(result, values['cutout'])
    return result.astype(image.dtype)


def sample(key: Key, probability: Array, transforms: Sequence[str], colour_share: float = 1.0) -> Values:
    """The value of every transform, neutral for those that are not applied or not among `transforms`.

    A transform's draw does not depend on the other transforms. `rotate` has two angles; each is applied with
    1 - sqrt(1 - probability), so that either does with the probability (appendix B). `filter` has four bands, each of
    which is applied with the probability.
    """
    strike_key, uniform_key, normal_key = jax.random.split(key, 3)
    shape = (len(TRANSFORMS), 4)
    strike, uniform = jax.random.uniform(strike_key, shape), jax.random.uniform(uniform_key, shape)
    normal = jax.random.normal(normal_key, shape)
    values = {name: neutral for name, (neutral, _) in TRANSFORMS.items()}
    for i, (name, (neutral, draw)) in enumerate(TRANSFORMS.items()):
        if name in transforms:
            struck = strike[i, 0] < probability * (colour_share if name in COLOUR else 1.0)
            if name == 'rotate':
                struck = strike[i, :2] < 1 - jnp.sqrt(1 - probability)
            if name == 'filter':
                struck = strike[i] < probability
            values[name] = jnp.where(struck, draw(uniform[i], normal[i]), neutral)
    return values


def colour_matrix(values: Values) -> Array:
    """The matrix [4, 4] from a pixel (red, green, blue, 1) of the image to that of the result."""
    identity, channels = np.eye(4), np.diag([1.0, 1.0, 1.0, 0.0])
    grey = np.outer([1, 1, 1, 0], [1, 1, 1, 0]) / 3  # projects on the luma axis v = (1, 1, 1) / sqrt(3)
    cross = np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) / math.sqrt(3)  # x -> v cross x
    angle = values['hue']
    # Each is the identity plus what its value adds, and so the identity itself for the neutral value.
    factors = (
        identity + (values['saturation'] - 1) * (channels - grey),
        identity + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * (grey - channels),
        identity - 2 * values['luma_flip'] * grey,
        identity + (values['contrast'] - 1) * channels,
        identity + values['brightness'] * np.outer([1, 1, 1, 0], [0, 0, 0, 1]),
    )
    return functools.reduce(geometry.product, factors)


def recolour(image: Array, matrix: Array) -> Array:
    """An image [H, W, 3] with its colours multiplied by a `colour_matrix`; one of [H, W, 1] as its greys would be."""
    if image.shape[-1] == 1:
        return image * matrix[:3, :3].mean(0).sum() + matrix[:3, 3].mean()
    return geometry.product(image, matrix[:3, :3].T) + matrix[:3, 3]


def cut_out(image: Array, centre: Array) -> Array:
    """An image [H, W, C] with zeros in a rectangle of half its sides around a centre [x, y], in sides."""
    height, width, _ = image.shape
    x = jnp.abs((np.arange(width) + 0.5) / width - centre[0]) < 0.25
    y = jnp.abs((np.arange(height) + 0.5) / height - centre[1]) < 0.25
    return jnp.where((y[:, None] & x)[..., None], 0, image)
