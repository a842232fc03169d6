"""Point clouds: known clouds as pictures and as files."""

import io

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.examples import clouds
from gan_jax.examples.kinds import CLOUDS, POINTS, kind_of

CLOUD = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3)).astype(np.float32)
TEXT = b'ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 2\nproperty uchar red\nproperty float x\n' + (
    b'property double y\nproperty int z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n'
    b'255 0.5 -1.25 3\n0 1 2 -3\n3 0 1 0\n'
)


def test_shapes_tell_the_kind():
    assert kind_of((512, 3)) is CLOUDS
    assert kind_of((2,)) is POINTS
    with pytest.raises(UserError, match=r'point clouds \(n, 3\)'):
        kind_of((512, 2))


def test_a_file_keeps_the_points_exactly():
    written = CLOUDS.files(CLOUD)
    np.testing.assert_array_equal(clouds.from_ply(written['.ply']), CLOUD)
    np.testing.assert_array_equal(np.load(io.BytesIO(written['.npy'])), CLOUD)


def test_vertices_are_read_from_text_and_from_big_endian_numbers():
    points = [[0.5, -1.25, 3], [1, 2, -3]]
    np.testing.assert_array_equal(clouds.from_ply(TEXT), points)
    header = clouds.to_ply(CLOUD)[: -CLOUD.nbytes].replace(b'little', b'big')
    np.testing.assert_array_equal(clouds.from_ply(header + CLOUD.astype('>f4').tobytes()), CLOUD)


@pytest.mark.parametrize(
    ('contents', 'message'),
    [
        (b'solid cube', 'no header'),
        (TEXT.replace(b'ascii', b'utf8'), 'format is unknown'),
        (TEXT.replace(b'element vertex 2', b'element edge 2'), 'first element is edge, not vertex'),
        (TEXT.replace(b'property int z', b'property list uchar int z'), 'properties that are no numbers'),
        (TEXT.replace(b'property int z', b'property int w'), 'no x, y and z'),
        (clouds.to_ply(CLOUD)[:-13], 'it has 18 of 20 vertices'),
        (TEXT.replace(b'vertex 2', b'vertex 9'), 'it has 3 of 9 vertices'),
    ],
)
def test_other_files_get_a_reason(contents, message):
    with pytest.raises(ValueError, match=message):
        clouds.from_ply(contents)


def test_a_fitted_cloud_has_a_bounding_box_of_diagonal_one_around_the_origin():
    made = clouds.fitted(7 * CLOUD + [1, 2, 3])
    low, high = made.min(axis=0), made.max(axis=0)
    np.testing.assert_allclose(low, -high, atol=1e-6)
    assert np.linalg.norm(high - low) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(
        (made[0] - made[1]) / (made[2] - made[1]), (CLOUD[0] - CLOUD[1]) / (CLOUD[2] - CLOUD[1]), rtol=1e-4
    )


def test_a_picture_shows_places_and_depth():
    right, high, front = [0.4, 0, 0], [0, 0.4, 0], [0, 0, 0.4]
    picture, *_ = clouds.render(np.array([[right]]), angle=0.0, size=100)[..., 0]
    rows, columns = np.nonzero(picture < 255)
    assert columns.mean() == pytest.approx(50 * (1 + 0.4 / 0.55), abs=1)
    assert rows.mean() == pytest.approx(50, abs=1)
    picture, *_ = clouds.render(np.array([[high]]), angle=0.0, size=100)[..., 0]
    assert np.nonzero(picture < 255)[0].mean() == pytest.approx(50 * (1 - 0.4 * np.cos(0.42) / 0.55), abs=1)
    near, far = (clouds.render(np.array([[front]]), angle)[0].min() for angle in (0.0, np.pi))
    assert near < far - 50
    both = clouds.render(np.array([[[0, 0, 0.1], [0, 0.1 * np.tan(0.42), 0]]]), angle=0.0)  # on one ray
    assert both.min() < 255
    alone = clouds.render(np.array([[[0, 0, 0.1]]]), angle=0.0)
    np.testing.assert_array_equal(clouds.render(np.array([[[0, 0, 0.1], [5, 5, 5], [np.nan] * 3]]), 0.0), alone)


def test_the_nearer_of_two_points_is_seen_whatever_their_order():
    ray = np.array([0, np.sin(0.42), np.cos(0.42)])  # towards the viewer
    cloud = np.stack([0.3 * ray, -0.3 * ray])
    one, other = clouds.render(np.stack([cloud, cloud[::-1]]), angle=0.0)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, clouds.render(cloud[None, :1], angle=0.0)[0])


def test_a_turn_has_24_frames_and_shows_the_other_side_halfway():
    film = CLOUDS.film(CLOUD[None])
    assert film.shape == (24, 1, 96, 96, 1)
    np.testing.assert_array_equal(film[12], clouds.render(CLOUD[None], np.pi))


def test_clouds_are_compared_by_counts_in_cells():
    counts = clouds.occupancy(CLOUD[None])
    assert counts.sum() == 20
    np.testing.assert_array_equal(counts, clouds.occupancy(CLOUD[None, ::-1]))
    corners = np.array([[[-0.5, -0.5, -0.5], [0.49, 0.49, 0.49], [0.49, -0.5, -0.5]]])
    assert np.flatnonzero(clouds.occupancy(corners)[0]).tolist() == [0, 7 * 64, 511]
