"""Solids as pictures and as meshes. A solid is a cube of voxels with axes up, to the back and to the right."""

import functools

import numpy as np

from gan_jax.examples.viewer import ANGLE, TILT

_LIGHT = np.array([0.75, -0.55, -0.35])  # from above, in front and the left
_FACES = (  # the corners of a voxel's face towards the upper or lower end of each axis, seen from outside in order
    ((1, 0, 0), ((1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0))),
    ((-1, 0, 0), ((0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1))),
    ((0, 1, 0), ((0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1))),
    ((0, -1, 0), ((0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 0))),
    ((0, 0, 1), ((0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 1))),
    ((0, 0, -1), ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0))),
)


def render(solids: np.ndarray, angle: float = ANGLE, size: int = 64) -> np.ndarray:
    """Grey pictures of solids on white, by parallel projection: each ray ends at the first voxel inside.

    Args:
        solids: uint8 [n, D, D, D, 1]; voxels of 128 and more are inside.
        angle: radians by which the solids are turned around the vertical axis; 0 shows the front.
        size: height and width of a picture.

    Returns:
        uint8 [n, size, size, 1].
    """
    inside = solids[..., 0] >= 128
    side = inside.shape[1]
    rays, seen = _rays(side, angle, size)
    flat = inside.reshape(len(inside), -1)
    hits = np.take(flat, rays, axis=1) & seen  # [n, size size, depths]
    first = hits.argmax(axis=-1)
    struck = np.take_along_axis(hits, first[..., None], axis=-1)[..., 0]
    voxel = np.take_along_axis(np.broadcast_to(rays, hits.shape), first[..., None], axis=-1)[..., 0]
    light = np.stack([np.take(one, places) for one, places in zip(_brightness(inside, angle), voxel, strict=True)])
    return np.where(struck, light, 255).astype(np.uint8).reshape(-1, size, size, 1)


def mesh(solid: np.ndarray) -> str:
    """The surface of a solid as a Wavefront OBJ file: a square for each face between inside and outside.

    Args:
        solid: uint8 [D, D, D, 1]; voxels of 128 and more are inside.

    Returns:
        the text of the file, in the unit cube, with y up; faces turn anticlockwise seen from outside.
    """
    inside = np.pad(solid[..., 0] >= 128, 1)
    corners: dict[tuple[int, int, int], int] = {}
    faces = []
    for offset, square in _FACES:
        bare = inside & ~np.roll(inside, [-step for step in offset], axis=(0, 1, 2))
        for voxel in np.argwhere(bare) - 1:
            points = (tuple(map(int, voxel + corner)) for corner in square)
            faces.append([corners.setdefault(point, len(corners) + 1) for point in points])
    scale = 1 / len(solid)
    lines = [f'v {right * scale:g} {up * scale:g} {-back * scale:g}' for up, back, right in corners]
    return '\n'.join([*lines, *('f ' + ' '.join(map(str, face)) for face in faces), ''])


@functools.lru_cache(maxsize=64)
def _rays(side: int, angle: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The flat index of the voxel at each depth of each pixel's ray [size size, depths], and whether there is one."""
    reach = 0.62 * side  # half the width of the picture: a cube seen from a corner and from above fits
    across = (np.arange(size) + 0.5) / size * 2 - 1
    depths = np.arange(-1.4 * reach, 1.4 * reach, 0.5)
    rays = np.meshgrid(-across * reach, across * reach, depths, indexing='ij')
    vertical, horizontal, depth = (axis.reshape(size * size, -1) for axis in rays)
    back = depth * np.cos(TILT) + vertical * np.sin(TILT)
    up = vertical * np.cos(TILT) - depth * np.sin(TILT)
    right = horizontal * np.cos(angle) - back * np.sin(angle)
    back = horizontal * np.sin(angle) + back * np.cos(angle)
    places = np.floor(np.stack([up, back, right]) + side / 2).astype(np.int32)
    seen = ((places >= 0) & (places < side)).all(axis=0)
    places = places.clip(0, side - 1)
    return (places[0] * side + places[1]) * side + places[2], seen


def _brightness(inside: np.ndarray, angle: float) -> np.ndarray:
    """The grey value 40 to 230 of each voxel [n, D^3], by the angle of the light to the smoothed surface."""
    smooth = inside.astype(np.float32)
    for axis in (1, 2, 3):
        smooth = (np.roll(smooth, 1, axis) + 2 * smooth + np.roll(smooth, -1, axis)) / 4
    normal = -np.stack(np.gradient(smooth, axis=(1, 2, 3)), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    up, back, right = _LIGHT / np.linalg.norm(_LIGHT)  # turned with the viewer
    light = np.array([up, right * np.sin(angle) + back * np.cos(angle), right * np.cos(angle) - back * np.sin(angle)])
    return (135 + 95 * (normal @ light)).reshape(len(inside), -1)
