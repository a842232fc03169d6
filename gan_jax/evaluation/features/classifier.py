"""Small classifiers, trained on the data set itself, as feature extractors.

They replace Inception if its weights are missing, and suit small grey images better. `tools/train_classifier.py`
trains them and keeps them in the cache. Scores in their features compare models of one data set under one classifier
and nothing else, so an extractor's identity contains the hash of the weights and calls them unverified: no hash of
one is published.
"""

import hashlib
import json
import os
import pathlib
import re
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax.data import absolute_name, fingerprints
from gan_jax.data.cache import cache_directory
from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, Features, is_image_type
from gan_jax.evaluation.features.published import UNVERIFIED
from gan_jax.layers.linear import Conv, Dense
from gan_jax.layers.normalization import normalize
from gan_jax.layers.resampling import average_pool
from gan_jax.records import npz

Array = jax.Array
PyTree = Any
_INVALID = (OSError, ValueError, KeyError, TypeError, AttributeError)


class ClassifierNetwork(nn.Module):
    """A compact residual network (He et al. 2016, arXiv:1512.03385): images in [-1, 1] to features and logits.

    A stem, and for each width a stage: a convolution to that width, and residual blocks x + relu(norm(conv(x))). All
    stages but the first halve the image before that, down to 4 pixels. The features are the last stage's means over
    space, which are not negative.

    Attributes:
        num_classes: K.
        widths: widths of the stages; the last is the number of features D.
        blocks: residual blocks of each stage.
        stem_stride: 2: a 4x4 convolution that halves the image at once, cheap on a CPU; 1: 3x3 at full size.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    stem_stride: int = 2

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Features:
        """Features of float32 images [n, H, W, C]; `train` normalises by the batch and moves 'batch_stats'."""

        def layer(hidden: Array, width: int, **options: Any) -> Array:
            hidden = Conv(width, use_bias=False, kernel_init=nn.initializers.he_normal(), **options)(hidden)
            return nn.relu(normalize('batch', hidden, train=train))

        hidden = layer(images, self.widths[0], kernel_size=2 + self.stem_stride, stride=self.stem_stride)
        for stage, width in enumerate(self.widths):
            if stage:
                hidden = layer(_halve(hidden), width)
            for _ in range(self.blocks):
                hidden += layer(hidden, width)
        features = hidden.mean((1, 2))
        return Features(features, Dense(self.num_classes, kernel_init=nn.initializers.he_normal())(features))


class Classifier(NamedTuple):
    """A trained classifier.

    Attributes:
        network: without weights.
        variables: 'params' and 'batch_stats' of the network, NumPy arrays.
        shape: (H, W, C) of the images it was trained on.
        data: the name of their data set.
        accuracy: the accuracy on images it was not trained on.
        tested_on: these images in words, such as '10000 images of mnist test'.
        training: the recipe, the seed and the training data's fingerprint, JSON values.
    """

    network: ClassifierNetwork
    variables: PyTree
    shape: tuple[int, int, int]
    data: str
    accuracy: float
    tested_on: str
    training: dict[str, Any]


def see(network: ClassifierNetwork, variables: PyTree, images: Array) -> Features:
    """The features of images [n, H, W, C] in [0, 255], uint8 or float, with running statistics."""
    with jax.default_matmul_precision('highest'):  # or accelerators would round the inputs
        return network.apply(variables, (2 * images.astype(jnp.float32) - 255) / 255)


def classifier(
    name: str | os.PathLike,
    *,
    image_shape: tuple[int, int, int] | None = None,
    size: int | None = None,
    channels: int | None = None,
    cache_dir: str | os.PathLike | None = None,
) -> Extractor:
    """The extractor of a trained classifier.

    Args:
        name: the data set as `gan_jax.data.load` names it, whose classifier is in the cache; or a file, *.npz.
        image_shape: (H, W, C) of the images to be looked at; None: those that it was trained on. Images of another
            size are resized to the classifier's by antialiased bilinear interpolation, grey is repeated to three
            channels, and three are averaged to one; the identity says so.
        size: size of the data that it was trained on, as in `load`.
        channels: the same.
        cache_dir: directory of the cache; `gan_jax` under XDG_CACHE_HOME, that is ~/.cache/gan_jax, if None.

    Raises:
        UserError: the classifier does not exist, or its file is damaged.
    """
    name = os.fspath(name)
    if name.endswith('.npz'):
        return extractor(load_classifier(name), image_shape)
    path = classifier_path(name, size=size, channels=channels, cache_dir=cache_dir)
    if not path.exists():
        options = ''.join(f' --{key} {value}' for key, value in (('size', size), ('channels', channels)) if value)
        raise UserError(
            f'There is no classifier of {name!r} in {str(path.parent)!r}: train one, in minutes, with '
            f'python -m gan_jax.tools.train_classifier {name}{options}.'
        )
    return extractor(load_classifier(path), image_shape)


def extractor(trained: Classifier, image_shape: tuple[int, int, int] | None = None) -> Extractor:
    """The extractor of a classifier for images of a shape, as in `classifier`.

    Raises:
        UserError: the numbers of channels differ, and neither is grey.
    """
    image_shape = tuple(image_shape or trained.shape)
    (*size, channels), (*own_size, own_channels) = image_shape, trained.shape
    if channels != own_channels and 1 not in (channels, own_channels):
        raise UserError(
            f'A classifier of {own_channels} channels cannot process images of {channels} channels, only of 1.'
        )
    identity = (
        f'classifier-{trained.data}, {UNVERIFIED} weights {weights_hash(trained.variables)}, '
        f'{trained.accuracy:.2%} right of {trained.tested_on}, trained at {_times(trained.shape)}, '
        f'{trained.network.widths[-1]} features after pooling'
    )
    if size != own_size:
        identity += f', resize=bilinear-antialias {_times(size)} to {_times(own_size)}'
    if channels != own_channels:
        identity += f', channels={"repeated" if channels == 1 else "averaged"} {channels} to {own_channels}'

    def apply(images: Array) -> Features:
        if not is_image_type(images.dtype) or images.shape[1:] != image_shape:
            raise UserError(
                f'This extractor takes uint8 images {_times(image_shape)}, not {images.dtype} of shape '
                f'{list(images.shape)}: create it with the image_shape of your images.'
            )
        if channels > own_channels:
            images = images.astype(jnp.float32).mean(-1, keepdims=True)
        if size != own_size:
            shape = (len(images), *own_size, images.shape[-1])
            images = jax.image.resize(images.astype(jnp.float32), shape, 'linear', antialias=True)
        if channels < own_channels:
            images = images.repeat(own_channels, axis=-1)
        return see(trained.network, trained.variables, images)

    return Extractor(f'classifier-{trained.data}', identity, apply)


def weights_hash(variables: PyTree) -> str:
    """The first 12 hexadecimal digits of a SHA-256 over names, shapes and float32 bits of all arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(flatten_dict(variables, sep='/').items()):
        digest.update(f'{name} {array.shape} '.encode() + np.asarray(array, '<f4').tobytes())
    return digest.hexdigest()[:12]


def classifier_path(
    name: str, *, size: int | None = None, channels: int | None = None, cache_dir: str | os.PathLike | None = None
) -> pathlib.Path:
    """The path in the cache of the classifier of a data set, for a size and channels as in `load`.

    Names that are not valid file names get a hash, so that those of two folders never collide.
    """
    name = absolute_name(name)
    readable = re.sub('[^A-Za-z0-9_.-]+', '_', name)
    if readable != name:
        readable = f'{readable[-80:]}-{fingerprints.of_value(name)[:8]}'
    kind = ''.join(f'-{key}{value}' for key, value in (('size', size), ('channels', channels)) if value)
    return cache_directory(cache_dir) / 'classifiers' / f'{readable}{kind}.npz'


def save_classifier(trained: Classifier, path: str | os.PathLike) -> None:
    """Writes a classifier, atomically; raises a UserError if that is impossible."""
    network = trained.network
    description = trained._replace(
        network={key: getattr(network, key) for key in ('num_classes', 'widths', 'blocks', 'stem_stride')},
        variables=weights_hash(trained.variables),
    )
    npz.save(path, {'description': json.dumps(description._asdict()), **flatten_dict(trained.variables, sep='/')})


def load_classifier(path: str | os.PathLike) -> Classifier:
    """Reads a classifier and checks its weights' hash.

    Raises:
        UserError: the file does not exist, is not a classifier, or is damaged.
    """
    try:
        arrays = npz.load(path)
        trained = Classifier(**json.loads(str(arrays.pop('description'))))
        variables = unflatten_dict(arrays, sep='/')
        if weights_hash(variables) != trained.variables:
            raise ValueError(f'the weights have the hash {weights_hash(variables)}, not {trained.variables}')
        network = ClassifierNetwork(**trained.network | {'widths': tuple(trained.network['widths'])})
        return trained._replace(network=network, variables=variables, shape=tuple(trained.shape))
    except FileNotFoundError:
        raise UserError(f'There is no classifier {os.fspath(path)!r}: give a file of tools.train_classifier.') from None
    except _INVALID as error:
        raise UserError(
            f'{os.fspath(path)!r} is not a classifier, or is damaged ({error}): train it again with '
            'python -m gan_jax.tools.train_classifier.'
        ) from error


def _halve(images: Array) -> Array:
    """The mean of each 2x2 block, an odd last row or column taken twice; images of up to 4 pixels as they are."""
    if min(images.shape[1:3]) <= 4:
        return images
    odd = [(0, side % 2) for side in images.shape[1:3]]
    return average_pool(jnp.pad(images, ((0, 0), *odd, (0, 0)), 'edge'))


def _times(sizes: tuple[int, ...] | list[int]) -> str:
    return 'x'.join(map(str, sizes))
