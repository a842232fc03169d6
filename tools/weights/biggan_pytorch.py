"""The layout of BigGAN-PyTorch: https://github.com/ajbrock/BigGAN-PyTorch, BigGAN and BigGAN-deep.

The networks' options are read off the shapes, with two exceptions: a stage of BigGAN-deep's generator has the published
two blocks, and batch normalisation has the epsilon 1e-5 of that code's own runs.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax import config as configs
from gan_jax.errors import UserError

from . import Converted
from .state_dict import (
    Layer,
    StateDict,
    assemble,
    convolution,
    dense,
    dense_to_images,
    embedding,
)

_BASE = 4  # height and width of a generator's first images
_DEPTH = 2  # blocks of a stage of BigGAN-deep's generator
_ATTENTION = {'theta': 'query', 'phi': 'key', 'g': 'value', 'o': 'output'}
_CONVOLUTIONS = {'conv1': 'first', 'conv2': 'second', 'conv_sc': 'shortcut'}
_DEEP_CONVOLUTIONS = {'conv1': 'conv1', 'conv2': 'conv2', 'conv3': 'conv3', 'conv4': 'conv4', 'conv_sc': 'shortcut'}
_DATA = {32: 'cifar10', 64: 'imagenet2012', 128: 'imagenet2012', 256: 'imagenet2012', 512: 'imagenet2012'}


class Network(NamedTuple):
    """A network of BigGAN-PyTorch in our terms.

    Attributes:
        family: 'biggan' or 'biggan_deep'.
        options: options of the network in a config.
        variables: variables of the linen module.
        size: size of its images, height and width.
        num_classes: number of classes that it is conditioned on.
    """

    family: str
    options: dict[str, Any]
    variables: dict[str, Any]
    size: int
    num_classes: int


def networks(generator: Mapping[str, np.ndarray], discriminator: Mapping[str, np.ndarray] | None) -> Converted:
    """The networks of the files `G.pth` or `G_ema.pth` and `D.pth`.

    Args:
        generator: arrays by PyTorch's names.
        discriminator: the same; None: the config has one that goes with the generator.

    Raises:
        UserError: they are of another implementation, or do not go together.
    """
    made = convert_generator(generator)
    variables, options = {'generator': made.variables}, {'conditioning': 'projection'}
    if discriminator is not None:
        judging = convert_discriminator(discriminator, made.size)
        if (judging.family, judging.num_classes) != (made.family, made.num_classes):
            raise UserError(
                f'The generator is a {made.family} for {made.num_classes} classes, but the discriminator a '
                f'{judging.family} for {judging.num_classes}: give two networks of the same model.'
            )
        options, variables['discriminator'] = judging.options, judging.variables
    config = configs.base(made.family)
    entering = made.variables['params']['Dense_0']['kernel'].shape[0]
    config.latents.size = _latents(entering, made)
    config.data.update(name=_DATA[made.size], size=made.size, channels=3)
    config.generator.update(made.options)
    config.discriminator.update(options)
    return Converted(config, variables, made.num_classes)


def convert_generator(arrays: Mapping[str, np.ndarray]) -> Network:
    """A generator."""
    state = StateDict(arrays, 'generator')
    deep = 'blocks.0.0.conv3.weight' in state
    depth, last = (_DEPTH, 'conv4') if deep else (1, 'conv2')
    stages = _count(state, r'blocks\.(\d+)\.0\.') // depth
    widths = [len(state['linear.weight']) // _BASE**2]
    widths += [len(state[f'blocks.{depth * i + depth - 1}.0.{last}.weight']) for i in range(stages)]
    gain = state['blocks.0.0.bn1.gain.weight']
    num_classes, shared = state['shared.weight'].shape if 'shared.weight' in state else (len(gain), 0)
    hierarchical = bool(shared) and gain.shape[1] > shared

    def modulation(layer: Layer) -> Layer:
        """A layer that a class and latents enter, which change places."""
        if hierarchical:
            layer['params']['kernel'] = np.roll(layer['params']['kernel'], -shared, axis=0)
        return layer

    layers = {'Dense_0': dense_to_images(state, 'linear', widths[0])}
    if deep:
        modulation(layers['Dense_0'])
    if shared:
        layers['shared'] = embedding(state, 'shared')
    attention = []
    for i in range(stages * depth):
        stage, j = divmod(i, depth)
        place = f'block{stage}_{j}' if deep else f'block{stage}'
        layers |= _convolutions(state, f'blocks.{i}.0', place, deep=deep)
        for number in range(_count(state, rf'blocks\.{i}\.0\.bn(\d)')):
            norm = f'blocks.{i}.0.bn{number + 1}'
            layers[f'{place}/BatchNorm_{number}'] = _statistics(state, norm)
            for theirs, ours, start in (('gain', 'scale', 1), ('bias', 'shift', 0)):
                if shared:
                    layers[f'{place}/LinearAffine_{number}/{ours}'] = modulation(dense(state, f'{norm}.{theirs}'))
                else:
                    table = layers[f'{place}/ConditionalAffine_{number}/{ours}'] = embedding(state, f'{norm}.{theirs}')
                    table['params']['table'] += start
        if f'blocks.{i}.1.gamma' in state:
            layers |= _attention(state, f'blocks.{i}.1', f'attention{stage}')
            attention.append(_BASE << stage + 1)
    layers['BatchNorm_0'] = _statistics(state, 'output_layer.0')
    layers['BatchNorm_0']['params'] = {
        'scale': state['output_layer.0.gain'],
        'bias': state['output_layer.0.bias'],
    }
    layers['to_image'] = convolution(state, 'output_layer.2')
    state.check_read()
    options = {
        'widths': tuple(widths),
        'conditioning': 'normalization',
        'shared_size': shared,
        'hierarchical': hierarchical,
        'attention': tuple(attention) or None,
    }
    return Network('biggan_deep' if deep else 'biggan', options, assemble(layers), _BASE << stages, num_classes)


def convert_discriminator(arrays: Mapping[str, np.ndarray], size: int) -> Network:
    """A discriminator of images of a height and width."""
    state = StateDict(arrays, 'discriminator')
    deep = 'input_conv.weight' in state
    stages, depth = _count(state, r'blocks\.(\d+)\.0\.'), _count(state, r'blocks\.0\.(\d+)\.conv1\.')
    widths = [len(state[f'blocks.{i}.0.{"conv4" if deep else "conv2"}.weight']) for i in range(stages)]
    halvings = 2 if size <= 32 else (size // _BASE).bit_length() - 1
    layers, attention = {}, set()
    for i in range(stages):
        for j in range(depth):
            place = f'block{i}_{j}' if deep else f'block{i}'
            layers |= _convolutions(state, f'blocks.{i}.{j}', place, deep=deep)
        if f'blocks.{i}.{depth}.gamma' in state:
            layers |= _attention(state, f'blocks.{i}.{depth}', f'attention{i}')
            attention.add(size >> min(i + 1, halvings))
    layers['Dense_0'], layers['Embedding_0'] = dense(state, 'linear'), embedding(state, 'embed')
    options = {'conditioning': 'projection', 'attention': tuple(sorted(attention)) or None}
    if deep:
        widths.insert(0, len(state['input_conv.weight']))
        layers['stem'] = convolution(state, 'input_conv')
    else:
        options['wide'] = len(state['blocks.0.0.conv1.weight']) == widths[0]
    state.check_read()
    options['widths'] = tuple(widths)
    num_classes = len(state['embed.weight'])
    return Network('biggan_deep' if deep else 'biggan', options, assemble(layers), size, num_classes)


def _latents(entering: int, made: Network) -> int:
    """How many latents a generator takes, by how many numbers enter its first layer."""
    if not made.options['hierarchical']:
        return entering
    if made.family == 'biggan_deep':
        return entering - made.options['shared_size']
    return entering * len(made.options['widths'])


def _count(state: StateDict, pattern: str) -> int:
    """How many numbers the names have at the group of a pattern."""
    return len({found[1] for name in state if (found := re.match(pattern, name))})


def _convolutions(state: StateDict, name: str, place: str, *, deep: bool) -> dict[str, Layer]:
    names = _DEEP_CONVOLUTIONS if deep else _CONVOLUTIONS
    return {
        f'{place}/{ours}': convolution(state, f'{name}.{theirs}')
        for theirs, ours in names.items()
        if f'{name}.{theirs}.weight' in state
    }


def _attention(state: StateDict, name: str, place: str) -> dict[str, Layer]:
    maps = {f'{place}/{ours}': convolution(state, f'{name}.{theirs}') for theirs, ours in _ATTENTION.items()}
    return {**maps, place: {'params': {'gamma': state[f'{name}.gamma']}}}


def _statistics(state: StateDict, name: str) -> Layer:
    """A batch normalisation of one of the code's three kinds."""
    inner = f'{name}.bn' if any(one.startswith(f'{name}.bn.') for one in state) else name
    kind = 'running' if f'{inner}.running_mean' in state else 'stored'
    if f'{inner}.accumulation_counter' in state:
        state[f'{inner}.accumulation_counter']  # of standing statistics
    return {'batch_stats': {'mean': state[f'{inner}.{kind}_mean'], 'var': state[f'{inner}.{kind}_var']}}
