"""Voxels in the format of binvox (Patrick Min, https://www.patrickmin.com/binvox/binvox.html)."""

import re

import numpy as np


def from_binvox(contents: bytes) -> np.ndarray:
    """The voxels of a .binvox file.

    Returns:
        bool [up, back, right]; the file has them in the order right, front, up, the last fastest.

    Raises:
        ValueError: the contents are no .binvox file, or have another number of voxels than the header says.
    """
    found = re.match(rb'#binvox 1\s*?\n(.*?\n)?data\r?\n', contents, re.DOTALL)
    sides = re.search(rb'^dim (\d+) (\d+) (\d+)\s*$', found[1] or b'', re.MULTILINE) if found else None
    if sides is None:
        raise ValueError('it has no header of a .binvox file')
    shape = tuple(map(int, sides.groups()))
    runs = np.frombuffer(contents[found.end() :], np.uint8)
    runs = runs[: len(runs) // 2 * 2].reshape(-1, 2)  # a value, and how often it is repeated
    voxels = np.repeat(runs[:, 0] > 0, runs[:, 1])
    if len(voxels) != np.prod(shape):
        raise ValueError(f'it has {len(voxels)} voxels, not {" x ".join(map(str, shape))}')
    return voxels.reshape(shape).transpose(2, 1, 0)[:, ::-1]
