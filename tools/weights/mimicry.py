"""The layout of torch_mimicry: Lee and Town 2020, "Mimicry", https://github.com/kwotsin/mimicry.

SNGAN, cGAN-PD, SSGAN, SAGAN and WGAN-GP of 32, 48, 64 and 128 pixels. Which one it is, and its widths, follow from the
names and shapes of the weights. The discriminators are those of the papers, whose shortcuts see what comes into a
block; in mimicry's code they see it after a ReLU.
"""

import math
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
    batch_norm,
    convolution,
    dense,
    dense_to_images,
    embedding,
)

_CONVOLUTIONS = {'c1': 'first', 'c2': 'second', 'c_sc': 'shortcut'}
_ATTENTION = {'theta': 'query', 'phi': 'key', 'g': 'value', 'o': 'output'}
_HALVINGS = {32: 2, 48: 4, 64: 5, 128: 5}
_ROWS_OF_ATTENTION = {32: (16, 8), 128: (32, 32)}  # in generator and discriminator
_DATA = {32: 'cifar10', 48: 'stl10', 64: 'celeb_a', 128: 'imagenet2012'}


class Network(NamedTuple):
    """A network of mimicry in our terms.

    Attributes:
        options: options of the network in a config.
        variables: variables of the linen module.
        size: size of its images, height and width.
        num_classes: number of classes that it is conditioned on, or None.
    """

    options: dict[str, Any]
    variables: dict[str, Any]
    size: int
    num_classes: int | None


def networks(generator: Mapping[str, np.ndarray], discriminator: Mapping[str, np.ndarray] | None) -> Converted:
    """The networks of state dicts of mimicry's generators and discriminators.

    Args:
        generator: arrays by PyTorch's names.
        discriminator: the same; None: the config has one that goes with the generator.

    Raises:
        UserError: they are of another implementation, or of a network that has no counterpart here.
    """
    made = convert_generator(generator)
    variables, has_attention = {'generator': made.variables}, bool(made.options['attention'])
    if discriminator is not None:
        judging = convert_discriminator(discriminator, made.size)
        if judging.num_classes != made.num_classes:
            raise UserError(
                f'The generator has {made.num_classes or "no"} classes, but the discriminator '
                f'{judging.num_classes or "no"}: give two networks of the same model.'
            )
        options, variables['discriminator'] = judging.options, judging.variables
    else:
        attention = _ROWS_OF_ATTENTION[made.size][1] if has_attention else 0
        options = {'attention': attention, 'conditioning': 'projection' if made.num_classes else 'none'}

    config = configs.base('sagan' if has_attention else 'resnet')
    config.latents.size = variables['generator']['params']['Dense_0']['kernel'].shape[0]
    config.data.update(name=_DATA[made.size], size=made.size, channels=3)
    config.generator.update(made.options)
    config.discriminator.update(options)
    is_wgan = config.discriminator.normalization == 'none'
    config.loss = configs.section('loss', 'wasserstein' if is_wgan else 'hinge')
    config.penalties.gradient_penalty.weight = 10.0 if is_wgan else 0.0
    config.discriminator_steps = 5
    config.generator_optimizer.update(learning_rate=2e-4, b1=0.0, b2=0.9)
    config.discriminator_optimizer.update(learning_rate=2e-4, b1=0.0, b2=0.9)
    config.ema.half_life_kimg = 0.0
    return Converted(config, variables, made.num_classes)


def convert_generator(arrays: Mapping[str, np.ndarray]) -> Network:
    """A generator; raises as `networks`."""
    state = StateDict(arrays, 'generator')
    stages = _count_blocks(state, first=2)
    widths = [len(state.weight(f'block{block + 2}.c1')) for block in range(stages)]
    base = state.weight('block2.c1').shape[1]
    side = math.isqrt(len(state.weight('l1')) // base)
    size, last, num_classes = side << stages, stages + 2, None
    if size not in _HALVINGS:
        raise UserError(f'The generator makes images of {size}x{size} pixels, which no generator of mimicry does.')

    layers = {'Dense_0': dense_to_images(state, 'l1', base)}
    for block in range(stages):
        theirs, ours = f'block{block + 2}', f'UpBlock_{block}'
        layers |= _block(state, theirs, ours)
        for norm in range(2):
            name = f'{theirs}.b{norm + 1}'
            if f'{name}.embed.weight' not in state:
                layers[f'{ours}/BatchNorm_{norm}'] = batch_norm(state, name)
                continue
            layers[f'{ours}/BatchNorm_{norm}'] = batch_norm(state, f'{name}.bn')
            scale, shift = np.split(state[f'{name}.embed.weight'], 2, axis=1)
            layers[f'{ours}/ConditionalAffine_{norm}/scale'] = {'params': {'table': scale}}
            layers[f'{ours}/ConditionalAffine_{norm}/shift'] = {'params': {'table': shift}}
            num_classes = len(scale)
    layers |= _attention(state) | {'BatchNorm_0': batch_norm(state, f'b{last}')}
    layers['Conv_0'] = convolution(state, f'c{last}')
    state.check_read()
    options = {
        'widths': (base, *widths),
        'upsampling': 'bilinear',
        'epsilon': 1e-5,
        'conditioning': 'normalization' if num_classes else 'none',
        'spectral_iterations': int(state.is_spectral('l1')),
        'attention': _ROWS_OF_ATTENTION[size][0] if 'attention' in layers else 0,
    }
    return Network(options, assemble(layers), size, num_classes)


def convert_discriminator(arrays: Mapping[str, np.ndarray], size: int) -> Network:
    """A discriminator of images of that height and width; raises as `networks`."""
    state = StateDict(arrays, 'discriminator')
    blocks = _count_blocks(state, first=1)
    widths = tuple(len(state.weight(f'block{block + 1}.c2')) for block in range(blocks))
    is_spectral = state.is_spectral('block1.c1')
    layers, num_classes = {}, None
    for block in range(blocks):
        layers |= _block(state, f'block{block + 1}', f'DownBlock_{block}')
    layers |= _attention(state) | {'Dense_0': dense(state, f'l{blocks + 1}')}
    if 'l_y.bias' in state:
        layers['rotations'] = dense(state, 'l_y')
    elif 'l_y.weight' in state or 'l_y.weight_orig' in state:
        layers['Embedding_0'] = embedding(state, 'l_y')
        num_classes = len(layers['Embedding_0']['params']['table'])
    state.check_read()
    options = {
        'widths': widths,
        'halvings': _HALVINGS[size],
        'wide': False,
        'pooling': 'sum' if is_spectral else 'mean',
        'normalization': 'spectral' if is_spectral else 'none',
        'conditioning': 'projection' if num_classes else 'none',
        'rotations': 'rotations' in layers,
        'attention': _ROWS_OF_ATTENTION[size][1] if 'attention' in layers else 0,
    }
    return Network(options, assemble(layers), size, num_classes)


def _count_blocks(state: StateDict, first: int) -> int:
    """How many blocks there are, the first of which has that number."""
    blocks = {name.partition('.')[0] for name in state if name.startswith('block')}
    count = 0
    while f'block{first + count}' in blocks:
        count += 1
    return count


def _block(state: StateDict, theirs: str, ours: str) -> dict[str, Layer]:
    """The convolutions of a block."""
    return {
        f'{ours}/{place}': convolution(state, f'{theirs}.{name}')
        for name, place in _CONVOLUTIONS.items()
        if name != 'c_sc' or f'{theirs}.c_sc.bias' in state
    }


def _attention(state: StateDict) -> dict[str, Layer]:
    """The layers of self-attention, if there is any."""
    if 'attn_block.gamma' not in state:
        return {}
    layers = {f'attention/{ours}': convolution(state, f'attn_block.{theirs}') for theirs, ours in _ATTENTION.items()}
    return layers | {'attention': {'params': {'gamma': state['attn_block.gamma']}}}
