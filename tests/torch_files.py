"""Writes PyTorch's files without PyTorch."""

import collections
import io
import pickle
import struct
import zipfile

import numpy as np

_NAMES = {'float32': 'FloatStorage', 'float64': 'DoubleStorage', 'float16': 'HalfStorage', 'int64': 'LongStorage'}


class Named:
    """Pickled as a name that the reader knows; the module need not exist here."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Pickler(pickle._Pickler):
    """Writes what torch.save writes, with any shape and strides."""

    def save(self, thing, save_persistent_id=True):
        if not isinstance(thing, Named):
            super().save(thing, save_persistent_id)
            return
        self.write(pickle.GLOBAL + f'{thing.module}\n{thing.name}\n'.encode())
        if thing.name.startswith('_rebuild'):
            super().save(thing.arguments)
            self.write(pickle.REDUCE)

    def persistent_id(self, thing):
        return thing[1:] if isinstance(thing, tuple) and thing[:1] == ('persistent',) else None


def pickled(thing):
    """What torch.save writes of something with `Named`s in it."""
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(thing)
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
