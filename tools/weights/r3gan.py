"""R3GAN's published layout: brownvc/R3GAN, R3GAN/Networks.py, at commit 19a7ddf."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.models.r3gan import TAPS
from tools.weights import Converted

Arrays = Mapping[str, np.ndarray]


def networks(generator: Arrays, discriminator: Arrays | None) -> Converted:
    """The networks of R3GAN's state dicts.

    Raises:
        UserError: a network's filters are not the published ones.
    """
    config = configs.base('r3gan')
    widths = _describe(config.generator, generator)
    base, linear = generator['MainLayers.0.Layers.0.Basis'], generator['MainLayers.0.Layers.0.LinearLayer.weight']
    embedding = generator.get('EmbeddingLayer.weight')
    config.latents.size = linear.shape[1] - (0 if embedding is None else len(embedding))
    config.data.size = base.shape[1] << (len(widths) - 1)
    config.data.channels = len(generator['AggregationLayer.Layer.weight'])
    if embedding is not None:
        config.generator.conditioning, config.generator.embedding_size = 'concatenate', len(embedding)
    convolutions = [*_transitions(generator), generator['AggregationLayer.Layer.weight']]
    params = {'basis': base.transpose(1, 2, 0), 'Dense_0': {'kernel': linear.T}, **_common(generator, convolutions)}
    variables = {'generator': {'params': params}}

    if discriminator is not None:
        widths = _describe(config.discriminator, discriminator)
        place = f'MainLayers.{len(widths) - 1}.Layers.{config.discriminator.blocks[-1]}'
        basis, linear = discriminator[f'{place}.Basis.weight'], discriminator[f'{place}.LinearLayer.weight']
        if 'EmbeddingLayer.weight' in discriminator:
            config.discriminator.conditioning, config.discriminator.embedding_size = 'projection', len(linear)
        convolutions = [discriminator['ExtractionLayer.Layer.weight'], *_transitions(discriminator)]
        params = {
            'basis': basis[:, 0].transpose(1, 2, 0),
            'Dense_0': {'kernel': linear.T},
            **_common(discriminator, convolutions),
        }
        variables['discriminator'] = {'params': params}
    return Converted(config, variables)


def _describe(options: ConfigDict, arrays: Arrays) -> tuple[int, ...]:
    """Sets the options of a network's stages; returns their widths."""
    places = _blocks(arrays)
    stages = [[place for place in places if place[0] == stage] for stage in range(places[-1][0] + 1)]
    weights = [[arrays[_layer(*stage[0], i)] for i in (1, 2)] for stage in stages]
    options.widths = tuple(first.shape[1] for first, _ in weights)
    options.expansion = weights[0][0].shape[0] // weights[0][0].shape[1]
    options.groups = tuple(len(second) // second.shape[1] for _, second in weights)
    options.blocks = tuple(map(len, stages))
    for name, kernel in arrays.items():
        if name.endswith('Resampler.Kernel') and not np.allclose(kernel / kernel.sum(), np.outer(TAPS, TAPS)):
            raise UserError(f'{name} is no filter of R3GAN: its resamplers have the taps [1, 3, 3, 1].')
    return options.widths


def _blocks(arrays: Arrays) -> list[tuple[int, int]]:
    """(stage, layer) of each residual block, in order."""
    found = (re.fullmatch(r'MainLayers\.(\d+)\.Layers\.(\d+)\.LinearLayer1\.Layer\.weight', name) for name in arrays)
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def _transitions(arrays: Arrays) -> list[np.ndarray]:
    """The weights of the convolutions between stages, in order; there is one where the width changes."""
    pattern = re.compile(r'MainLayers\.(\d+)\.Layers\.\d+\.LinearLayer\.Layer\.weight')
    found = {int(match[1]): arrays[name] for name in arrays if (match := pattern.fullmatch(name))}
    return [found[stage] for stage in sorted(found)]


def _layer(stage: int, layer: int, number: int) -> str:
    return f'MainLayers.{stage}.Layers.{layer}.LinearLayer{number}.Layer.weight'


def _common(arrays: Arrays, convolutions: Iterable[np.ndarray]) -> dict[str, Any]:
    """The parameters that both networks have: of blocks, convolutions outside of them, and the embedding."""
    params = {f'Conv_{i}': {'kernel': _kernel(weight)} for i, weight in enumerate(convolutions)}
    for i, (stage, layer) in enumerate(_blocks(arrays)):
        block = {f'Conv_{n}': {'kernel': _kernel(arrays[_layer(stage, layer, n + 1)])} for n in range(3)}
        for n in range(2):
            block[f'Conv_{n}']['bias'] = arrays[f'MainLayers.{stage}.Layers.{layer}.NonLinearity{n + 1}.Bias']
        params[f'Block_{i}'] = block
    if 'EmbeddingLayer.weight' in arrays:
        params['Embedding_0'] = {'table': arrays['EmbeddingLayer.weight'].T}
    return params


def _kernel(weight: np.ndarray) -> np.ndarray:
    return weight.transpose(2, 3, 1, 0)
