"""Pictures: grids by hand, files that are whole, animations, scatter plots and curves."""

import os

import numpy as np
import pytest
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.records import files, report
from gan_jax.records.metrics import MetricsFile

ORANGE = (255, 127, 14)  # C1 of matplotlib


@pytest.mark.parametrize(('channels', 'shown'), [(1, (9,)), (2, (9, 1, 0)), (3, (9, 1, 2)), (5, (9, 1, 2))])
def test_any_number_of_channels_is_grey_or_colour(tmp_path, channels, shown):
    image = np.broadcast_to(np.array([9, 1, 2, 3, 4], np.uint8)[:channels], (2, 2, channels))
    report.save_png(tmp_path / 'a.png', report.image_grid(image[None], padding=0, scale=1))
    with Image.open(tmp_path / 'a.png') as picture:
        assert picture.mode == ('L' if channels == 1 else 'RGB')
        np.testing.assert_array_equal(np.atleast_3d(picture)[0, 0], shown)


def test_grid_by_hand():
    images = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8)[..., None]  # three of 1 x 2
    b = 128
    expected = [
        [b, b, b, b, b, b, b],
        [b, 1, 2, b, 3, 4, b],
        [b, b, b, b, b, b, b],
        [b, 5, 6, b, b, b, b],
        [b, b, b, b, b, b, b],
    ]
    grid = report.image_grid(images, columns=2, padding=1, scale=1)
    np.testing.assert_array_equal(grid[..., 0], expected)
    assert grid.dtype == np.uint8


def test_grid_enlarges_pixels_and_not_the_padding():
    images = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.uint8)
    grid = report.image_grid(images, padding=1, scale=2)
    assert grid.shape == (4, 6, 3)
    np.testing.assert_array_equal(grid[1:3, 1:5, 0], [[1, 1, 4, 4], [1, 1, 4, 4]])
    assert (grid[0] == 128).all()


@pytest.mark.parametrize(
    ('shape', 'height', 'width'),
    [
        ((64, 28, 28, 1), 690, 690),  # 8 * (3 * 28 + 2) + 2
        ((64, 16, 16, 1), 786, 786),  # 8 * (6 * 16 + 2) + 2
        ((64, 128, 128, 3), 1042, 1042),  # as they are
        ((10, 8, 8, 3), 656, 874),  # 3 rows of 4, 27 times
        ((12, 20, 10, 1), 1028, 862),  # twice as high as wide: 3 rows of 5, 17 times
        ((3, 8, 8, 1), 886, 886),  # 2 rows of 2, 55 times
    ],
)
def test_grid_is_nearly_square_and_of_a_size_to_look_at(shape, height, width):
    assert report.image_grid(np.zeros(shape, np.uint8)).shape == (height, width, shape[-1])


def test_grid_of_something_else_is_one_sentence():
    with pytest.raises(UserError, match=r'^A grid needs uint8 images \[n, H, W, C\], not float64\[2, 3\]\.$'):
        report.image_grid(np.zeros((2, 3)))
    with pytest.raises(UserError, match=r'not uint8\[0, 8, 8, 1\]'):
        report.image_grid(np.zeros((0, 8, 8, 1), np.uint8))


@pytest.mark.parametrize('shape', [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_png_keeps_every_value(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    report.save_png(tmp_path / 'new' / 'x.png', image)
    read = np.asarray(Image.open(tmp_path / 'new' / 'x.png'))
    np.testing.assert_array_equal(read, image.reshape(read.shape))
    assert os.listdir(tmp_path / 'new') == ['x.png']


def test_a_description_is_text_whatever_the_names_of_files(tmp_path):
    report.save_png(tmp_path / 'x.png', np.zeros((2, 2), np.uint8), 'real images of folder:caf\udce9')
    assert report.caption_of(tmp_path / 'x.png') == 'real images of folder:caf?'


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    files.replace(tmp_path / 'x', b'old')
    monkeypatch.setattr(
        'pathlib.Path.replace', lambda *_: (_ for _ in ()).throw(OSError(28, 'No space left on device'))
    )
    with pytest.raises(UserError, match=rf'^{tmp_path}/x cannot be written \(No space left on device\): free some '):
        files.replace(tmp_path / 'x', b'new')
    assert (tmp_path / 'x').read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['x']


def test_a_directory_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'file/x\.png cannot be written \((Not a directory|File exists)\)'):
        report.save_png(tmp_path / 'file' / 'x.png', np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize('channels', [1, 3])
def test_animation_takes_some_frames_and_holds_the_last(tmp_path, channels):
    frames = [np.full((40, 20, channels), i, np.uint8) for i in range(0, 200, 2)]
    report.save_animation(tmp_path / 'x.gif', frames, max_frames=5, max_size=20)
    animation = Image.open(tmp_path / 'x.gif')
    assert (animation.n_frames, animation.size) == (5, (10, 20))
    values, durations = [], []
    for i in range(5):
        animation.seek(i)
        values.append(np.asarray(animation.convert('L'))[0, 0])
        durations.append(animation.info['duration'])
    assert durations == [150, 150, 150, 150, 2000]
    np.testing.assert_array_equal(values, [0, 50, 100, 148, 198])  # frames 0, 25, 50, 74, 99 of 0..99


def test_scatter_puts_points_where_they_are():
    points = np.array([[1.0, 1.0], [-1.0, 0.5]])
    image = report.scatter(points, real=np.array([[0.0, -1.0]]), limit=2.0)
    assert (image.shape, image.dtype) == ((600, 600, 3), np.uint8)

    def pixel(x: float, y: float) -> list[int]:
        """The axes are 540 pixels wide and high, 42 from the left and 36 from below."""
        return image[round(600 - 36 - 540 * (y + 2) / 4), round(42 + 540 * (x + 2) / 4)].tolist()

    blended = [round(0.7 * value + 0.3 * 255) for value in ORANGE]
    assert [pixel(x, y) for x, y in points] == [blended, blended]
    assert pixel(0, -1) == [179, 179, 179]  # 0.7 of 255
    assert pixel(1, -1) == [255, 255, 255]


def test_curves_group_metrics_by_the_last_part_of_their_name():
    record = {
        'step': 10,
        'kimg': 0.64,
        'discriminator/fake_probability': 0.3,
        'discriminator/gradient_norm': 1.0,
        'discriminator/loss': 1.0,
        'discriminator/real_probability': 0.7,
        'fid': 50.0,
        'generator/gradient_norm': 1.0,
        'generator/loss': 1.0,
    }
    assert report.panels([record, {'step': 20, 'kimg': 1.28, 'kid': 0.1}]) == {
        'loss': ['discriminator/loss', 'generator/loss'],
        'probability': ['discriminator/real_probability', 'discriminator/fake_probability'],
        'gradient_norm': ['discriminator/gradient_norm', 'generator/gradient_norm'],
        'fid': ['fid'],
        'kid': ['kid'],
    }


def test_smoothing_keeps_a_constant_and_short_series():
    np.testing.assert_allclose(report._smooth(np.full(100, 3.0)), 3.0, rtol=1e-12)
    short = np.arange(39.0)
    np.testing.assert_array_equal(report._smooth(short), short)
    noise = np.random.default_rng(0).normal(size=400)
    assert report._smooth(noise).std() < 0.4
    # By hand: 40 numbers are smoothed with the window 0, 1/2, 1, 1/2, 0.
    step = np.repeat([0.0, 1.0], 20)
    np.testing.assert_allclose(report._smooth(step)[18:22], [0, 0.25, 0.75, 1])


@pytest.mark.parametrize(
    ('values', 'labels'),
    [
        ((6, 8), ['6', '6.25', '6.5', '6.75', '7', '7.25', '7.5', '7.75', '8']),
        ((8, 12), ['8', '8.5', '9', '9.5', '10', '10.5', '11', '11.5', '12']),
        ((0.2, 40), ['0.2', '0.5', '1', '2', '5', '10', '20']),
        ((1e-3, 1e15), ['0.001', '1', '1000', '1e+06', '1e+09', '1e+12', '1e+15']),
    ],
)
def test_logarithmic_axes_have_plain_numbers(values, labels):
    figure = report.new_figure(6, 3)
    axes = figure.subplots()
    axes.set_ylim(*values)
    report.scale_by_logarithms(axes)
    figure.canvas.draw()
    ticks = [(tick.get_loc(), tick.label1.get_text()) for tick in (*axes.yaxis.majorTicks, *axes.yaxis.minorTicks)]
    assert [text for place, text in sorted(ticks) if values[0] <= place <= values[1]] == labels


def test_curves_are_drawn_in_the_colours_of_the_players(tmp_path):
    records = [{'step': s, 'kimg': s / 10, 'generator/loss': 1.0, 'fid': 9.0 if s == 3 else None} for s in range(1, 6)]
    report.curves(records, tmp_path / 'curves.png')
    image = np.asarray(Image.open(tmp_path / 'curves.png').convert('RGB'))
    assert image.shape == (300, 1200, 3)
    orange = (image == ORANGE).all(-1)
    rows, columns = np.nonzero(orange[60:])
    assert columns.max() < 600  # in the first panel, a level line through nearly all of it
    assert columns.max() - columns.min() > 350
    assert len(np.unique(rows)) < 10


def test_curves_without_numbers_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match=rf'^{tmp_path}/curves.png cannot be drawn: there are no metrics yet\.$'):
        report.curves([], tmp_path / 'curves.png')


def test_a_run_is_summed_up(tmp_path):
    report.write(tmp_path)
    assert os.listdir(tmp_path) == []
    for step in (10, 20):
        MetricsFile(tmp_path / 'metrics.jsonl').write(
            step, 1.0, {'generator/loss': float('nan') if step == 10 else 1.0}
        )
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', np.full((8, 8, 1), step, np.uint8))
    report.write(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['curves.png', 'metrics.jsonl', 'samples', 'samples.gif', 'samples.png']
    assert np.asarray(Image.open(tmp_path / 'samples.png'))[0, 0] == 20
    assert Image.open(tmp_path / 'samples.gif').n_frames == 2


def test_pictures_know_their_step_and_are_written_anew_only_for_another(tmp_path):
    def record(step):
        MetricsFile(tmp_path / 'metrics.jsonl').write(step, 1.0, {'generator/loss': 1.0})
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', np.full((8, 8, 1), step, np.uint8), step=step)

    names = ('samples.png', 'samples.gif', 'curves.png')
    record(10)
    assert report.outdated(tmp_path) == list(names)
    report.write(tmp_path)
    assert [report.step_of(tmp_path / name) for name in names] == [10, 10, 10]
    assert report.outdated(tmp_path) == []
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in names}
    report.write(tmp_path)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in names} == before
    record(20)  # as of a run that is extended, and killed before its last pictures
    assert report.outdated(tmp_path) == list(names)
    report.write(tmp_path)
    assert [report.step_of(tmp_path / name) for name in names] == [20, 20, 20]
    assert report.step_of(tmp_path / 'none.png') is None
    (tmp_path / 'curves.png').write_bytes(b'torn')
    assert report.outdated(tmp_path) == ['curves.png']


def test_a_damaged_picture_of_samples_is_passed_over_with_a_warning(tmp_path):
    for step in (10, 20, 30):
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', np.full((8, 8, 1), step, np.uint8), step=step)
    os.truncate(tmp_path / 'samples' / '00000010.png', 30)
    (tmp_path / 'samples' / '00000030.png').write_bytes(b'')
    with pytest.warns(UserWarning, match='00000010.png is damaged and skipped'):
        report.write(tmp_path)
    assert np.asarray(Image.open(tmp_path / 'samples.png'))[0, 0] == 20
    assert getattr(Image.open(tmp_path / 'samples.gif'), 'n_frames', 1) == 1
    assert [step for step, _ in report.sample_files(tmp_path)] == [10, 20, 30]  # to be dropped with the others


def test_pictures_of_any_number_of_pixels_are_summed_up(tmp_path, monkeypatch):
    for step in (10, 20):
        MetricsFile(tmp_path / 'metrics.jsonl').write(step, 1.0, {'generator/loss': 1.0})
        grid = np.full((8, 8, 1), step, np.uint8)
        report.save_png(tmp_path / 'samples' / f'{step:08d}.png', grid, 'a caption', step=step)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 31)
    report.write(tmp_path)
    assert report.caption_of(tmp_path / 'samples.png') == 'a caption'
    assert [report.step_of(tmp_path / name) for name in ('samples.png', 'samples.gif', 'curves.png')] == [20, 20, 20]
