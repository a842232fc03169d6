"""LPIPS: a perceptual distance of two images, and the diversity of samples measured with it.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", arXiv:1801.03924,
equation 1, in version 0.1 (`lin`) of the authors' code. The weights come from a file, made by `tools/convert_lpips.py`
from the published ones: random weights are never used.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.cache import cache_directory
from gan_jax.errors import UserError
from gan_jax.evaluation.features.published import recorded
from gan_jax.evaluation.features.vgg import TRUNKS, Trunk
from gan_jax.evaluation.images import images_array
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import over_pairs
from gan_jax.layers.choices import choose, require
from gan_jax.records import npz

Array = jax.Array
Distance = Callable[[Any, Any], Array]

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10  # added to a feature's length


class Lpips(NamedTuple):
    """The distance, and its name for protocols.

    Attributes:
        identity: everything that a distance depends on: version, network, the weights' hash.
        distance: images x and y [n, H, W, C], C of 1 or 3, uint8 in [0, 255] or floats in [-1, 1], to distances
            float32 [n], at least 0. Compiled, and can be traced. The range of floats is not checked.
    """

    identity: str
    distance: Distance


def load_lpips(path: str | os.PathLike | None = None, network: str = 'vgg16') -> Lpips:
    """LPIPS with weights from a file.

    Args:
        path: the file of `tools/convert_lpips.py`; by default its path in the cache directory.
        network: 'vgg16', which path lengths take, or 'alexnet', which papers on diversity take.

    Raises:
        UserError: the file does not exist, or it is damaged or of another network.
    """
    trunk = choose(TRUNKS, network, 'LPIPS network')
    path = default_path(network) if path is None else pathlib.Path(path)
    if not path.exists():
        raise UserError(
            f"LPIPS needs trained weights, and {path} does not exist: create it by 'python -m "
            f"gan_jax.tools.convert_lpips TRUNK.pth LIN.pth --network {network}' from torchvision's {network} and the "
            "lpips package's weights/v0.1."
        )
    try:
        weights = npz.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read ({error}): create it again by gan_jax.tools.convert_lpips.') from error
    checksum, source = str(weights.pop('sha256', '')), recorded(weights.pop('source', None))
    check_weights(weights, trunk, path)
    if checksum != weights_hash(weights):
        raise UserError(f'{path} is damaged (its checksum is wrong): create it again by gan_jax.tools.convert_lpips.')
    return Lpips(
        f'lpips v0.1 {network}, {source} weights sha256 {checksum[:16]}', jax.jit(_distance_by(weights, trunk))
    )


def save_weights(path: str | os.PathLike, weights: Mapping[str, np.ndarray], source: str) -> None:
    """Writes what `load_lpips` reads.

    Args:
        path: the .npz.
        weights: arrays by their published names and in their published layout, as `weight_shapes` has them.
        source: 'published' or 'unverified', for the identity.
    """
    npz.save(path, {'sha256': weights_hash(weights), 'source': source, **weights})


def default_path(network: str) -> pathlib.Path:
    """Where a network's weights are in the cache directory."""
    return cache_directory(None) / f'lpips-{network}.npz'


def weight_shapes(trunk: Trunk) -> dict[str, tuple[int, ...]]:
    """The shape of each array of weights by its published name: of the convolutions and of the linear layers."""
    linear = {f'lin{stage}.model.1.weight': (1, channels, 1, 1) for stage, channels in enumerate(trunk.channels())}
    return trunk.shapes() | linear


def check_weights(weights: Mapping[str, np.ndarray], trunk: Trunk, path: str | os.PathLike) -> None:
    """Raises a UserError unless the weights are those of the trunk and finite, with linear weights of at least 0."""
    for name, shape in weight_shapes(trunk).items():
        found = weights[name].shape if name in weights else None
        if found != shape or not np.isfinite(weights[name]).all():
            state = 'missing' if found is None else f'{list(found)}' if found != shape else 'not finite'
            raise UserError(f'{path} does not belong to this network: {name} is {state}, not {list(shape)}.')
        if name.startswith('lin') and weights[name].min() < 0:
            raise UserError(f'{path} has a negative weight in {name}; weights of LPIPS are at least 0.')


def weights_hash(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], np.float32)
        digest.update(f'{name} {array.shape}'.encode())
        digest.update(array.data)
    return digest.hexdigest()


def lpips_diversity(
    distance: Distance,
    images: Any,
    *,
    pairs: int = 2000,
    labels: Any = None,
    seed: int = 0,
    batch_size: int = 32,
) -> Estimate:
    """The mean distance of random pairs of generated images: higher is more varied; 0 is a collapse to one image.

    As in BicycleGAN, Zhu et al. 2017, arXiv:1711.11586, and within classes or inputs as in StarGAN v2, Choi et al.
    2020, arXiv:1912.01865. Noise is diverse too: use it with a measure of quality.

    Each pair is drawn anew: the first image uniformly, the second uniformly from the others, of the same class where
    there are labels. The error is an upper bound of the standard error, of `standard_errors.over_pairs`; None of two
    images.

    Args:
        distance: such as `Lpips.distance`.
        images: uint8 [n, H, W, C], C of 1 or 3, in [0, 255].
        pairs: number of pairs, at least 2.
        labels: [n], each image's class (or the input it was generated from), or None. Images alone in their class are
            skipped.
        seed: seed of the pairs.
        batch_size: pairs at a time; memory depends on it and the value does not.

    Raises:
        UserError: the images or labels have another form, no two images make a pair, or a distance is not finite.
    """
    images = images_array(images, 'The images')
    require(pairs >= 2, 'pairs', pairs, 'at least 2')
    labels = np.zeros(len(images), int) if labels is None else np.asarray(labels)
    if labels.shape != (len(images),):
        raise UserError(f'There are {len(images)} images and labels of shape {list(labels.shape)}; give one for each.')
    first, second, alone = _draw_pairs(labels, pairs, np.random.default_rng(seed))
    padded = -(-pairs // batch_size) * batch_size  # whole batches, that the distance is compiled once
    blocks = np.stack([np.resize(first, padded), np.resize(second, padded)], axis=1).reshape(-1, batch_size, 2)
    distances = [np.asarray(distance(images[block[:, 0]], images[block[:, 1]]), np.float64) for block in blocks]
    distances = np.concatenate(distances)[:pairs]
    if not np.isfinite(distances).all():
        raise UserError(f'{(~np.isfinite(distances)).sum()} of {pairs} distances are not finite: check the weights.')
    within = 'of any two images' if np.all(labels == labels[0]) else 'within classes'
    left_out = f', {alone} alone in their class left out' if alone else ''
    rule = f'{pairs} random pairs {within}{left_out}, bound of the standard error over pairs that share images'
    return Estimate(float(distances.mean()), over_pairs(distances, len(images) - alone), rule)


def _draw_pairs(labels: np.ndarray, pairs: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Indices [pairs] of first and second images, and how many images are alone in their class."""
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(classes, kind='stable')  # places: class by class
    starts = np.cumsum(counts) - counts
    places = np.flatnonzero(counts[classes[order]] > 1)
    if not len(places):
        raise UserError(f'No two of {len(labels)} images have the same class; diversity needs pairs of the same class.')
    first = random.choice(places, pairs)
    start, count = starts[classes[order[first]]], counts[classes[order[first]]]
    second = start + (first - start + 1 + random.integers(count - 1)) % count
    return order[first], order[second], len(labels) - len(places)


def _distance_by(weights: Mapping[str, np.ndarray], trunk: Trunk) -> Distance:
    kernels = trunk.kernels(weights)
    linear = [jnp.asarray(weights[f'lin{stage}.model.1.weight'][0, :, 0, 0]) for stage in range(len(trunk.stages))]

    def distance(x: Any, y: Any) -> Array:
        if jnp.shape(x) != jnp.shape(y):
            raise UserError(
                f'A distance needs images of the same shape, not {list(jnp.shape(x))} and {list(jnp.shape(y))}.'
            )
        total = jnp.zeros(len(x))
        taps = trunk.taps(kernels, jnp.concatenate([_scaled(x, trunk.least), _scaled(y, trunk.least)]))
        for weight, tap in zip(linear, taps, strict=True):
            one, other = jnp.split(tap / (jnp.linalg.norm(tap, axis=-1, keepdims=True) + EPSILON), 2)
            total += ((one - other) ** 2 * weight).sum(axis=-1).mean(axis=(1, 2))
        return total

    return distance


def _scaled(images: Any, least: int) -> Array:
    images = jnp.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or min(images.shape[1:3]) < least:
        raise UserError(
            f'LPIPS takes images [n, H, W, 1 or 3] of at least {least}x{least} pixels, not '
            f'{list(images.shape)}; enlarge smaller images, and state this with the value.'
        )
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 127.5 - 1
    elif not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f'LPIPS takes images of uint8 in [0, 255] or floats in [-1, 1], not of {images.dtype}.')
    return (images.astype(jnp.float32) - jnp.array(SHIFT)) / jnp.array(SCALE)  # a grey channel becomes three
