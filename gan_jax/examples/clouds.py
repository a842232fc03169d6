"""Point clouds as pictures and as files.

A cloud has coordinates to the right, up and to the front, towards the viewer. Clouds are in the sphere of radius 1/2
around the origin, see `fitted`.
"""

import io
import itertools
import re

import numpy as np

from gan_jax.examples.viewer import ANGLE, TILT

_REACH = 0.55  # half the width of a picture
_DOT = [(0, 0), (0, 1), (1, 0), (1, 1)]  # pixels of a point
_NEAR, _FAR = 20, 205  # grey values of the nearest and the farthest points
_CELLS = 8  # along each side, of the counts that clouds are compared by
_TYPES = {
    **{'char': 'i1', 'uchar': 'u1', 'short': 'i2', 'ushort': 'u2', 'int': 'i4', 'uint': 'u4'},
    **{'int8': 'i1', 'uint8': 'u1', 'int16': 'i2', 'uint16': 'u2', 'int32': 'i4', 'uint32': 'u4'},
    **{'float': 'f4', 'double': 'f8', 'float32': 'f4', 'float64': 'f8'},
}
_ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>', 'ascii': '='}
_HEADER = """ply
format binary_little_endian 1.0
element vertex {number}
property float x
property float y
property float z
end_header
"""


def fitted(cloud: np.ndarray) -> np.ndarray:
    """A cloud moved and scaled so that its bounding box has its centre at the origin and a diagonal of length 1.

    So it lies in the sphere of radius 1/2. This is the rule of ShapeNet, on whose clouds Achlioptas et al. 2018 report.

    Args:
        cloud: [n, 3]; its points do not all coincide.

    Returns:
        float32 [n, 3].
    """
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    return ((cloud - (low + high) / 2) / np.linalg.norm(high - low)).astype(np.float32)


def render(clouds: np.ndarray, angle: float = ANGLE, size: int = 96) -> np.ndarray:
    """Grey pictures of clouds on white, by parallel projection: the nearer a point, the darker it is.

    Args:
        clouds: [n, points, 3]; points outside of the picture are not seen.
        angle: radians by which the clouds are turned around the vertical axis; 0 shows the front.
        size: height and width of a picture.

    Returns:
        uint8 [n, size, size, 1].
    """
    right, up, front = np.moveaxis(np.asarray(clouds, np.float32), -1, 0)
    across = right * np.cos(angle) - front * np.sin(angle)
    back = -right * np.sin(angle) - front * np.cos(angle)
    rows = (1 - (up * np.cos(TILT) + back * np.sin(TILT)) / _REACH) * size / 2 - 0.5
    columns = (1 + across / _REACH) * size / 2 - 0.5
    depth = back * np.cos(TILT) - up * np.sin(TILT)
    light = _NEAR + (_FAR - _NEAR) * np.clip(depth + 0.5, 0, 1)
    pictures = np.full((len(right), size, size, 1), 255, np.uint8)
    for picture, row, column, value, order in zip(
        pictures, rows, columns, light, (-depth).argsort(axis=1), strict=True
    ):
        places = np.stack([row[order], column[order]], axis=1)[:, None] + _DOT
        values = np.broadcast_to(value[order, None], places.shape[:2])
        seen = ((places >= 0) & (places < size)).all(axis=-1)
        places = places[seen].astype(int)
        picture[places[:, 0], places[:, 1], 0] = values[seen]  # near points come last, and stay
    return pictures


def occupancy(clouds: np.ndarray) -> np.ndarray:
    """The number of points in each of 8^3 cells of the unit cube around the origin, whatever the order of the points.

    Args:
        clouds: [n, points, 3]; points outside of the cube count in the nearest cell.

    Returns:
        float32 [n, 512].
    """
    cells = np.clip(np.nan_to_num((np.asarray(clouds) + 0.5) * _CELLS), 0, _CELLS - 1).astype(int)
    places = (cells * [_CELLS**2, _CELLS, 1]).sum(axis=-1) + np.arange(len(cells))[:, None] * _CELLS**3
    return np.bincount(places.ravel(), minlength=len(cells) * _CELLS**3).reshape(len(cells), -1).astype(np.float32)


def files(cloud: np.ndarray) -> dict[str, bytes]:
    """The contents of files of a cloud [n, 3] by their endings: .ply in binary, and .npy of float32."""
    array = io.BytesIO()
    np.save(array, cloud.astype(np.float32))
    return {'.ply': to_ply(cloud), '.npy': array.getvalue()}


def to_ply(cloud: np.ndarray) -> bytes:
    """The contents of a .ply file with the points of a cloud [n, 3] as float32 vertices."""
    return _HEADER.format(number=len(cloud)).encode() + cloud.astype('<f4').tobytes()


def from_ply(contents: bytes) -> np.ndarray:
    """The vertices of a .ply file, in text or binary; faces and further properties are ignored.

    Returns:
        float64 [n, 3].

    Raises:
        ValueError: the contents are no .ply file, have no vertices with x, y and z, or end early.
    """
    found = re.match(rb'ply\r?\n(.*?)end_header\r?\n', contents, re.DOTALL)
    if found is None:
        raise ValueError('it has no header of a .ply file')
    lines = [line.split() for line in found[1].decode('ascii', 'replace').splitlines()]
    lines = [words for words in lines if words and words[0] in ('format', 'element', 'property')]
    if len(lines) < 2 or len(lines[0]) < 2 or lines[0][1] not in _ORDERS or len(lines[1]) != 3:
        raise ValueError('its format is unknown')
    (_, order, *_), (_, element, number), *rest = lines
    if element != 'vertex':
        raise ValueError(f'its first element is {element}, not vertex')
    properties = []
    for words in rest:
        if words[0] == 'element':
            break
        properties.append(words)
    if any(len(words) != 3 or words[1] not in _TYPES for words in properties):
        raise ValueError('its vertices have properties that are no numbers')
    row = np.dtype([(name, _ORDERS[order] + _TYPES[kind]) for _, kind, name in properties])
    if not {'x', 'y', 'z'} <= set(row.names or ()):
        raise ValueError('its vertices have no x, y and z')
    body, number = contents[found.end() :], int(number)
    if order == 'ascii':
        lines = [line.split()[: len(properties)] for line in body.splitlines()[:number]]
        whole = list(itertools.takewhile(lambda words: len(words) == len(properties), lines))
        vertices = dict(zip(row.names, np.array(whole, np.float64).reshape(-1, len(properties)).T, strict=True))
    else:
        vertices = np.frombuffer(body, row, min(number, len(body) // row.itemsize))
    cloud = np.stack([np.asarray(vertices[axis], np.float64) for axis in 'xyz'], axis=1)
    if len(cloud) < number:
        raise ValueError(f'it has {len(cloud)} of {number} vertices')
    return cloud
