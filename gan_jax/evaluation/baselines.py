"""Outputs that need no training: from the training pairs of a translator, or small images interpolated."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from gan_jax.data import to_float, to_uint8
from gan_jax.data.dataset import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation import distances
from gan_jax.evaluation.l1 import mean_l1
from gan_jax.evaluation.of_sets import in_batches
from gan_jax.evaluation.psnr import mean_psnr
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.ssim import mean_ssim
from gan_jax.layers.bicubic import ENLARGEMENTS, enlarged

ERRORS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], Estimate], str]] = {
    'l1': (mean_l1, 'min'),
    'psnr': (mean_psnr, 'max'),
    'ssim': (mean_ssim, 'max'),
}
NAMES = ('nearest', 'mean', 'copied')


def baseline_errors(
    real: np.ndarray, inputs: np.ndarray, known: Dataset, *, are_maps: bool = False
) -> dict[str, Estimate]:
    """L1, PSNR and SSIM of outputs that need no training.

    Args:
        real: targets, uint8 [n, H, W, C].
        inputs: their inputs, uint8 [n, h, w, c].
        known: the training pairs.
        are_maps: whether inputs are label maps; otherwise they are images.

    Returns:
        Values by names such as 'l1_nearest', of the outputs of `outputs_without_training`. There is no PSNR if an
        output equals its target, since it is infinite.

    Raises:
        UserError: the training data are no pairs.
    """
    of_pairs, found = f'{len(known)} training pairs of {known.name} {known.split}', {}
    for name, made in outputs_without_training(inputs, known, are_maps=are_maps).items():
        is_infinite = (made == real).all((1, 2, 3)).any()
        for error, (measure, _) in ERRORS.items():
            if error == 'psnr' and is_infinite:
                continue
            value = measure(real, made)
            rule = value.rule if name == 'copied' else f'{of_pairs}, {value.rule}'
            found[f'{error}_{name}'] = value._replace(rule=rule)
    return found


def outputs_without_training(inputs: np.ndarray, known: Dataset, *, are_maps: bool = False) -> dict[str, np.ndarray]:
    """Outputs for inputs that need no training, uint8 [n, H, W, C], by the names `NAMES`.

    *nearest* is the target of the training pair with the nearest input: by the squared difference of pixels, or for
    maps by the number of pixels of the same class. *mean* is the mean target of the training pairs, or for maps the
    mean colour of each pixel's class. *copied* is the input itself, if it is an image of the same size as the targets,
    and of the same channels or one.

    Args:
        inputs: uint8 [n, h, w, c].
        known: the training pairs.
        are_maps: whether inputs are label maps; otherwise they are images.

    Raises:
        UserError: the training data are no pairs.
    """
    if known.inputs is None:
        raise UserError(f'baselines needs training pairs, and {known.name!r} has none: remove it.')
    targets, known_inputs = np.asarray(known.examples), np.asarray(known.inputs)
    if are_maps:
        return {
            'nearest': targets[most_equal(inputs, known_inputs)],
            'mean': mean_colors(targets, known_inputs)[inputs[..., 0]],
        }
    shape = (len(inputs), *targets.shape[1:])
    rows = [images.reshape(len(images), -1).astype(np.float32) for images in (inputs, known_inputs)]
    outputs = {
        'nearest': targets[distances.nearest(*rows, k=1).indices[:, 0]],
        'mean': np.broadcast_to(np.round(targets.mean(0)).astype(np.uint8), shape),
    }
    if inputs.shape[1:3] == shape[1:3] and inputs.shape[3] in (1, shape[3]):
        outputs['copied'] = np.broadcast_to(inputs, shape)
    return outputs


def interpolations(small: np.ndarray, factor: int) -> dict[str, np.ndarray]:
    """Small images uint8 [n, h, w, C], `factor` times as large by each of `ENLARGEMENTS`: uint8 [n, H, W, C]."""
    batches = in_batches(small)
    return {name: np.concatenate([_enlarged(images, name, factor) for images in batches]) for name in ENLARGEMENTS}


@functools.partial(jax.jit, static_argnums=(1, 2))
def _enlarged(images: jax.Array, name: str, factor: int) -> jax.Array:
    return to_uint8(enlarged(name, to_float(images), factor))


def most_equal(maps: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The row of the known map with the most pixels of the same class, the first one among equals: int [n].

    Args:
        maps: uint8 [n, H, W, 1].
        known: uint8 [m, H, W, 1].
    """
    return np.array([(known == one).mean((1, 2, 3)).argmax() for one in maps])


def mean_colors(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The mean colour of the pixels of each class, uint8 [256, C]; that of all pixels for classes without any.

    Args:
        images: uint8 [m, H, W, C].
        maps: their classes, uint8 [m, H, W, 1].
    """
    classes = maps.ravel()
    counts = np.bincount(classes, minlength=256)[:, None]
    sums = np.stack([np.bincount(classes, channel.ravel(), 256) for channel in np.moveaxis(images, -1, 0)], axis=1)
    means = np.where(counts, sums / np.maximum(counts, 1), sums.sum(0) / counts.sum())
    return np.round(means).astype(np.uint8)
