"""Flax parameters in PyTorch's order and layouts."""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from .named import Named
from .sngan import SpectralConv2d, SpectralLinear

_FLAX_NAMES = {
    nn.Linear: 'Dense',
    nn.Conv2d: 'Conv',
    nn.ConvTranspose2d: 'ConvTranspose',
    nn.BatchNorm2d: 'BatchNorm',
    nn.GroupNorm: 'LayerNorm',
    SpectralConv2d: 'Conv',
    SpectralLinear: 'Dense',
}


def from_flax(network: nn.Module, params: Mapping[str, Mapping[str, np.ndarray]]) -> list[torch.Tensor]:
    """The parameters (or their gradients) of gan_jax's network, in the order of `network.parameters()`.

    The layers of either network carry a running number for each kind, by which they are matched. Dense layers between
    vectors and images are brought from the order (H, W, C) to (C, H, W). Of several networks each has its own in
    gan_jax's dict too. Layers of a `Named` network are matched by name.
    """
    if isinstance(network, nn.ModuleDict):
        return [value for name, part in network.items() for value in from_flax(part, params[name])]
    if isinstance(network, Named):
        return [_named(name, params) for name, _ in network.named_parameters()]
    base, numbers, converted = getattr(network, 'base', None), collections.Counter(), []
    for module in network.modules():
        name = _FLAX_NAMES.get(type(module))
        if name is None:
            continue
        layer = params[f'{name}_{numbers[name]}']
        numbers[name] += 1
        if name in ('BatchNorm', 'LayerNorm'):
            values = [layer['scale'], layer['bias']]
        else:
            values = [_weight(name, np.asarray(layer['kernel']), base)]
            values += [layer['bias']] if 'bias' in layer else []
        converted += [torch.tensor(np.array(value, copy=True)) for value in values]
    return converted


def load_flax(network: nn.Module, params: Mapping[str, Mapping[str, np.ndarray]], variables: Mapping[str, Any]) -> None:
    """Gives a network the parameters, the singular vectors and the noise of gan_jax's."""
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), from_flax(network, params), strict=True):
            parameter.copy_(value)
    for name, constant in network.named_buffers():
        if name.endswith('.noise.constant'):
            constant.copy_(_named(name, variables['noise']))
    for vector, value in spectral_vectors(network, variables):
        vector.copy_(value)


def spectral_vectors(network: nn.Module, variables: Mapping[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The network's singular vectors, each with the one of gan_jax's variables."""
    if isinstance(network, Named):
        spectral = variables.get('spectral', {})
        return [
            (vector, _named(f'{name.removesuffix(".u")}.normalization.u', spectral))
            for name, vector in network.named_buffers()
            if name.endswith('.u')
        ]
    numbers, pairs = collections.Counter(), []
    for module in network.modules():
        if type(module) in (SpectralConv2d, SpectralLinear):
            name = _FLAX_NAMES[type(module)]
            vector = variables['spectral'][f'{name}_{numbers[name]}']['normalization']['u']
            numbers[name] += 1
            pairs.append((module.u, torch.tensor(np.array(vector, copy=True))))
    return pairs


def _named(name: str, tree: Mapping[str, Any]) -> torch.Tensor:
    """The array whose path in gan_jax's tree is the name, in PyTorch's layout."""
    *path, last = name.split('.')
    for part in path:
        tree = tree[part]
    if last == 'weight':
        last = next(kind for kind in ('kernel', 'scale', 'table') if kind in tree)
    array = np.asarray(tree[last])
    if last == 'kernel':
        array = array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1)
    return torch.tensor(np.array(array, copy=True))


def _weight(name: str, kernel: np.ndarray, base: tuple[int, int, int] | None) -> np.ndarray:
    """PyTorch's weight for a Flax kernel."""
    if name == 'Conv':
        return kernel.transpose(3, 2, 0, 1)
    if name == 'ConvTranspose':
        return kernel.transpose(2, 3, 0, 1)
    inputs, outputs = kernel.shape
    if base is not None:
        channels, height, width = base
        if outputs == 1:  # from an image to the logit
            kernel = kernel.reshape(height, width, channels, 1).transpose(2, 0, 1, 3)
        else:  # from the latents to an image
            kernel = kernel.reshape(inputs, height, width, channels).transpose(0, 3, 1, 2)
    return kernel.reshape(inputs, outputs).T
