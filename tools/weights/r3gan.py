"""R3GAN's published layout: brownvc/R3GAN, R3GAN/Networks.py, at commit 19a7ddf."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.models.r3gan import TAPS

from . import Converted
from .state_dict import Layer, StateDict, assemble, convolution, dense

Arrays = Mapping[str, np.ndarray]
_BLOCK = re.compile(r'MainLayers\.(\d+)\.Layers\.(\d+)\.LinearLayer1\.Layer\.weight')
_TRANSITION = re.compile(r'MainLayers\.(\d+)\.Layers\.\d+\.LinearLayer\.Layer\.weight')


def networks(generator: Arrays, discriminator: Arrays | None) -> Converted:
    """The networks of R3GAN's state dicts; without the discriminator's the config has the generator's mirror image.

    Raises:
        UserError: the arrays are of another implementation, or a network's filters are not the published ones.
    """
    config, state, start = configs.base('r3gan'), StateDict(generator, 'generator'), 'MainLayers.0.Layers.0'
    basis = state[f'{start}.Basis']
    transitions = _describe(config.generator, state)
    config.data.size = basis.shape[1] << (len(config.generator.widths) - 1)
    config.data.channels = len(state['AggregationLayer.Layer.weight'])
    config.latents.size = state[f'{start}.LinearLayer.weight'].shape[1]
    for option in ('widths', 'groups', 'blocks'):
        config.discriminator[option] = config.generator[option][::-1]
    classes = None
    if 'EmbeddingLayer.weight' in state:
        size, classes = state['EmbeddingLayer.weight'].shape
        config.latents.size -= size
        config.generator.conditioning, config.generator.embedding_size = 'concatenate', size
        config.discriminator.conditioning = 'projection'
    convolutions = [*transitions, 'AggregationLayer.Layer']
    variables = {'generator': _variables(state, convolutions, f'{start}.LinearLayer', basis)}

    if discriminator is not None:
        state = StateDict(discriminator, 'discriminator')
        convolutions = ['ExtractionLayer.Layer', *_describe(config.discriminator, state)]
        end = f'MainLayers.{len(config.discriminator.widths) - 1}.Layers.{config.discriminator.blocks[-1]}'
        if 'EmbeddingLayer.weight' in state:
            config.discriminator.embedding_size = len(state['EmbeddingLayer.weight'])
        basis = state[f'{end}.Basis.weight'][:, 0]
        variables['discriminator'] = _variables(state, convolutions, f'{end}.LinearLayer', basis)
    return Converted(config, variables, classes)


def _describe(options: ConfigDict, state: StateDict) -> list[str]:
    """Sets the options of a network's stages; returns the convolutions between them, where the width changes."""
    stages: dict[int, list[str]] = {}
    for name in _blocks(state):
        stages.setdefault(int(name.split('.')[1]), []).append(name)
    if sorted(stages) != list(range(len(stages))) or not stages:
        raise UserError(f'The weights of the {state.network} have no residual blocks: they belong to another network.')
    first = [state[f'{stages[i][0]}.LinearLayer1.Layer.weight'] for i in sorted(stages)]
    grouped = [state[f'{stages[i][0]}.LinearLayer2.Layer.weight'] for i in sorted(stages)]
    options.widths = tuple(weight.shape[1] for weight in first)
    options.expansion = len(first[0]) // first[0].shape[1]
    options.groups = tuple(len(weight) // weight.shape[1] for weight in grouped)
    options.blocks = tuple(len(stages[i]) for i in sorted(stages))
    for name in state:
        if name.endswith('Resampler.Kernel') and not np.allclose(state[name] / state[name].sum(), np.outer(TAPS, TAPS)):
            raise UserError(f'{name} is not a filter of R3GAN: its resamplers have the taps [1, 3, 3, 1].')
    found = {int(match[1]): name for name in state if (match := _TRANSITION.fullmatch(name))}
    return [found[i].removesuffix('.weight') for i in sorted(found)]


def _blocks(state: StateDict) -> list[str]:
    """The places of the residual blocks, in order: 'MainLayers.0.Layers.1'."""
    found = sorted((int(match[1]), int(match[2])) for match in map(_BLOCK.fullmatch, state) if match)
    return [f'MainLayers.{stage}.Layers.{layer}' for stage, layer in found]


def _variables(state: StateDict, convolutions: Sequence[str], linear: str, basis: np.ndarray) -> dict[str, Any]:
    """The variables of a network from its convolutions outside of blocks, its linear layer and its basis [C, H, W]."""
    layers: dict[str, Layer] = {f'Conv_{i}': convolution(state, name) for i, name in enumerate(convolutions)}
    layers['Dense_0'] = dense(state, linear)
    for i, name in enumerate(_blocks(state)):
        for n in range(3):
            layer = layers[f'Block_{i}/Conv_{n}'] = convolution(state, f'{name}.LinearLayer{n + 1}.Layer')
            if n < 2:
                layer['params']['bias'] = state[f'{name}.NonLinearity{n + 1}.Bias']
    if 'EmbeddingLayer.weight' in state:
        layers['Embedding_0'] = {'params': {'table': state['EmbeddingLayer.weight'].T}}
    variables = assemble(layers)
    variables['params']['basis'] = basis.transpose(1, 2, 0)
    state.check_read()
    return variables
