"""Inception's weights from TensorFlow's frozen graph, classify_image_graph_def.pb of inception-2015-12-05.tgz."""

import os
import pathlib
from collections.abc import Mapping

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.inception_network import parameter_shapes

_BATCH_NORM = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'moving_mean', 'running_var': 'moving_variance'}
_STEM = ('Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3')
_BLOCKS = ('5b', '5c', '5d', '6a', '6b', '6c', '6d', '6e', '7a', '7b', '7c')
# Where TensorFlow's graph has a branch of a block: its tower. The branches' numbers count convolutions from 1.
_TOWERS = {
    'branch3x3': 'tower/',
    'branch5x5': 'tower/',
    'branch7x7': 'tower/',
    'branch3x3dbl': 'tower_1/',
    'branch7x7dbl': 'tower_1/',
    'branch7x7x3': 'tower_1/',
}


def read_graph(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The weights in a graph, in PyTorch's names and layout.

    Raises:
        UserError: TensorFlow is not installed, or the file is no such graph.
    """
    return from_constants(_constants(path), path)


def graph_name(layer: str) -> str:
    """The name in TensorFlow's graph of a layer in PyTorch's: 'mixed_9/tower/mixed/conv' of 'Mixed_7b.branch3x3_2a'."""
    if layer in _STEM:
        return _convolution(_STEM.index(layer))
    block, branch = layer.split('.')
    number = _BLOCKS.index(block.removeprefix('Mixed_'))
    prefix = f'mixed_{number}/' if number else 'mixed/'
    kind, _, place = branch.partition('_')
    if place == 'pool':
        return f'{prefix}tower_2/conv'
    if not place:
        return f'{prefix}conv'
    tower = 'tower/' if block == 'Mixed_6a' else _TOWERS[kind]
    if place[-1] in 'ab':
        return f'{prefix}{tower}mixed/{_convolution("ab".index(place[-1]))}'
    return f'{prefix}{tower}{_convolution(int(place) - 1)}'


def from_constants(constants: Mapping[str, np.ndarray], source: str | os.PathLike) -> dict[str, np.ndarray]:
    """The weights in PyTorch's names and layout from the constants of TensorFlow's graph, by their names there."""
    arrays = {}
    try:
        for layer in parameter_shapes():
            if layer == 'fc':
                arrays |= {'fc.weight': constants['softmax/weights'].T, 'fc.bias': constants['softmax/biases']}
                continue
            name = graph_name(layer)
            arrays[f'{layer}.conv.weight'] = constants[f'{name}/conv2d_params'].transpose(3, 2, 0, 1)
            for part, known_as in _BATCH_NORM.items():
                arrays[f'{layer}.bn.{part}'] = constants[f'{name}/batchnorm/{known_as}']
    except KeyError as error:
        raise UserError(
            f'{source} has no {error.args[0]}: it is not classify_image_graph_def.pb of inception-2015-12-05.tgz.'
        ) from error
    return arrays


def _convolution(index: int) -> str:
    return f'conv_{index}' if index else 'conv'


def _constants(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise UserError(
            f"{path} is a TensorFlow graph, and TensorFlow is not installed: run pip install 'gan_jax[tensorflow]', or "
            'give a .pth file, which does not need TensorFlow.'
        ) from error
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}).') from error
    except Exception as error:  # protobuf's own, which is not worth an import
        raise UserError(f'{path} is not a TensorFlow graph, or is damaged: download it again.') from error
    return {node.name: tf.make_ndarray(node.attr['value'].tensor) for node in graph.node if node.op == 'Const'}
