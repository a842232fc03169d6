"""How well a segmenter of this project recognises label maps in the images that were painted from them.

As in Park et al. 2019, SPADE, section 4, which takes published segmenters of each data set. Here a small U-Net learns
from the real pairs that the generator learnt from, so the values compare generators of one data set and
nothing else.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier import see
from gan_jax.evaluation.features.classifier_training import Recipe, train
from gan_jax.evaluation.features.extractor import Features
from gan_jax.evaluation.fid import fid
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.standard_errors import of_mean
from gan_jax.layers.linear import Conv
from gan_jax.layers.normalization import normalize
from gan_jax.layers.resampling import average_pool, interpolate

PyTree = Any
RECIPE = Recipe(widths=(16, 32, 64), epochs=4, batch_size=32, learning_rate=0.1, label_smoothing=0.0, policy=())
_BLOCK = 200  # images of one call


class Segmenter(nn.Module):
    """A U-Net (Ronneberger et al. 2015) with one convolution at each size on each side.

    Attributes:
        num_classes: K.
        widths: channels from the first size to the smallest; each size is half the one before.
    """

    num_classes: int
    widths: tuple[int, ...] = RECIPE.widths

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> Features:
        """Images [B, H, W, C] -> class logits [B, H, W, K], and as features [B, D] the means of the smallest layer."""

        def layer(x: jax.Array, width: int) -> jax.Array:
            x = Conv(width, use_bias=False, kernel_init=nn.initializers.he_normal())(x)
            return nn.relu(normalize('batch', x, train=train))

        skips, x = [], images
        for width in self.widths[:-1]:
            skips.append(layer(x, width))
            x = average_pool(skips[-1])
        x = layer(x, self.widths[-1])
        features = x.mean((1, 2))
        for width, skip in zip(self.widths[-2::-1], skips[::-1], strict=True):
            x = layer(jnp.concatenate([interpolate('nearest', x), skip], axis=-1), width)
        return Features(features, Conv(self.num_classes, kernel_size=1)(x))


def segmentation(
    real: np.ndarray, fake: np.ndarray, maps: np.ndarray, known: Dataset, recipe: Recipe = RECIPE
) -> dict[str, Estimate]:
    """Pixel accuracy, mean intersection over union, and a Fréchet distance by the segmenter's features.

    Args:
        real: uint8 [n, H, W, C], the real images of the maps.
        fake: uint8 [n, H, W, C], the images made from them.
        maps: uint8 [n, H, W, 1].
        known: the pairs that the segmenter learns from, usually those that the generator learnt from.
        recipe: the segmenter's training.

    Raises:
        UserError: the sides cannot be halved.
    """
    variables = _trained(known, recipe)
    looked_at = {'real': _predict(variables, known, recipe, real), 'fake': _predict(variables, known, recipe, fake)}
    counts = {name: confusion(maps[..., 0], found, known.num_classes) for name, (found, _) in looked_at.items()}
    right = (looked_at['fake'][0] == maps[..., 0]).mean((1, 2))
    settings = ', '.join(f'{name} {getattr(recipe, name)}' for name in ('widths', 'epochs', 'batch_size'))
    rule = f"gan_jax's own segmenter ({settings}, seed 0) of {len(known)} real pairs of {known.name} {known.split}"
    reached = {'miou': mean_iou(counts['real']), 'pixel_accuracy': pixel_accuracy(counts['real'])}
    rules = {name: f'{rule}; the real images have {value:.4f}' for name, value in reached.items()}
    distance = fid(*(features for _, features in looked_at.values()))
    return {
        'miou': Estimate(mean_iou(counts['fake']), rule=rules['miou']),
        'pixel_accuracy': Estimate(pixel_accuracy(counts['fake']), of_mean(right), rules['pixel_accuracy']),
        'segmenter_fid': distance._replace(rule=f'features of {rule}, {distance.rule}'),
    }


def confusion(maps: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """The number of pixels of each class (rows) that were taken for each class (columns), int [classes, classes]."""
    pairs = maps.astype(np.int64).ravel() * classes + found.ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def pixel_accuracy(counts: np.ndarray) -> float:
    """The share of pixels that were recognised, from a `confusion`."""
    return float(np.trace(counts) / counts.sum())


def mean_iou(counts: np.ndarray) -> float:
    """The mean of intersection over union, from a `confusion`, over the classes that occur in either."""
    right = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - right
    return float((right[union > 0] / union[union > 0]).mean())


@functools.lru_cache(maxsize=1)
def _trained(known: Dataset, recipe: Recipe) -> PyTree:
    """The variables of a segmenter of a data set."""
    step = 2 ** (len(recipe.widths) - 1)
    if any(side % step for side in known.shape[:2]):
        raise UserError(
            f'The segmenter halves images to a {step}th, and those of {known.name!r} are '
            f'{known.shape[0]}x{known.shape[1]}: use sides that are multiples of {step}.'
        )
    return train(
        Segmenter(known.num_classes, recipe.widths),
        np.asarray(known.examples),
        np.asarray(known.inputs)[..., 0],
        recipe=recipe,
    )


def _predict(variables: PyTree, known: Dataset, recipe: Recipe, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes [n, H, W] of images, and their features [n, D]."""
    network = Segmenter(known.num_classes, recipe.widths)
    looked = [_look(network, variables, images[i : i + _BLOCK]) for i in range(0, len(images), _BLOCK)]
    found, features = zip(*looked, strict=True)
    return np.concatenate(found), np.concatenate(features)


@functools.partial(jax.jit, static_argnums=0)
def _look(network: Segmenter, variables: PyTree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    seen = see(network, variables, images)
    return seen.logits.argmax(-1), seen.features
