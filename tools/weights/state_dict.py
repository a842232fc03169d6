"""Layers of PyTorch state dicts as collections of linen layers: {'params': {'kernel': ...}, 'spectral': ...}."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.errors import UserError

Layer = dict[str, dict[str, Any]]  # collection -> leaves


class StateDict(Mapping[str, np.ndarray]):
    """The arrays of a network by name, float32, which knows what has been read of it.

    Args:
        arrays: from PyTorch's names, those that a wrapper for several devices puts 'module.' before among them.
        network: whose they are, for errors.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], network: str):
        self.network = network
        self._arrays = {
            name.removeprefix('module.'): array
            for name, array in arrays.items()
            if not name.endswith('num_batches_tracked')
        }
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise UserError(f'The weights of the {self.network} have no {name}: they belong to another implementation.')
        self._read.add(name)
        return np.array(self._arrays[name], np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def is_spectral(self, name: str) -> bool:
        """Whether PyTorch's spectral norm is of the weights of a layer."""
        return f'{name}.weight_orig' in self

    def weight(self, name: str) -> np.ndarray:
        """The weights of a layer, whether spectrally normalised or not; a UserError if the layer does not exist."""
        return self[f'{name}.weight_orig' if self.is_spectral(name) else f'{name}.weight']

    def check_read(self) -> None:
        """Raises a UserError for the first array that nothing has read."""
        for name in self._arrays.keys() - self._read:
            raise UserError(
                f'The weights of the {self.network} have {name}, which the network does not have: they belong to '
                'another implementation or model.'
            )


def convolution(state: StateDict, name: str) -> Layer:
    """`nn.Conv2d`: OIHW -> HWIO."""
    return _linear(state, name, lambda weight: weight.transpose(2, 3, 1, 0))


def dense(state: StateDict, name: str) -> Layer:
    """`nn.Linear`: [out, in] -> [in, out]."""
    return _linear(state, name, lambda weight: weight.T)


def dense_to_images(state: StateDict, name: str, channels: int) -> Layer:
    """An `nn.Linear` whose outputs become images, which are [C, H, W] in PyTorch and [H, W, C] here."""

    def permute(values: np.ndarray) -> np.ndarray:
        return values.reshape(channels, -1, *values.shape[1:]).swapaxes(0, 1).reshape(values.shape)

    layer = _linear(state, name, lambda weight: permute(weight).T)
    layer['params'] |= {'bias': permute(layer['params']['bias'])} if 'bias' in layer['params'] else {}
    if 'spectral' in layer:
        layer['spectral']['normalization']['u'] = permute(layer['spectral']['normalization']['u'])
    return layer


def dense_of_images(state: StateDict, name: str, channels: int) -> Layer:
    """An `nn.Linear` whose inputs are images, flattened as [C, H, W] in PyTorch and as [H, W, C] here."""

    def permute(weight: np.ndarray) -> np.ndarray:
        kernel = weight.T
        return kernel.reshape(channels, -1, kernel.shape[1]).swapaxes(0, 1).reshape(kernel.shape)

    return _linear(state, name, permute)


def embedding(state: StateDict, name: str) -> Layer:
    """`nn.Embedding`: [classes, features]."""
    layer = _linear(state, name, lambda weight: weight)
    layer['params']['table'] = layer['params'].pop('kernel')
    return layer


def batch_norm(state: StateDict, name: str) -> Layer:
    """`nn.BatchNorm2d`, whose running variance stays the unbiased one; without scale and shift if it has none."""
    layer = {'batch_stats': {'mean': state[f'{name}.running_mean'], 'var': state[f'{name}.running_var']}}
    if f'{name}.weight' in state:
        layer['params'] = {'scale': state[f'{name}.weight'], 'bias': state[f'{name}.bias']}
    return layer


def resolutions(state: StateDict, pattern: str) -> list[int]:
    """The sizes of a network's stages, from the lowest: what the pattern's group is in the names of its arrays.

    Raises:
        UserError: there are none.
    """
    sizes = sorted({int(match[1]) for name in state if (match := re.fullmatch(pattern, name))})
    if not sizes:
        raise UserError(f'The weights of the {state.network} have no stages: they belong to another network.')
    return sizes


def check_filters(state: StateDict, pattern: str, taps: Sequence[float]) -> None:
    """Raises a UserError if an array with the pattern in its name is not the separable filter of these taps."""
    for name in state:
        if re.search(pattern, name) and not np.allclose(state[name], np.outer(taps, taps)):
            raise UserError(f'{name} is not the published filter, whose taps are {", ".join(f"{t:g}" for t in taps)}.')


def assemble(layers: Mapping[str, Layer]) -> dict[str, Any]:
    """The variables of a network from its layers by their places: 'UpBlock_0/first'."""
    variables: dict[str, Any] = {}
    for place, layer in layers.items():
        for collection, leaves in layer.items():
            inner = variables.setdefault(collection, {})
            for part in place.split('/'):
                inner = inner.setdefault(part, {})
            inner.update(leaves)
    return variables


def _linear(state: StateDict, name: str, transpose: Callable[[np.ndarray], np.ndarray]) -> Layer:
    """A layer with the names of plain weights, of `torch.nn.utils.spectral_norm` or of other spectral norms."""
    layer: Layer = {'params': {'kernel': transpose(state.weight(name))}}
    if f'{name}.bias' in state:
        layer['params']['bias'] = state[f'{name}.bias']
    for vector, follows in (('weight_u', 'weight_v'), ('sn_u', 'sn_sigma'), ('u0', 'sv0')):  # PyTorch, mimicry, BigGAN
        if f'{name}.{vector}' in state:
            state[f'{name}.{follows}']  # made anew by the next iteration
            layer['spectral'] = {'normalization': {'u': state[f'{name}.{vector}'].reshape(-1)}}
    return layer
