"""Writes PyTorch's files without PyTorch."""

import collections
import io
import itertools
import pickle
import struct
import zipfile

import numpy as np

_NAMES = {'float32': 'FloatStorage', 'float64': 'DoubleStorage', 'float16': 'HalfStorage', 'int64': 'LongStorage'}


class Named:
    """Pickled as a name that the reader knows; the module need not exist here."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class EasyDict(dict):
    """Pickled as a dnnlib.EasyDict."""


class Pickler(pickle._Pickler):
    """Writes what torch.save writes, with any shape and strides."""

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, EasyDict):
            self.write(pickle.GLOBAL + b'dnnlib.util\nEasyDict\n' + pickle.EMPTY_TUPLE + pickle.NEWOBJ + pickle.MARK)
            for part in itertools.chain(*thing.items()):
                self.save(part)
            self.write(pickle.SETITEMS)
            return
        if not isinstance(thing, Named):
            super().save(thing, save_persistent_id)
            return
        self.write(pickle.GLOBAL + f'{thing.module}\n{thing.name}\n'.encode())
        if thing.arguments:
            super().save(thing.arguments)
            self.write(pickle.REDUCE)

    def persistent_id(self, thing):
        return thing[1:] if isinstance(thing, tuple) and thing[:1] == ('persistent',) else None


def pickled(thing, protocol=2):
    """What torch.save writes of something with `Named`s in it; the protocol of plain pickles is 3 or 4."""
    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(thing)
    return buffer.getvalue()


def save(path, tree, *, legacy=False):
    """Writes dicts and lists of arrays and numbers as `torch.save` does, in the new or the old format."""
    storages = []

    def tensors(thing):
        if isinstance(thing, dict):
            return {name: tensors(one) for name, one in thing.items()}
        if isinstance(thing, list | tuple):
            return type(thing)(map(tensors, thing))
        if not isinstance(thing, np.ndarray):
            return thing
        key, kind = str(len(storages)), Named('torch', _NAMES[thing.dtype.name])
        storages.append(thing)
        view = (None,) if legacy else ()
        storage = ('persistent', 'storage', kind, key, 'cpu', thing.size, *view)
        strides = tuple(stride // thing.itemsize for stride in np.ascontiguousarray(thing).strides)
        shape = thing.shape, strides[: thing.ndim]
        return Named('torch._utils', '_rebuild_tensor_v2', storage, 0, *shape, False, collections.OrderedDict())

    data = pickled(tensors(tree))
    if legacy:
        header = [0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}]
        contents = b''.join(struct.pack('<q', array.size) + array.tobytes() for array in storages)
        keys = pickle.dumps([str(key) for key in range(len(storages))])
        path.write_bytes(b''.join(map(pickle.dumps, header)) + data + keys + contents)
        return path
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', data)
        for key, array in enumerate(storages):
            archive.writestr(f'archive/data/{key}', array.tobytes())
    return path


def network(name, arrays, **options):
    """A network of stylegan2-ada-pytorch as its pickles hold it, with its class's source (protocol 4 of `pickled`).

    Args:
        name: of its class.
        arrays: its parameters and buffers by the names of its state dict.
        options: that it was made with.
    """
    inner, own = {}, {}
    for key, array in arrays.items():
        first, _, rest = key.partition('.')
        if rest:
            inner.setdefault(first, {})[rest] = array
        else:
            own[first] = _tensor(array)
    is_buffer = {key: key in ('noise_const', 'resample_filter', 'w_avg') for key in own}
    parameters = {key: Named('torch._utils', '_rebuild_parameter', one, True) for key, one in own.items()}
    number = Named('numpy.core.multiarray', 'scalar', Named('numpy', 'dtype', 'f8', 0, 1), struct.pack('<d', 0.25))
    state = {
        'training': False,
        '_parameters': {key: one for key, one in parameters.items() if not is_buffer[key]} | {'bias_off': None},
        '_buffers': {key: one for key, one in own.items() if is_buffer[key]},
        '_non_persistent_buffers_set': Named('builtins', 'set', []),
        '_modules': {key: network('Layer', arrays) for key, arrays in inner.items()},
        'weight_gain': number,
        '_init_args': (),
        '_init_kwargs': options,
    }
    source = "raise SystemExit('the source of the class was run')"
    meta = {'type': 'class', 'version': 6, 'module_src': source, 'class_name': name, 'state': state}
    return Named('torch_utils.persistence', '_reconstruct_persistent_obj', meta)


def _tensor(array):
    """A tensor in a plain pickle: its storage is a legacy file of its own."""
    kind = Named('torch', _NAMES[array.dtype.name])
    header = [0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}]
    data = b''.join(map(pickle.dumps, header)) + pickled(
        ('persistent', 'storage', kind, '0', 'cuda:0', array.size, None)
    )
    data += pickle.dumps(['0']) + struct.pack('<q', array.size) + array.tobytes()
    strides = tuple(stride // array.itemsize for stride in np.ascontiguousarray(array).strides)[: array.ndim]
    storage = Named('torch.storage', '_load_from_bytes', data)
    return Named(
        'torch._utils', '_rebuild_tensor_v2', storage, 0, array.shape, strides, False, collections.OrderedDict()
    )
