"""Inception's weights: their location, their verification, and the conversion of the published files.

gan_jax's file is an .npz of float32 arrays in PyTorch's names and layout, with the SHA-256 of them all and whether they
are known to be the published ones. `python -m gan_jax.tools.convert_inception` makes it, from any of the published
files of the network of 2015-12-05:

- pytorch-fid's pt_inception-2015-12-05-6726825d.pth and torch-fidelity's weights-inception-2015-12-05-6726825d.pth,
  which are the same bytes and are read without PyTorch;
- TensorFlow's classify_image_graph_def.pb, where TensorFlow is installed; unverified, as no hash of it is known.
"""

import hashlib
import http.client
import os
import pathlib
import tempfile
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gan_jax.data.cache import cache_directory
from gan_jax.errors import UserError
from gan_jax.evaluation.features.inception_graph import read_graph
from gan_jax.evaluation.features.inception_network import NAME, parameter_shapes
from gan_jax.evaluation.features.published import UNVERIFIED, recorded, verify
from gan_jax.evaluation.features.torch_file import read_torch_file
from gan_jax.records import files, npz

URLS = (
    'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth',
    'https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth',
)
SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'  # of the file behind either

_CHECKSUM, _SOURCE = 'sha256', 'source'
_BATCH_NORM = ('weight', 'bias', 'running_mean', 'running_var')
_BATCH_NORM_EPSILON = 1e-3


class InceptionWeights(NamedTuple):
    """The network's weights as they are published.

    Attributes:
        arrays: float32 by PyTorch's names ('Mixed_5b.branch1x1.bn.running_var'), convolutions [out, in, height, width].
        sha256: SHA-256 of their names and numbers, in hexadecimal.
        source: 'published' where they come from the published file, else 'unverified'.
    """

    arrays: Mapping[str, np.ndarray]
    sha256: str
    source: str


def weights_path() -> pathlib.Path:
    """The default path of the weights."""
    return cache_directory(None) / f'{NAME}.npz'


def has_inception_weights() -> bool:
    """Whether there is a file at the default path of the weights."""
    return weights_path().exists()


def load_inception_weights(path: str | os.PathLike | None = None) -> InceptionWeights:
    """Reads the weights and checks names, shapes and checksum.

    Args:
        path: an .npz that `save_inception_weights` has written; by default `weights_path()`.

    Raises:
        UserError: the file does not exist, or has changed since it was written.
    """
    path = weights_path() if path is None else files.user_path(path)
    try:
        arrays = npz.load(path)
        checksum = str(arrays.pop(_CHECKSUM))
    except FileNotFoundError as error:
        raise UserError(
            f"Inception's weights are not in {path}: create the file with 'python -m gan_jax.tools.convert_inception "
            "FILE' from pytorch-fid's, torch-fidelity's or TensorFlow's file, or download the weights with 'python -m "
            "gan_jax.tools.convert_inception --download'."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'{path} is not a file of tools.convert_inception, or is damaged: create it again.') from error
    weights = checked_weights(arrays, path, recorded(arrays.pop(_SOURCE, None)))
    if weights.sha256 != checksum:
        raise UserError(f'The weights in {path} do not match their checksum: create the file again.')
    return weights


def save_inception_weights(weights: InceptionWeights, path: str | os.PathLike | None = None) -> pathlib.Path:
    """Writes the weights, atomically, and returns where; by default to `weights_path()`."""
    path = weights_path() if path is None else files.user_path(path)
    npz.save(path, {**weights.arrays, _CHECKSUM: weights.sha256, _SOURCE: weights.source})
    return path


def convert(path: str | os.PathLike, unverified: bool = False) -> InceptionWeights:
    """Reads a published file: a PyTorch state dict, or a TensorFlow graph if its name ends in '.pb'.

    Args:
        path: the file.
        unverified: whether a file is taken that is not known to be the published one; protocols say so.

    Raises:
        UserError: it cannot be read, is not the published file, holds another network, or needs TensorFlow, which is
            not installed.
    """
    path = files.user_path(path)
    is_graph = path.suffix == '.pb'
    source = verify(path, None if is_graph else SHA256, "Inception's weights of 2015-12-05", unverified)
    arrays = read_graph(path) if is_graph else read_torch_file(path)
    counters = [name for name in arrays if name.endswith('.num_batches_tracked')]
    return checked_weights({name: array for name, array in arrays.items() if name not in counters}, path, source)


def download() -> InceptionWeights:
    """Downloads the published weights and converts them.

    Raises:
        UserError: no source is reachable with the right bytes.
    """
    reasons = []
    for url in URLS:
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                data = response.read()
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f'{url}: {error}')
            continue
        if hashlib.sha256(data).hexdigest() == SHA256:
            with tempfile.TemporaryDirectory() as directory:
                file = pathlib.Path(directory) / 'inception.pth'
                file.write_bytes(data)
                return convert(file)
        reasons.append(f'{url}: its SHA-256 is not {SHA256}')
    raise UserError(
        f"Inception's weights cannot be downloaded ({'; '.join(reasons)}): download one of these files elsewhere and "
        "pass it to 'python -m gan_jax.tools.convert_inception FILE'."
    )


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights as they are published, convolutions [out, in, height, width]."""
    shapes = {}
    for name, layer in parameter_shapes().items():
        if name == 'fc':
            shapes |= {'fc.weight': layer['kernel'][::-1], 'fc.bias': layer['bias']}
        else:
            height, width, inputs, outputs = layer['kernel']
            shapes[f'{name}.conv.weight'] = (outputs, inputs, height, width)
            shapes |= {f'{name}.bn.{part}': (outputs,) for part in _BATCH_NORM}
    return shapes


def folded(arrays: Mapping[str, np.ndarray], tap: int = 2048) -> dict[str, dict[str, np.ndarray]]:
    """The network's parameters from published weights: each batch norm goes into the convolution before it."""
    return {name: _folded_layer(arrays, name) for name in parameter_shapes(tap)}


def _folded_layer(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    if name == 'fc':
        return {'kernel': arrays['fc.weight'].T, 'bias': arrays['fc.bias']}
    scale, shift, mean, variance = (arrays[f'{name}.bn.{part}'].astype(np.float64) for part in _BATCH_NORM)
    factor = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
    kernel = arrays[f'{name}.conv.weight'].transpose(2, 3, 1, 0) * factor
    return {'kernel': kernel.astype(np.float32), 'bias': (shift - mean * factor).astype(np.float32)}


def checked_weights(
    arrays: Mapping[str, np.ndarray], path: str | os.PathLike, source: str = UNVERIFIED
) -> InceptionWeights:
    """The arrays in float32 and in order, with their checksum.

    Args:
        arrays: by PyTorch's names.
        path: where they are from, for errors.
        source: as in `InceptionWeights`.

    Raises:
        UserError: their names or shapes are not those of the network.
    """
    shapes = published_shapes()
    for name in sorted(shapes.keys() ^ arrays.keys()):
        fault = 'lacks' if name in shapes else 'has, beside them,'
        raise UserError(f"{path} does not contain Inception's weights of 2015-12-05: it {fault} {name!r}.")
    for name, shape in shapes.items():
        if arrays[name].shape != tuple(shape):
            raise UserError(
                f"{path} does not contain Inception's weights of 2015-12-05: {name!r} has shape "
                f'{list(arrays[name].shape)} and not {list(shape)}.'
            )
    ordered = {name: np.ascontiguousarray(arrays[name], np.float32) for name in sorted(shapes)}
    digest = hashlib.sha256()
    for name, array in ordered.items():
        digest.update(name.encode() + b'\0')
        digest.update(array.tobytes())
    return InceptionWeights(ordered, digest.hexdigest(), source)
