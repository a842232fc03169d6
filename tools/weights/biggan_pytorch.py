"""Weights of ajbrock/BigGAN-PyTorch: BigGAN and BigGAN-deep, of its `G.pth`, `G_ema.pth` and `D.pth`.

The networks' options are read off the shapes, with two exceptions: a stage of BigGAN-deep's generator has the published
two blocks, and batch normalisation has the epsilon 1e-5 of that code's own runs.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from gan_jax import config as configs
from tools.weights import Converted

Arrays = Mapping[str, np.ndarray]
Block = Callable[[int, int], str]
Convert = Callable[[str, str, np.ndarray], np.ndarray]
_BASE = 4  # height and width of a generator's first images
_DEPTH = 2  # blocks of a stage of BigGAN-deep's generator
_STATISTICS = {'stored_mean': 'mean', 'stored_var': 'var', 'running_mean': 'mean', 'running_var': 'var'}
_UNUSED = ('sv0', 'accumulation_counter', 'num_batches_tracked')
_NAMES = {
    'linear': 'Dense_0',
    'embed': 'Embedding_0',
    'input_conv': 'stem',
    'output_layer.0': 'BatchNorm_0',
    'output_layer.2': 'to_image',
    'conv_sc': 'shortcut',
    'theta': 'query',
    'phi': 'key',
    'g': 'value',
    'o': 'output',
}


class Read(NamedTuple):
    """A network of the published implementation in our terms.

    Attributes:
        family: 'biggan' or 'biggan_deep'.
        options: of the network.
        variables: of the linen module.
        num_classes: of the labels.
        size: height and width of the images.
    """

    family: str
    options: dict[str, Any]
    variables: dict[str, Any]
    num_classes: int
    size: int


def networks(generator: Arrays, discriminator: Arrays | None = None) -> Converted:
    """See `tools.weights`."""
    read = {'generator': read_generator(generator)}
    made = read['generator']
    if discriminator is not None:
        read['discriminator'] = read_discriminator(discriminator, made.size)
    config = configs.base(made.family)
    config.data.size, config.data.channels = made.size, 3
    config.latents.size = _latents(generator, made)
    config.discriminator.conditioning = 'projection'
    for role, network in read.items():
        config[role].update(network.options)
    return Converted(config, {role: network.variables for role, network in read.items()}, made.num_classes)


def read_generator(arrays: Arrays) -> Read:
    """The generator of a state dict."""
    deep = 'blocks.0.0.conv3.weight' in arrays
    depth, last = (_DEPTH, 'conv4') if deep else (1, 'conv2')
    stages = _count(arrays, r'blocks\.(\d+)\.0\.') // depth
    widths = [len(arrays['linear.weight']) // _BASE**2]
    widths += [len(arrays[f'blocks.{depth * (i + 1) - 1}.0.{last}.weight']) for i in range(stages)]
    classes = arrays.get('shared.weight')
    shared = 0 if classes is None else classes.shape[1]
    gain = arrays['blocks.0.0.bn1.gain.weight']
    attention = [i for i in range(stages) if f'blocks.{depth * (i + 1) - 1}.1.gamma' in arrays]
    options = {
        'widths': tuple(widths),
        'conditioning': 'normalization',
        'shared_size': shared,
        'hierarchical': bool(shared) and gain.shape[1] > shared,
        'attention': tuple(_BASE << (i + 1) for i in attention) or None,
    }

    def convert(layer: str, leaf: str, array: np.ndarray) -> np.ndarray:
        if layer == 'linear':  # its outputs are channels, rows and columns; ours rows, columns and channels
            outputs = array.shape[-1] if leaf == 'u0' else len(array)
            order = np.arange(outputs).reshape(-1, _BASE, _BASE).transpose(1, 2, 0).ravel()
            array = array[:, order] if leaf == 'u0' else array[order]
        enters_class = layer.endswith(('.gain', '.bias')) or (deep and layer == 'linear')
        if enters_class and leaf == 'weight' and options['hierarchical']:  # class and latents change places
            return np.roll(array, -shared, axis=1)
        return array + 1 if not shared and layer.endswith('.gain') else array

    def block(i: int, part: int) -> str:
        stage, j = divmod(i, depth)
        return f'attention{stage}' if part else f'block{stage}_{j}' if deep else f'block{stage}'

    variables = _variables(arrays, block, convert, shared=bool(shared))
    size = _BASE << stages
    return Read(
        'biggan_deep' if deep else 'biggan', options, variables, len(gain if classes is None else classes), size
    )


def read_discriminator(arrays: Arrays, size: int) -> Read:
    """The discriminator of a state dict, for images of a height and width."""
    deep = 'input_conv.weight' in arrays
    last = 'conv4' if deep else 'conv2'
    stages, depth = _count(arrays, r'blocks\.(\d+)\.0\.'), _count(arrays, r'blocks\.0\.(\d+)\.conv1\.')
    widths = [len(arrays[f'blocks.{i}.0.{last}.weight']) for i in range(stages)]
    if deep:
        widths.insert(0, len(arrays['input_conv.weight']))
    halvings = 2 if size <= 32 else (size // _BASE).bit_length() - 1
    attention = {size >> min(i + 1, halvings) for i in range(stages) if f'blocks.{i}.{depth}.gamma' in arrays}
    options = {
        'widths': tuple(widths),
        'conditioning': 'projection',
        'attention': tuple(sorted(attention)) or None,
    }
    if not deep:
        options['wide'] = len(arrays['blocks.0.0.conv1.weight']) == widths[0]

    def block(i: int, part: int) -> str:
        return f'attention{i}' if part == depth else f'block{i}_{part}' if deep else f'block{i}'

    variables = _variables(arrays, block, lambda layer, leaf, array: array, shared=True)
    return Read('biggan_deep' if deep else 'biggan', options, variables, len(arrays['embed.weight']), size)


def _latents(arrays: Arrays, read: Read) -> int:
    """How many latents a generator takes."""
    entering = arrays['linear.weight'].shape[1]
    if not read.options['hierarchical']:
        return entering
    if read.family == 'biggan_deep':
        return entering - read.options['shared_size']
    return entering * len(read.options['widths'])


def _count(arrays: Arrays, pattern: str) -> int:
    """How many numbers the names have at the group of a pattern."""
    return len({found[1] for name in arrays if (found := re.match(pattern, name))})


def _variables(arrays: Arrays, block: Block, convert: Convert, *, shared: bool) -> dict[str, Any]:
    """Linen variables of a state dict.

    Args:
        arrays: the state dict.
        block: (i, j) of 'blocks.i.j' -> the name of our module.
        convert: (layer, leaf, array) -> the array as our layer has it, before its axes are changed.
        shared: whether conditional normalisations are linear maps, not tables.
    """
    variables: dict[tuple[str, ...], np.ndarray] = {}
    for name, value in arrays.items():
        layer, _, leaf = name.rpartition('.')
        if leaf in _UNUSED:
            continue
        path, is_table = _path(layer, block, shared=shared)
        array = convert(layer, leaf, np.asarray(value, np.float32))
        if leaf == 'u0':
            variables['spectral', *path, 'normalization', 'u'] = array[0]
        elif leaf in _STATISTICS:
            variables['batch_stats', *path, _STATISTICS[leaf]] = array
        elif leaf == 'weight' and not is_table:
            variables['params', *path, 'kernel'] = array.transpose((2, 3, 1, 0) if array.ndim == 4 else (1, 0))
        else:
            variables['params', *path, {'weight': 'table', 'gain': 'scale'}.get(leaf, leaf)] = array
    return traverse_util.unflatten_dict(variables)


def _path(layer: str, block: Block, *, shared: bool) -> tuple[tuple[str, ...], bool]:
    """Our module of a layer, and whether its weight is a table of classes."""
    path, layer = [], layer.removesuffix('.bn')
    if found := re.match(r'blocks\.(\d+)\.(\d+)\.?', layer):
        path, layer = [block(int(found[1]), int(found[2]))], layer[found.end() :]
    if found := re.fullmatch(r'bn(\d)(?:\.(gain|bias))?', layer):
        number, part = int(found[1]) - 1, {'gain': 'scale', 'bias': 'shift', None: None}[found[2]]
        if part is None:
            return (*path, f'BatchNorm_{number}'), False
        return (*path, f'{"Linear" if shared else "Conditional"}Affine_{number}', part), not shared
    return (*path, *([_NAMES.get(layer, layer)] if layer else [])), layer in ('shared', 'embed')
