"""Solids: known shapes as pictures and as meshes."""

import numpy as np
import pytest

from gan_jax.data.furniture import Box, Ring, Tube, voxels
from gan_jax.examples import solids
from gan_jax.examples.kinds import IMAGES, POINTS, SOLIDS, kind_of

ANVIL = [Box((0.0, 0.25, 0.25), (0.5, 0.75, 0.75)), Box((0.5, 0.5, 0.0), (0.75, 0.75, 1.0))]


def solid(shape, size=16):
    return voxels(shape, size)[..., None].astype(np.uint8) * np.uint8(255)


def parsed(text):
    words = [line.split() for line in text.splitlines()]
    corners = np.array([[float(x) for x in rest] for kind, *rest in words if kind == 'v'])
    faces = np.array([[int(x) - 1 for x in rest] for kind, *rest in words if kind == 'f'])
    return corners, faces


@pytest.mark.parametrize(('shape', 'kind'), [((2,), POINTS), ((8, 8, 3), IMAGES), ((8, 8, 8, 1), SOLIDS)])
def test_the_shape_tells_the_kind(shape, kind):
    assert kind_of(shape) is kind


@pytest.mark.parametrize(
    ('shape', 'volume'),
    [
        ([Box((0.25, 0.0, 0.5), (0.75, 1.0, 0.75))], 0.125),
        ([Tube((0.5, 0.5), 0.25, 0.75, 0.4)], 0.5 * np.pi * 0.16),
        ([Tube((0.5, 0.5), 0.25, 0.75, 0.4, wall=0.2)], 0.5 * np.pi * (0.16 - 0.04)),
        ([Tube((0.5, 0.5), 0.0, 1.0, 0.4, 0.2)], np.pi * (0.16 + 0.08 + 0.04) / 3),
        ([Ring((0.5, 0.5, 0.5), 0.3, 0.1)], 2 * np.pi**2 * 0.3 * 0.01),
        (ANVIL, 0.125 + 0.0625),
    ],
)
def test_voxels_have_the_volume_of_the_primitives(shape, volume):
    assert voxels(shape, 64).mean() == pytest.approx(volume, rel=0.02)


def test_a_mesh_is_closed_and_encloses_the_voxels():
    corners, faces = parsed(solids.mesh(solid(ANVIL)))
    edges = {}
    for face in faces.tolist():
        for edge in zip(face, face[1:] + face[:1], strict=True):
            edges[edge] = edges.get(edge, 0) + 1
    assert all(edges[edge] == edges[edge[::-1]] for edge in edges)  # each edge as often there as back
    a, b, c, d = corners[faces].transpose(1, 0, 2)
    triangles = np.concatenate([np.stack([a, b, c]), np.stack([a, c, d])], axis=1)
    volume = np.linalg.det(triangles.transpose(1, 0, 2)).sum() / 6  # positive where faces look outside
    assert volume == pytest.approx(0.1875)
    assert corners[:, 1].max() == 0.75  # y is up


def test_a_picture_has_the_outline_of_the_solid():
    cube = solid([Box((0.25, 0.25, 0.25), (0.75, 0.75, 0.75))], 32)
    (picture,) = solids.render(cube[None], angle=0.0, size=64)
    shown = picture[..., 0] < 255
    assert picture.shape == (64, 64, 1)
    # Half the cube wide; as high as its front and its top, seen from above.
    assert np.ptp(np.flatnonzero(shown.any(axis=0))) + 1 == pytest.approx(64 * 0.5 / 1.24, abs=2)
    height = 0.5 * (np.cos(0.42) + np.sin(0.42))
    assert np.ptp(np.flatnonzero(shown.any(axis=1))) + 1 == pytest.approx(64 * height / 1.24, abs=2)
    top, front = picture[22, 32, 0], picture[40, 32, 0]
    assert top > front  # the light comes from above


def test_a_turned_solid_is_seen_from_its_other_side():
    post = Box((0.1, 0.4, 0.7), (0.9, 0.6, 0.9))  # on the right
    front, back = (solids.render(solid([post], 32)[None], angle, 64)[0, ..., 0] for angle in (0.0, np.pi))
    columns = [np.flatnonzero((picture < 255).any(axis=0)).mean() for picture in (front, back)]
    assert columns[0] > 32 > columns[1]
    assert columns[0] + columns[1] == pytest.approx(63, abs=1)


def test_nothing_is_white():
    assert (solids.render(np.zeros((2, 8, 8, 8, 1), np.uint8)) == 255).all()
