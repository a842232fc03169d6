"""Reads the tensors of a PyTorch file without PyTorch, and without executing its code.

Both formats of `torch.save` are read: the zip archive of PyTorch 1.6 and later, and the older one, a row of pickles
with the storages after them, in which the published Inception weights of 2018 are. Both are pickles, which can name any
function of any module for the reader to call. This reader knows the few names that a state dict needs and refuses all
others. The objects for these names are created for each reading, so a file cannot change anything that outlives it,
and no file needs more memory than a few times its size.
"""

import io
import math
import os
import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.errors import UserError
from gan_jax.records.npz import check_stored

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_STORAGES = {
    'BoolStorage': '?',
    'ByteStorage': 'u1',
    'CharStorage': 'i1',
    'ShortStorage': '<i2',
    'IntStorage': '<i4',
    'LongStorage': '<i8',
    'HalfStorage': '<f2',
    'FloatStorage': '<f4',
    'DoubleStorage': '<f8',
}


class _Entries(dict):
    """A state dict, which PyTorch pickles as an OrderedDict with an attribute."""

    def __setstate__(self, attributes: Any) -> None:
        """Leaves away the attribute, which is the versions of the layers."""


class Storage(NamedTuple):
    """The bytes of a tensor, as a key until they are read; `start` is in elements."""

    key: str
    dtype: np.dtype
    start: int = 0
    data: bytes | None = None


class Tensor(NamedTuple):
    """A tensor whose storage is not read yet; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: str | os.PathLike, entries: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The tensors of a state dict that `torch.save` has written.

    Args:
        path: a .pth or .pt file of a dict from names to tensors.
        entries: names under which that dict may lie in a larger one, of a training's checkpoint.

    Returns:
        Read-only arrays by name, of the dtype that they were saved with, views of the file's bytes: they take no memory
        of their own, and may have any strides.

    Raises:
        UserError: the file cannot be read, is truncated, has another format, or contains anything but tensors.
    """
    path = pathlib.Path(path)
    try:
        file = io.BytesIO(path.read_bytes())
        read = _read_zip if zipfile.is_zipfile(file) else _read_legacy
        file.seek(0)
        found, storages = read(file)
        if isinstance(found, dict):
            found = next((found[name] for name in entries if name in found), found)
        if not isinstance(found, dict) or not all(
            isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in found.items()
        ):
            raise pickle.UnpicklingError('it is not a dict from names to tensors')
        return {name: to_array(tensor, storages) for name, tensor in found.items()}
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}).') from error
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) or type(error).__name__
        raise UserError(
            f'{path} is not a readable PyTorch state dict ({reason}): if it is damaged, download it again.'
        ) from error


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that only supports the contents of a state dict."""

    def find_class(self, module: str, name: str) -> Any:
        """The object for a name in the file."""
        if module == 'torch' and name in _STORAGES:
            return name
        known = self.known()
        if f'{module}.{name}' not in known:
            raise pickle.UnpicklingError(f'it uses {module}.{name}, which tensors do not need')
        return known[f'{module}.{name}']

    def known(self) -> dict[str, Callable]:
        """New functions by the names that they replace; attributes set by a pickle are lost with them."""

        def ordered(*items: Any) -> _Entries:
            return _Entries(*items)

        def rebuild(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Tensor:
            return Tensor(storage, offset, shape, strides)

        return {
            'collections.OrderedDict': ordered,
            'torch._utils._rebuild_tensor': rebuild,
            'torch._utils._rebuild_tensor_v2': rebuild,
            'torch._utils._rebuild_parameter': lambda tensor, *_: tensor,
        }

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that a file names."""
        kind, name, key, _, _, *view = pid
        if kind != 'storage' or name not in _STORAGES or not isinstance(key, str):
            raise pickle.UnpicklingError('it contains something other than tensors')
        start = view[0][1] if view and view[0] else 0
        return Storage(key, np.dtype(_STORAGES[name]), start)


def load_pickle(file: io.BytesIO, unpickler: type[TensorUnpickler] = TensorUnpickler) -> Any:
    """Loads the next pickle, after checking that its memo table is not larger than itself.

    Args:
        file: at the pickle's beginning.
        unpickler: knows the names that may be in it.

    Raises:
        UnpicklingError: the pickle contains anything else; a damaged one raises other exceptions.
    """
    start = file.tell()
    for opcode, argument, place in pickletools.genops(file):
        if opcode.name in ('PUT', 'LONG_BINPUT') and argument > place - start:
            raise pickle.UnpicklingError('it declares a table that is larger than the file')
    file.seek(start)
    return unpickler(file).load()


def _read_zip(file: io.BytesIO) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        check_stored(archive, len(file.getbuffer()))
        (pickled,) = (name for name in archive.namelist() if name.endswith('/data.pkl'))
        root = pickled.removesuffix('data.pkl')
        if f'{root}byteorder' in archive.namelist() and archive.read(f'{root}byteorder') != b'little':
            raise ValueError('it was written on a big-endian machine')
        entries = load_pickle(io.BytesIO(archive.read(pickled)))
        names = [name for name in archive.namelist() if name.startswith(f'{root}data/')]
        return entries, {name.removeprefix(f'{root}data/'): archive.read(name) for name in names}


def read_storage(data: bytes) -> Storage:
    """The storage that `torch.save` has written in the older format, as a pickle of a tensor holds it."""
    storage, found = _read_legacy(io.BytesIO(data))
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError('it contains something other than tensors')
    return storage._replace(data=found[storage.key])


def _read_legacy(file: io.BytesIO) -> tuple[Any, dict[str, bytes]]:
    magic, protocol, system = (load_pickle(file) for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL or not system['little_endian']:
        raise ValueError('it has another format')
    entries = load_pickle(file)
    sizes = {storage.key: storage.dtype.itemsize for storage in _storages(entries)}
    storages = {}
    for key in load_pickle(file):
        elements = int.from_bytes(file.read(8), 'little', signed=True)
        wanted = elements * sizes[key]
        storages[key] = file.read(wanted) if wanted >= 0 else b''
        if len(storages[key]) != wanted:
            raise EOFError('it is truncated')
    return entries, storages


def _storages(tree: Any) -> Iterator[Storage]:
    """The storages of all tensors in dicts and lists inside one another, each of which is looked at once."""
    left, seen = [tree], set()
    while left:
        thing = left.pop()
        if isinstance(thing, Storage | Tensor):
            yield thing if isinstance(thing, Storage) else thing.storage
        elif isinstance(thing, dict | list | tuple) and id(thing) not in seen:
            seen.add(id(thing))
            left += thing.values() if isinstance(thing, dict) else thing


def to_array(tensor: Tensor, storages: Mapping[str, bytes]) -> np.ndarray:
    """A read-only view of a tensor's bytes; raises a ValueError or EOFError where they do not have its shape."""
    (key, dtype, start, data), offset, shape, strides = tensor
    flat = np.frombuffer(storages[key] if data is None else data, dtype)
    if min((start, offset, *shape, *strides), default=0) < 0 or len(shape) != len(strides):
        raise ValueError('a tensor has an impossible shape')
    size = math.prod(shape)
    last = start + offset + sum((extent - 1) * stride for extent, stride in zip(shape, strides, strict=True))
    if size and last >= len(flat):
        raise EOFError('a tensor is longer than its storage')
    if not size:
        return np.zeros(shape, dtype)
    distances = [stride * dtype.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat[start + offset :], shape, distances, writeable=False)
