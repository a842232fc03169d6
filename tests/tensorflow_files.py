"""Writes the networks of NVIDIA's TensorFlow pickles, from arrays by the names that they have in PyTorch."""

import pickle
import re
import sys
import types
from unittest import mock

import numpy as np

_MODULES = ('dnnlib', 'dnnlib.tflib', 'dnnlib.tflib.network')
_LAYERS = {  # of a block, in the generator and the discriminator
    'G': {'conv0': 'Conv0_up', 'conv1': 'Conv1', 'skip': 'Skip', 'torgb': 'ToRGB'},
    'D': {
        'conv0': 'Conv0',
        'conv1': 'Conv1_down',
        'skip': 'Skip',
        'fromrgb': 'FromRGB',
        'conv': 'Conv',
        'fc': 'Dense0',
    },
}


class Network:
    """A network as `Network.__getstate__` of dnnlib saves it."""

    __module__ = _MODULES[-1]

    def __init__(self, name, function, variables=(), components=(), **arguments):
        self.version, self.name = 4, name
        self.static_kwargs, self.components = arguments, dict(components)
        self.build_module_src = "raise SystemExit('the source of the network was run')"
        self.build_func_name = function
        self.variables = list(dict(variables).items())


def pickled(thing, protocol=4):
    """What `pickle.dumps` writes where dnnlib is installed."""
    modules = {name: types.ModuleType(name) for name in _MODULES}
    modules[_MODULES[-1]].Network = Network
    with mock.patch.dict(sys.modules, modules):
        return pickle.dumps(thing, protocol)


def generator(arrays, name='Gs', **arguments):
    """A generator in TensorFlow: two components, the average of w and the level of detail."""
    parts = {'mapping': {}, 'synthesis': {}}
    for key, array in arrays.items():
        part, layer = key.split('.', 1)
        if layer != 'w_avg':
            theirs, values = _synthesis(layer, array) if part == 'synthesis' else _mapping(layer, array, 'Dense')
            parts[part][theirs] = values
    components = {part: Network(f'G_{part}', f'G_{part}', one, **arguments) for part, one in parts.items()}
    own = {'lod': np.float32(0), 'dlatent_avg': arrays['mapping.w_avg']}
    return Network(name, 'G_main', own, components, **arguments)


def discriminator(arrays, function='D_stylegan2', **arguments):
    """A discriminator in TensorFlow."""
    variables = {'lod': np.float32(0)}
    for key, array in arrays.items():
        if key.startswith('mapping.'):
            theirs, values = _mapping(key.removeprefix('mapping.'), array, 'Mapping')
        else:
            _, size, layer, leaf = re.split(r'b(\d+)\.(\w+)\.', key)
            place = 'Output' if layer == 'out' else f'{size}x{size}/{_LAYERS["D"][layer]}'
            theirs, values = f'{place}/{leaf}', _turned(array)
        variables[theirs] = values
    return Network('D', function, variables, **arguments)


def _mapping(layer, array, name):
    place, leaf = layer.split('.')
    place = 'LabelEmbed' if place == 'embed' else place.replace('fc', name)
    return f'{place}/{leaf}', _turned(array)


def _synthesis(layer, array):
    _, size, rest = re.split(r'b(\d+)\.', layer)
    if rest == 'const':
        return '4x4/Const/const', array[None]
    name, leaf = rest.split('.', 1)
    if leaf == 'noise_const':
        return f'noise{2 * (int(size).bit_length() - 3) - (name == "conv0")}', array[None, None]
    place = f'{size}x{size}/' + ('Conv' if (size, name) == ('4', 'conv1') else _LAYERS['G'][name])
    values = _turned(array)
    if name == 'conv0' and leaf == 'weight':
        values = values[::-1, ::-1]
    if leaf == 'affine.bias':
        values = values - 1
    values = np.float32(values) if leaf == 'noise_strength' else values  # a number, not an array
    return f'{place}/{leaf.replace("affine.", "mod_")}', values


def _turned(array):
    """The layout of TensorFlow: height, width, inputs, outputs; or inputs, outputs."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
