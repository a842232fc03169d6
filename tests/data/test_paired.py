"""Pairs of images in directories."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.errors import UserError


def picture(value, height=4, width=6):
    """A colour image whose red falls from left to right."""
    red = np.broadcast_to(np.linspace(value, 0, width), (height, width))
    return np.stack([red, red, np.full((height, width), 255)], -1).astype(np.uint8)


@pytest.fixture
def sides(tmp_path, write_image):
    """Three pairs side by side, and the same in directories A and B, and in input and target."""
    for i, name in enumerate(('1.png', '2.png', 'more/3.png')):
        one, other = picture(10 * i + 100), picture(10 * i + 200)
        write_image(tmp_path / 'beside' / name.replace('/', '_'), np.concatenate([one, other], 1))
        for first, second in (('AB/A', 'AB/B'), ('named/input', 'named/target')):
            write_image(tmp_path / first / name.replace('/', '_'), one)
            write_image(tmp_path / second / name.replace('/', '_'), other)
    return tmp_path


@pytest.mark.parametrize('form', ['beside', 'AB', 'named'])
def test_the_input_is_left_or_in_the_first_directory(sides, load_quietly, form):
    pairs = load_quietly(f'paired:{sides / form}')
    assert (pairs.name, len(pairs)) == (f'paired:{sides / form}', 3)
    assert pairs.shapes == {'real': (4, 6, 3), 'input': (4, 6, 3)}
    np.testing.assert_array_equal(pairs.inputs, [picture(value) for value in (100, 110, 120)])
    np.testing.assert_array_equal(pairs.examples, [picture(value) for value in (200, 210, 220)])
    assert pairs.labels is None
    part = load_quietly(f'paired:{sides / form}', split='train[1:2]')
    np.testing.assert_array_equal(part.inputs, [picture(110)])
    np.testing.assert_array_equal(part.examples, [picture(210)])


def test_size_and_channels_are_those_of_each_half(sides, load_quietly):
    grey = load_quietly(f'paired:{sides / "beside"}', size=2, channels=1)
    assert grey.shapes == {'real': (2, 2, 1), 'input': (2, 2, 1)}
    square = Image.fromarray(picture(200)).convert('L').crop((1, 0, 5, 4)).resize((2, 2), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(grey.examples[0, ..., 0], np.asarray(square))


def test_directories_may_differ_in_channels_and_have_classes(tmp_path, write_image, load_quietly):
    for name in ('cats/1.png', 'dogs/2.png'):
        write_image(tmp_path / 'pairs/A' / name, np.zeros((4, 6)))
        write_image(tmp_path / 'pairs/B' / name, picture(50))
    pairs = load_quietly(f'paired:{tmp_path / "pairs"}')
    assert pairs.shapes == {'real': (4, 6, 3), 'input': (4, 6, 1)}
    np.testing.assert_array_equal(pairs.labels, [0, 1])
    assert pairs.class_names == ('cats', 'dogs')


def test_the_fingerprint_tells_inputs_and_examples(sides, load_quietly, write_image):
    original = load_quietly(f'paired:{sides / "AB"}').fingerprint
    assert load_quietly(f'paired:{sides / "named"}').fingerprint == original
    assert load_quietly(f'paired:{sides / "beside"}').fingerprint == original
    write_image(sides / 'AB/A/1.png', picture(5))
    changed = load_quietly(f'paired:{sides / "AB"}').fingerprint
    write_image(sides / 'AB/B/1.png', picture(5))
    assert len({original, changed, load_quietly(f'paired:{sides / "AB"}').fingerprint}) == 3


def test_the_sizes_of_turned_images_are_those_that_are_seen(sides, load_quietly, write_image):
    exif = Image.Exif()
    exif[0x0112] = 8  # stands on its right side
    turned = Image.fromarray(picture(200)).transpose(Image.Transpose.ROTATE_270)
    for name in ('1.png', '1.tif'):
        write_image(sides / 'turned/A' / name, picture(100))
        write_image(sides / 'turned/B' / name, turned, exif=exif)
    pairs = load_quietly(f'paired:{sides / "turned"}')
    np.testing.assert_array_equal(pairs.examples, [picture(200)] * 2)


def test_pairs_have_the_same_name_whatever_the_suffix(tmp_path, write_image, load_quietly):
    for name, value in (('a', 100), ('a.k', 120), ('b', 140)):
        write_image(tmp_path / 'A' / f'{name}.bmp', picture(value))  # a.bmp comes before a.k.bmp
        write_image(tmp_path / 'B' / f'{name}.png', picture(value))  # but a.png after a.k.png
    pairs = load_quietly(f'paired:{tmp_path}')
    np.testing.assert_array_equal(pairs.examples, pairs.inputs)
    np.testing.assert_array_equal(pairs.inputs, [picture(value) for value in (100, 120, 140)])
    part = load_quietly(f'paired:{tmp_path}', split='train[1:]')
    np.testing.assert_array_equal(part.examples, pairs.examples[1:])
    write_image(tmp_path / 'A/b.png', picture(0))
    with pytest.raises(UserError, match=r"/A/b\.bmp' has no partner: .* \(without a partner: 1\)"):
        load_quietly(f'paired:{tmp_path}')


def test_sentences(sides, load_quietly, write_image):
    write_image(sides / 'odd/1.png', np.zeros((4, 7)))
    with pytest.raises(UserError, match=r"^'.*odd/1\.png' cannot be read .* an even width, but its width is 7"):
        load_quietly(f'paired:{sides / "odd"}')
    write_image(sides / 'AB/B/alone.png', picture(0))
    with pytest.raises(UserError, match=r"^'.*/AB/B/alone\.png' has no partner: put an image .* into '.*AB/A', or"):
        load_quietly(f'paired:{sides / "AB"}')
    write_image(sides / 'AB/A/alone.png', picture(0, height=3))
    sentence = r"^'.*/A/alone\.png' is 3x6 and '.*/B/alone\.png' is 4x6, but the images of a pair must have"
    for size in (None, 4):
        with pytest.raises(UserError, match=sentence):
            load_quietly(f'paired:{sides / "AB"}', size=size)
    with pytest.raises(UserError, match='is not a directory: give a directory of images, as paired:PATH'):
        load_quietly(f'paired:{sides / "none"}')
    write_image(sides / 'facades/train/1.png', picture(0))
    with pytest.raises(UserError, match=r'are names of splits: give one of them, such as paired:.*/facades/train, or'):
        load_quietly(f'paired:{sides / "facades"}')
    (sides / 'AB/A/alone.png').write_text('no image')
    with pytest.raises(UserError, match=r"^'.*/A/alone\.png' cannot be read as an image"):
        load_quietly(f'paired:{sides / "AB"}')
