"""TensorFlow networks of StyleGAN2 and StyleGAN2-ADA under the names and in the shapes of stylegan2-ada-pytorch.

A pickle holds them as objects of `dnnlib.tflib.network.Network`. Their state has the variables by name, and the source
code of the function that builds the network, which is ignored here. The names are those of NVlabs/stylegan2,
training/networks_stylegan2.py, and NVlabs/stylegan2-ada, training/networks.py; `legacy.py` of
NVlabs/stylegan2-ada-pytorch relates them to PyTorch's.
"""

import math
import pickle
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_BLOCK = r'(\d{1,4})x\1'
_GENERATOR = {  # places of layers
    'mapping/LabelEmbed': 'mapping.embed',
    r'mapping/Dense(\d{1,3})': r'mapping.fc\1',
    'synthesis/4x4/Const': 'synthesis.b4',
    'synthesis/4x4/Conv': 'synthesis.b4.conv1',
    f'synthesis/{_BLOCK}/Conv0_up': r'synthesis.b\1.conv0',
    f'synthesis/{_BLOCK}/Conv1': r'synthesis.b\1.conv1',
    f'synthesis/{_BLOCK}/Skip': r'synthesis.b\1.skip',
    f'synthesis/{_BLOCK}/ToRGB': r'synthesis.b\1.torgb',
}
_DISCRIMINATOR = {
    'LabelEmbed': 'mapping.embed',
    r'Mapping(\d{1,3})': r'mapping.fc\1',
    f'{_BLOCK}/FromRGB': r'b\1.fromrgb',
    f'{_BLOCK}/Conv0': r'b\1.conv0',
    f'{_BLOCK}/Conv1_down': r'b\1.conv1',
    f'{_BLOCK}/Skip': r'b\1.skip',
    '4x4/Conv': 'b4.conv',
    '4x4/Dense0': 'b4.fc',
    'Output': 'b4.out',
}
_LEAVES = {  # the last part of a name, with the change of the array
    'weight': ('weight', lambda array: array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T),
    'bias': ('bias', lambda array: array),
    'mod_weight': ('affine.weight', np.transpose),
    'mod_bias': ('affine.bias', lambda array: array + 1),  # TensorFlow's layer adds the 1
    'noise_strength': ('noise_strength', lambda array: array),
    'const': ('const', lambda array: array[0]),
}
_PLACES = {'G_main': _GENERATOR, 'D_stylegan2': _DISCRIMINATOR, 'D_main': _DISCRIMINATOR}  # by the building function
_GROUPS = {'D_stylegan2': 4, 'D_main': None}  # of the minibatch deviation, where the arguments have no number
_FIXED = {  # arguments that change what a network computes, but none of its variables
    'nonlinearity': 'lrelu',
    'mapping_nonlinearity': 'lrelu',
    'normalize_latents': True,
    'resample_kernel': [1, 3, 3, 1],
}


class SavedArray:
    """An array of NumPy in a pickle, which gets its values after it is made."""

    values: np.ndarray

    def __setstate__(self, state: Any) -> None:
        """Takes NumPy's (version, shape, dtype, whether columns come first, bytes)."""
        _, shape, kind, columns_first, data = state
        if math.prod(shape) * kind.dtype.itemsize != len(data):
            raise pickle.UnpicklingError('an array has not the size of its shape')
        self.values = np.frombuffer(data, kind.dtype).reshape(shape, order='F' if columns_first else 'C')


class SavedNetwork:
    """A `dnnlib.tflib.network.Network` in a pickle, as its state alone."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Keeps the state, of which nothing is executed."""
        self.state = state


def translated(network: SavedNetwork, size: int) -> tuple[str, dict[str, np.ndarray], dict[str, Any]]:
    """The name of a network, its arrays by their names in PyTorch, and the arguments that it would have there.

    Args:
        network: of a pickle.
        size: bytes of the pickle, which has the variables once.

    Raises:
        UnpicklingError: it is not a generator or discriminator of StyleGAN2's configs E and F or of StyleGAN2-ADA.
    """
    name, function, arguments = (network.state[key] for key in ('name', 'build_func_name', 'static_kwargs'))
    if not isinstance(name, str) or not isinstance(function, str) or function not in _PLACES:
        raise pickle.UnpicklingError(
            f'one of its networks was not built by {", ".join(_PLACES)}, as those of StyleGAN2 and StyleGAN2-ADA were'
        )
    for key, value in _FIXED.items():
        if arguments.get(key, value) != value:
            raise pickle.UnpicklingError(f'its network {name} has {key}={reprlib.repr(arguments[key])}, not {value!r}')
    variables = dict(_variables(network))
    variables.pop('lod', None)  # of progressive growing, which these networks do not have
    if sum(array.nbytes for array in variables.values()) > size:
        raise pickle.UnpicklingError('its variables are larger than the file')
    arrays = {}
    for variable, array in variables.items():
        entry = _entry(variable, np.asarray(array, np.float32), _PLACES[function])
        if entry is None:
            raise pickle.UnpicklingError(
                f'its network {name} has {variable}, which StyleGAN2 (config E or F) and StyleGAN2-ADA do not have'
            )
        arrays.update([entry])
    options = {'conv_clamp': arguments.get('conv_clamp')}
    if function == 'G_main':
        rate = arguments.get('mapping_lrmul', 0.01)
        return name, arrays, {'synthesis_kwargs': options, 'mapping_kwargs': {'lr_multiplier': rate}}
    options['mapping_kwargs'] = {'lr_multiplier': arguments.get('mapping_lrmul', 0.1)}
    options['epilogue_kwargs'] = {'mbstd_group_size': arguments.get('mbstd_group_size', _GROUPS[function])}
    return name, arrays, options


def _variables(network: SavedNetwork) -> Iterator[tuple[str, np.ndarray]]:
    """The variables of a network and of those inside it, each of which has one place."""
    left, seen = [('', network)], set()
    while left:
        prefix, one = left.pop()
        if not isinstance(one, SavedNetwork) or id(one) in seen:
            raise pickle.UnpicklingError('a component of a network is missing or occurs twice')
        seen.add(id(one))
        for name, value in one.state['variables']:
            if not isinstance(name, str) or not isinstance(value, SavedArray | float):
                raise pickle.UnpicklingError('a variable of a network is not an array with a name')
            yield prefix + name, value.values if isinstance(value, SavedArray) else np.float32(value)
        left += [(f'{prefix}{name}/', inner) for name, inner in one.state['components'].items()]


def _entry(variable: str, array: np.ndarray, places: Mapping[str, str]) -> tuple[str, np.ndarray] | None:
    """The name of a variable in PyTorch and its array there; None if these networks do not have it."""
    if variable == 'dlatent_avg':
        return 'mapping.w_avg', array
    if match := re.fullmatch(r'synthesis/noise(\d{1,2})', variable):
        number = int(match[1])  # the base has one layer with noise, each other resolution two
        return f'synthesis.b{2 ** ((number + 5) // 2)}.conv{(number + 1) % 2}.noise_const', array[0, 0]
    place, _, leaf = variable.rpartition('/')
    layers = [match.expand(ours) for theirs, ours in places.items() if (match := re.fullmatch(theirs, place))]
    if not layers or leaf not in _LEAVES:
        return None
    ours, change = _LEAVES[leaf]
    if (place.rpartition('/')[2], leaf) == ('Conv0_up', 'weight'):  # TensorFlow's layer reverses it
        array = array[::-1, ::-1]
    return f'{layers[0]}.{ours}', change(array)
