"""Perceptual losses: distances of images in the features of a trained network.

The network's weights are not parameters of the game. They are read when a training step is traced, so sampling from a
run does not need them.
"""

import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.data.cache import cache_directory
from gan_jax.errors import UserError
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.features.torch_file import read_torch_file
from gan_jax.evaluation.features.vgg import VGG19
from gan_jax.evaluation.lpips import SCALE, SHIFT, load_lpips
from gan_jax.layers.choices import choose

Array = jax.Array

VGG19_FILE = 'vgg19-dcbb9e9d.pth'  # its SHA-256 begins with these digits
NORMS: dict[str, Callable[[Array], Array]] = {'squared': jnp.square, 'absolute': jnp.abs}


class Content(NamedTuple):
    """A perceptual loss.

    Attributes:
        protocol: network, layer and normalisation in words.
        distance: two batches of images [B, H, W, C] in [-1, 1] -> a scalar, the mean over images and features.
    """

    protocol: str
    distance: Callable[[Array, Array], Array]


def make_content(spec: str, norm: str, data_name: str, shape: tuple[int, int, int]) -> Content:
    """The perceptual loss of that name.

    Args:
        spec: 'vgg19', conv5_4 of VGG19 before its ReLU, as in ESRGAN; 'vgg19_relu', the same after it, as in SRGAN;
            'lpips', the distance of `gan_jax.evaluation.lpips`; or an extractor as in
            `gan_jax.evaluation.features.find.find_extractor`, such as 'classifier:NAME', whose pooled features are
            compared.
        norm: 'squared' or 'absolute' differences, averaged over the features; without effect for LPIPS.
        data_name: the data set, for 'classifier'.
        shape: (H, W, C) of the images.

    Raises:
        UserError: the norm does not exist. `distance` raises one if the extractor or its weights do not exist.
    """
    measure = choose(NORMS, norm, 'norm')
    if spec == 'lpips':
        return Content('LPIPS, normalised as there', lambda x, y: load_lpips().distance(x, y).mean())
    if spec in _VGG19:
        activated = _VGG19[spec]
        see = functools.partial(_see_vgg19, activated=activated)
        where = 'after' if activated else 'before'
        protocol = f'VGG19 conv5_4 {where} its ReLU, mean and deviation of ImageNet'
    else:

        def see(images: Array) -> Array:
            found = find_extractor(spec, data_name, shape)
            images = (images + 1) * 127.5
            return found.apply(found.resize(images) if found.resize else images).features

        protocol = f'pooled features of the extractor {spec}, with its own normalisation'

    def distance(x: Array, y: Array) -> Array:
        x, y = (see(images.astype(jnp.float32)) for images in (x, y))
        return measure(x - y).mean()

    return Content(f'{protocol}, mean {norm} difference', distance)


_VGG19 = {'vgg19': False, 'vgg19_relu': True}


def _see_vgg19(images: Array, activated: bool) -> Array:
    """The features [B, H / 16, W / 16, 512] of images [B, H, W, 1 or 3] in [-1, 1]."""
    images = (images - jnp.array(SHIFT)) / jnp.array(SCALE)  # a grey channel becomes three
    return VGG19.taps(_vgg19_kernels(), images, activated=activated)[-1]


def _vgg19_kernels() -> dict[str, Array]:
    path = cache_directory(None) / VGG19_FILE
    if not path.exists():
        raise UserError(
            f'The perceptual loss needs the weights of VGG19, and {path} does not exist: put '
            f"https://download.pytorch.org/models/{VGG19_FILE} there, or choose game.content='none', 'lpips' or "
            "'classifier:NAME'."
        )
    return _read_vgg19(path, path.stat().st_mtime)


@functools.lru_cache(1)
def _read_vgg19(path: pathlib.Path, changed: float) -> dict[str, Array]:
    del changed
    with open(path, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if not digest.startswith(path.stem.rpartition('-')[2]):
        raise UserError(f'{path} is damaged (its SHA-256 is {digest}): download it again.')
    with jax.ensure_compile_time_eval():  # the arrays outlive the trace that reads them first
        return VGG19.kernels(read_torch_file(path))
