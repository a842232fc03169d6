"""Kinds of damage to a set of images, one function each, which keep the number of images."""

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.ndimage

from gan_jax.data import Dataset

BLUR = 1.0  # pixels, standard deviation
NOISE = 32.0  # of 255, standard deviation
KEPT = 10  # one of so many images is left where the others are its duplicates


def blurred(data: Dataset, train: Dataset) -> Dataset:
    """Blurred by a Gaussian."""
    images = scipy.ndimage.gaussian_filter(data.examples.astype(np.float32), (0, BLUR, BLUR, 0), mode='nearest')
    return _changed(data, 'blurred', images.round().astype(np.uint8))


def noisy(data: Dataset, train: Dataset) -> Dataset:
    """With Gaussian noise in every pixel."""
    noise = np.random.default_rng(0).normal(0, NOISE, data.examples.shape)
    return _changed(data, 'noisy', (data.examples + noise).round().clip(0, 255).astype(np.uint8))


def half_the_classes(data: Dataset, train: Dataset) -> Dataset:
    """Only the first half of the classes, completed with further training images of these classes."""
    wanted = data.num_classes // 2
    own, more = np.flatnonzero(data.labels < wanted), np.flatnonzero(train.labels < wanted)
    more = more[len(more) - (len(data) - len(own)) :]
    images = np.concatenate([data.examples[own], train.examples[more]])
    return _changed(data, 'half of the classes', images, np.concatenate([data.labels[own], train.labels[more]]))


def duplicated(data: Dataset, train: Dataset) -> Dataset:
    """A tenth of the images, ten times each."""
    rows = np.arange(len(data)) % (len(data) // KEPT)
    return _changed(data, 'duplicated', data.examples[rows], data.labels[rows])


def mislabelled(data: Dataset, train: Dataset) -> Dataset:
    """Every image under the next class's label."""
    return _changed(data, 'mislabelled', data.examples, (data.labels + 1) % data.num_classes)


def memorised(data: Dataset, train: Dataset) -> Dataset:
    """Copies of the real images themselves: the first ones of the training set."""
    return _changed(data, 'memorised', train.examples[: len(data)], train.labels[: len(data)])


def intact(data: Dataset, train: Dataset) -> Dataset:
    """Real images that the reference set does not contain."""
    return data


DAMAGES: dict[str, Callable[[Dataset, Dataset], Dataset]] = {
    'intact': intact,
    'blurred': blurred,
    'noisy': noisy,
    'half of the classes': half_the_classes,
    'duplicated': duplicated,
    'mislabelled': mislabelled,
    'memorised': memorised,
}


def _changed(data: Dataset, how: str, images: np.ndarray, labels: np.ndarray | None = None) -> Dataset:
    labels = data.labels if labels is None else labels
    fingerprint = f'{data.fingerprint} {how}'
    return dataclasses.replace(
        data, split=f'{data.split}, {how}', examples=np.asarray(images), labels=labels, fingerprint=fingerprint
    )
