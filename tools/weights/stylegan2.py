"""StyleGAN2-ADA's published layout: NVlabs/stylegan2-ada-pytorch, training/networks.py, at commit d72cc7d."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.layers.modulated import TAPS

from ..network_pickle import Network
from . import Converted
from .state_dict import (
    Layer,
    StateDict,
    assemble,
    check_filters,
    convolution,
    dense,
    dense_of_images,
    resolutions,
)

Arrays = Mapping[str, np.ndarray]


def networks(generator: Arrays, discriminator: Arrays | None) -> Converted:
    """The networks of StyleGAN2-ADA's state dicts; without the discriminator's it is residual with the same widths.

    What no array tells is as the family has it: no clamp, and groups of four for the minibatch deviation.

    Raises:
        UserError: the arrays are of another implementation, or a network's filters are not the published ones.
    """
    config, state = configs.base('stylegan2'), StateDict(generator, 'generator')
    sizes = resolutions(state, r'synthesis\.b(\d+)\.conv1\.weight')
    options = config.generator
    options.widths = tuple(len(state[f'synthesis.b{size}.conv1.weight']) for size in sizes)
    options.depth = _depth(state)
    options.w_size = len(state['mapping.w_avg'])
    options.architecture = _architecture(state, 'synthesis.b8.skip.weight', f'synthesis.b{sizes[0]}.torgb.weight')
    config.data.size, config.data.channels = sizes[-1], len(state[f'synthesis.b{sizes[-1]}.torgb.weight'])
    config.latents.size, classes = state['mapping.fc0.weight'].shape[1], None
    if 'mapping.embed.weight' in state:
        options.embedding_size, classes = state['mapping.embed.weight'].shape
        options.conditioning, config.latents.size = 'concatenate', config.latents.size - options.embedding_size
        config.discriminator.conditioning = 'projection'
    config.discriminator.widths = options.widths
    variables = {'generator': _generator(state, sizes, options)}

    if discriminator is not None:
        variables['discriminator'] = read_discriminator(config, discriminator)
    return Converted(config, variables, classes)


def networks_of_pickle(found: Mapping[str, Network]) -> Converted:
    """The networks of a pickle in the terms of stylegan2-ada-pytorch: the averaged generator, and the discriminator.

    Their clamps, the groups of the minibatch deviation and the mapping's learning rate are as they were made with.

    Raises:
        UserError: there is no generator, or as `networks`.
    """
    generator, discriminator = found.get('G_ema', found.get('G')), found.get('D')
    if generator is None:
        raise UserError(f'The pickle has no generator (G_ema or G), only {", ".join(found)}.')
    converted = networks(generator.arrays, discriminator and discriminator.arrays)
    options = converted.config.generator
    options.clamp = _number(generator, 0.0, 'synthesis_kwargs', 'conv_clamp')
    options.rate = _number(generator, options.rate, 'mapping_kwargs', 'lr_multiplier')
    if discriminator is not None:
        options = converted.config.discriminator
        options.clamp = _number(discriminator, 0.0, 'conv_clamp')
        options.rate = _number(discriminator, options.rate, 'mapping_kwargs', 'lr_multiplier')
        group = _number(discriminator, 4, 'epilogue_kwargs', 'mbstd_group_size')
        options.minibatch_group = int(group)
    return converted


def _number(network: Network, default: float, *keys: str) -> float:
    """An argument of a network, or what it is without it; 0 for None."""
    value = network.options
    for key in keys:
        value = value.get(key, default) if isinstance(value, dict) else default
    if value is not None and not isinstance(value, int | float):
        raise UserError(f'The option {".".join(keys)} of the {network.name} is {value!r}, which is not a number.')
    return float(value or 0)


def read_discriminator(config: ConfigDict, arrays: Arrays) -> dict[str, Layer]:
    """The variables of a discriminator's state dict, whose options are set in the config; raises as `networks`."""
    state, options = StateDict(arrays, 'discriminator'), config.discriminator
    sizes = resolutions(state, r'b(\d+)\.conv0\.weight')
    options.widths = (len(state['b4.conv.weight']), *(len(state[f'b{size}.conv0.weight']) for size in sizes))
    options.architecture = _architecture(state, 'b8.skip.weight', 'b4.fromrgb.weight')
    features = state['b4.conv.weight'].shape[1] - options.widths[0]
    options.minibatch, options.minibatch_features = 'deviation' if features else 'none', max(1, features)
    if 'mapping.embed.weight' in state:
        options.conditioning = 'projection'
        options.embedding_size, options.depth = len(state['mapping.embed.weight']), _depth(state)
    return _discriminator(state, sizes, options)


def _generator(state: StateDict, sizes: Sequence[int], options: ConfigDict) -> Layer:
    """The variables of a generator."""
    constant = state[f'synthesis.b{sizes[0]}.const'].transpose(1, 2, 0)
    layers: dict[str, Layer] = _mapping(state, options.depth)
    layers['synthesis'] = {'params': {'constant': constant}}
    for stage, size in enumerate(sizes):
        theirs, ours = f'synthesis.b{size}', f'synthesis/stage{stage}'
        for name, place in (('conv0', 'first'), ('conv1', 'second'), ('torgb', 'image')):
            if f'{theirs}.{name}.weight' not in state:
                continue
            layer = convolution(state, f'{theirs}.{name}')
            layers[f'{ours}/{place}'] = {'params': {'bias': layer['params'].pop('bias')}}
            layers[f'{ours}/{place}/convolution'] = layer
            layers[f'{ours}/{place}/convolution/style'] = dense(state, f'{theirs}.{name}.affine')
            if name != 'torgb':
                layers[f'{ours}/{place}/noise'] = {
                    'params': {'strength': state[f'{theirs}.{name}.noise_strength']},
                    'noise': {'constant': state[f'{theirs}.{name}.noise_const']},
                }
        if f'{theirs}.skip.weight' in state:
            layers[f'{ours}/shortcut'] = convolution(state, f'{theirs}.skip')
    check_filters(state, 'resample_filter$', TAPS)
    variables = assemble(layers)
    variables['styles'] = {'average': state['mapping.w_avg']}
    state.check_read()
    return variables


def _discriminator(state: StateDict, sizes: Sequence[int], options: ConfigDict) -> Layer:
    """The variables of a discriminator."""
    layers: dict[str, Layer] = {}
    if options.conditioning == 'projection':
        layers = _mapping(state, options.depth)
    for stage, size in enumerate([4, *sizes]):
        for name, place in (('fromrgb', 'image'), ('conv0', 'first'), ('conv1', 'second'), ('skip', 'shortcut')):
            if f'b{size}.{name}.weight' in state:
                layers[f'stage{stage}_{place}'] = convolution(state, f'b{size}.{name}')
    layers['stage0_convolution'] = convolution(state, 'b4.conv')
    layers['stage0_dense'] = dense_of_images(state, 'b4.fc', options.widths[0])
    layers['logits'] = dense(state, 'b4.out')
    check_filters(state, 'resample_filter$', TAPS)
    state.check_read()
    return assemble(layers)


def _mapping(state: StateDict, depth: int) -> dict[str, Layer]:
    layers = {f'mapping/layer{i}': dense(state, f'mapping.fc{i}') for i in range(depth)}
    if 'mapping.embed.weight' in state:
        layers['mapping/embedding'] = dense(state, 'mapping.embed')
    return layers


def _depth(state: StateDict) -> int:
    return len([name for name in state if re.fullmatch(r'mapping\.fc\d+\.weight', name)])


def _architecture(state: StateDict, residual: str, skip: str) -> str:
    """That of a network with the array `residual` or `skip`, or with neither."""
    return 'residual' if residual in state else 'skip' if skip in state else 'original'
