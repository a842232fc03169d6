"""Reads the networks of NVIDIA's pickles of StyleGAN2 without PyTorch or TensorFlow, and without executing their code.

A pickle of stylegan2-ada-pytorch is a dict of networks 'G', 'D' and 'G_ema'. A pickle of TensorFlow is a tuple (G, D,
G_ema), see `tools.tensorflow_network`. Each network is saved with the source code that builds it, which the published
readers run. This one looks only at what lies beside it: the arrays, and the arguments that the network was made with.
It knows the names of tensors, arrays, numbers and containers and refuses all others.
"""

import io
import pathlib
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.torch_file import (
    Storage,
    TensorUnpickler,
    load_pickle,
    read_storage,
    to_array,
)

from .tensorflow_network import SavedArray, SavedNetwork, translated

_NUMBERS = ('b1', 'i4', 'i8', 'f4', 'f8')  # the types of NumPy's numbers among the attributes of a network


class Network(NamedTuple):
    """A network of a pickle.

    Attributes:
        name: name of its class.
        arrays: its parameters and buffers by the names that its state dict would have; read-only.
        options: the arguments by name that it was made with.
    """

    name: str
    arrays: dict[str, np.ndarray]
    options: dict[str, Any]


class _Module(NamedTuple):
    """An object of a class that the file has the source of."""

    name: str
    state: dict[str, Any]


def read_networks(path: pathlib.Path) -> dict[str, Network]:
    """The networks of a pickle by their names there: 'G', 'D', 'G_ema', and 'augment_pipe' where there is one.

    Those of TensorFlow have the names of arrays and arguments that they would have in PyTorch. A pickle of one network
    has 'G_ema'.

    Raises:
        UserError: the file cannot be read, is damaged or of another kind, or asks for anything but tensors, arrays,
            numbers and containers.
    """
    try:
        data = path.read_bytes()
        found = load_pickle(io.BytesIO(data), _NetworkUnpickler)
        if isinstance(found, SavedNetwork):
            found = {'G_ema': found}
        elif isinstance(found, tuple) and len(found) == 3:
            found = dict(zip(('G', 'D', 'G_ema'), found, strict=True))
        things = found.items() if isinstance(found, dict) else ()
        kinds = _Module | SavedNetwork
        networks = {name: _network(thing, len(data)) for name, thing in things if isinstance(thing, kinds)}
        if not networks:
            raise pickle.UnpicklingError('it has no networks')
        return networks
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}).') from error
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) or type(error).__name__
        raise UserError(
            f'{path} is not a readable pickle of StyleGAN2 ({reason}); none of its code was executed.'
        ) from error


class _NetworkUnpickler(TensorUnpickler):
    """Knows what a state dict is made of, and what its network has beside it."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file)
        self._storages: dict[bytes, Storage] = {}  # so that bytes which are named twice are there once
        self._names = super().known() | self._additional()

    def known(self) -> dict[str, Callable]:
        """The functions and classes that replace those of the file."""
        return self._names

    def _additional(self) -> dict[str, Callable]:
        class Options(dict):
            """dnnlib.EasyDict: a dict whose entries are attributes, too."""

            def __init__(self):
                """Begins empty: a copy of another dict would take memory that the file does not have."""

            def __setstate__(self, attributes: Any) -> None:
                """Leaves away the attributes, of which a dict has none."""

        class Number:
            """A type of numbers of NumPy."""

            def __init__(self, code: str):
                if code not in _NUMBERS:
                    raise pickle.UnpicklingError(f'it contains a number of the type {code!r}')
                self.dtype = np.dtype(f'<{code}')

            def __setstate__(self, state: Any) -> None:
                """Checks the byte order."""
                if state[1] not in '<|':
                    raise pickle.UnpicklingError('it was written on a big-endian machine')

        class TensorFlowNetwork(SavedNetwork):
            """dnnlib.tflib.network.Network."""

        def module(meta: dict[str, Any]) -> _Module:
            return _Module(meta['class_name'], meta['state'])

        def storage(data: bytes) -> Storage:
            if data not in self._storages:
                self._storages[data] = read_storage(data)
            return self._storages[data]

        def scalar(kind: Number, data: bytes) -> Any:
            return np.frombuffer(data, kind.dtype, 1)[0].item()

        return {
            'torch_utils.persistence._reconstruct_persistent_obj': module,
            'torch.storage._load_from_bytes': storage,
            'dnnlib.util.EasyDict': Options,
            'dnnlib.EasyDict': Options,
            'numpy.dtype': lambda code, *_: Number(code),
            'numpy.core.multiarray.scalar': scalar,
            'numpy._core.multiarray.scalar': scalar,
            'numpy.ndarray': lambda: None,  # what the next two are told to make
            'numpy.core.multiarray._reconstruct': lambda *_: SavedArray(),
            'numpy._core.multiarray._reconstruct': lambda *_: SavedArray(),
            'dnnlib.tflib.network.Network': TensorFlowNetwork,
            'builtins.set': lambda *_: (),  # names of buffers that are not saved
            '__builtin__.set': lambda *_: (),
        }


def _network(module: _Module | SavedNetwork, size: int) -> Network:
    """The network of a module and of those inside it, each of which has one place, in a file of so many bytes."""
    if isinstance(module, SavedNetwork):
        return Network(*translated(module, size))
    arrays, left, seen = {}, [('', module)], set()
    while left:
        prefix, one = left.pop()
        if not isinstance(one, _Module) or id(one.state) in seen:
            raise pickle.UnpicklingError('a module of a network is missing or occurs twice')
        seen.add(id(one.state))
        for kind in ('_parameters', '_buffers'):
            for name, tensor in one.state[kind].items():
                if tensor is not None:
                    arrays[f'{prefix}{name}'] = to_array(tensor, {})
        left += [(f'{prefix}{name}.', inner) for name, inner in one.state['_modules'].items()]
    return Network(module.name, arrays, dict(module.state['_init_kwargs']))
