"""Directories of images."""

import os
import re
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import fingerprints, load
from gan_jax.errors import UserError


def load_folder(root, tmp_path, **kwargs):
    return load(f'folder:{root}', cache_dir=tmp_path / 'cache', show_progress=False, **kwargs)


def test_one_sub_directory_per_class(folder, tmp_path):
    data = load_folder(folder, tmp_path)
    assert data.examples.shape == (3, 4, 6, 3)
    assert data.shape == (4, 6, 3)
    assert len(data) == 3
    np.testing.assert_array_equal(data.examples[:, 0, 0, 0], [10, 20, 30])
    np.testing.assert_array_equal(data.labels, [0, 0, 1])
    assert data.labels.dtype == np.int32
    assert data.num_classes == 2
    assert data.class_names == ('a', 'b')


def test_files_directly_in_it_have_no_labels(tmp_path, write_image):
    root = tmp_path / 'flat'
    for name, value in (('b.PNG', 2), ('a.png', 1), ('c.bmp', 3), ('.hidden.png', 9)):
        write_image(root / name, np.full((2, 2), value), format='png' if name.lower().endswith('png') else 'bmp')
    (root / 'empty').mkdir()
    data = load_folder(root, tmp_path)
    assert data.shape == (2, 2, 1)
    np.testing.assert_array_equal(data.examples[:, 0, 0, 0], [1, 2, 3])
    assert data.labels is None
    assert data.num_classes is None


def test_one_coloured_image_makes_the_set_coloured(tmp_path, write_image):
    root = tmp_path / 'mixed'
    write_image(root / '1.png', np.full((2, 2), 7))
    write_image(root / '2.png', np.full((2, 2, 3), (1, 2, 3)))
    data = load_folder(root, tmp_path)
    np.testing.assert_array_equal(data.examples[:, 0, 0], [(7, 7, 7), (1, 2, 3)])
    assert load_folder(root, tmp_path, channels=1).shape == (2, 2, 1)


def test_size_brings_images_of_different_sizes_together(folder, tmp_path, write_image):
    write_image(folder / 'b/4.png', np.full((9, 5, 3), (40, 0, 255)))
    data = load_folder(folder, tmp_path, size=8)
    assert data.shape == (8, 8, 3)
    np.testing.assert_array_equal(data.examples[:, 3, 3], [(value, 0, 255) for value in (10, 20, 30, 40)])


def test_order_and_contents_survive_many_chunks(tmp_path, write_image):
    root = tmp_path / 'many'
    for i in range(300):
        write_image(root / f'{i:03}.png', np.full((200, 200), i % 256))
    data = load_folder(root, tmp_path)  # 104 images to a chunk
    np.testing.assert_array_equal(data.examples[:, 100, 100, 0], np.arange(300) % 256)


@pytest.mark.parametrize(('brightest', 'bits'), [(255, 8), (4095, 12), (16383, 14)])
def test_16_bits_that_were_not_scaled_are_refused(tmp_path, write_image, brightest, bits):
    root = tmp_path / 'camera'
    for i, top in enumerate((brightest, 5)):
        write_image(root / f'{i}.png', Image.fromarray(np.array([[0, top]], np.uint16)))
    with pytest.raises(
        UserError, match=rf'have 16 bits per value and use {bits} of them at most.* nearly black: scale'
    ):
        load_folder(root, tmp_path)
    assert not list((tmp_path / 'cache').rglob('examples.npy'))
    write_image(root / '2.png', Image.fromarray(np.array([[0, 65535]], np.uint16)))
    np.testing.assert_array_equal(load_folder(root, tmp_path).examples[:, 0, 1, 0], [brightest >> 8, 0, 255])


def test_dark_images_of_8_bits_are_taken_as_they_are(tmp_path, write_image):
    write_image(tmp_path / 'dark/1.png', np.full((2, 2), 3))
    assert load_folder(tmp_path / 'dark', tmp_path).examples.max() == 3


@pytest.mark.parametrize('error', [struct.error('odd'), AttributeError(), MemoryError()])
def test_whatever_a_decoder_raises_names_the_file(folder, tmp_path, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr('gan_jax.data.images._upright', fail)
    reason = str(error) or type(error).__name__
    with pytest.raises(UserError, match=rf"/a/1\.png' cannot be read as an image \({reason}\): replace or remove it"):
        load_folder(folder, tmp_path)


def test_every_kind_of_file_is_read_and_what_is_left_out_is_said(tmp_path, write_image):
    root = tmp_path / 'kinds'
    kinds = ('.png', '.bmp', '.gif', '.tif', '.tiff', '.pgm', '.pnm', '.webp')
    for i, kind in enumerate(kinds):
        write_image(
            root / f'{i}{kind.upper()}', np.full((2, 2), 10 * i), **({'lossless': True} if kind == '.webp' else {})
        )
    np.save(root / '8.npy', np.full((2, 2), 80, np.uint8))
    data = load_folder(root, tmp_path)
    np.testing.assert_array_equal(data.examples[:, 0, 0, 0], np.arange(9) * 10)
    for name in ('9.heic', 'a.heic', 'b.JSON', 'readme', '.hidden.json'):
        (root / name).write_text('')
    sentence = r"are skipped \(2 \.heic, 1 \.json, 1 without a suffix\), such as '9\.heic': .* the other 9 files\.$"
    with pytest.warns(UserWarning, match=sentence):
        assert len(load_folder(root, tmp_path)) == 9


def test_an_overview_of_samples_is_none_of_them(tmp_path, write_image):
    for name in ('00000.png', '00001.png', 'grid.png', 'interpolation.png'):
        write_image(tmp_path / 'generated' / name, np.zeros((2, 2)))
    with pytest.warns(UserWarning, match=r'skipped \(1 grid\.png, 1 interpolation\.png\).* is the other 2 files\.$'):
        assert len(load_folder(tmp_path / 'generated', tmp_path)) == 2
    (tmp_path / 'generated/00000.png').unlink()
    assert len(load_folder(tmp_path / 'generated', tmp_path)) == 3  # any other folder may call an image so


def test_links_are_followed(folder, tmp_path, write_image):
    write_image(tmp_path / 'elsewhere/4.png', np.full((4, 6, 3), (40, 0, 255)))
    (folder / 'a/linked').symlink_to(tmp_path / 'elsewhere')
    (folder / 'c').symlink_to(tmp_path / 'elsewhere')
    (folder / 'b/5.png').symlink_to(tmp_path / 'elsewhere/4.png')
    data = load_folder(folder, tmp_path)
    np.testing.assert_array_equal(data.examples[:, 0, 0, 0], [10, 20, 40, 30, 40, 40])
    np.testing.assert_array_equal(data.labels, [0, 0, 0, 1, 1, 2])
    assert data.class_names == ('a', 'b', 'c')


@pytest.mark.parametrize(
    ('link', 'target', 'sentence'),
    [
        ('a/back', '..', r"/a/back' is a link to a directory above it: remove it\."),
        ('a/9.png', 'gone.png', r"/a/9\.png' is a broken link: repair or remove it\."),
        ('a/gone', 'nowhere', r"/a/gone' is a broken link: repair or remove it\."),
        ('a/self', 'self', r"/a/self' is a broken link: repair or remove it\."),
    ],
)
def test_links_that_lead_nowhere_or_back_are_refused(folder, tmp_path, link, target, sentence):
    (folder / link).symlink_to(target)
    with pytest.raises(UserError, match=sentence):
        load_folder(folder, tmp_path)


def test_a_slice_takes_some_of_the_files_in_order(folder, tmp_path):
    for split, values in (('train[:2]', [10, 20]), ('train[1:]', [20, 30]), ('train[-1:]', [30])):
        data = load_folder(folder, tmp_path, split=split)
        np.testing.assert_array_equal(data.examples[:, 0, 0, 0], values)
        assert (data.num_classes, data.class_names) == (2, ('a', 'b'))
    with pytest.raises(UserError, match=r"the split 'train\[5:\]' of .* is empty: it has 3 images\."):
        load_folder(folder, tmp_path, split='train[5:]')


@pytest.mark.parametrize('names', [('train', 'val'), ('Test', 'Training', 'valid'), ('train',)])
def test_splits_are_not_taken_for_classes(tmp_path, write_image, names):
    for name in names:
        write_image(tmp_path / 'data' / name / 'cats/1.png', np.zeros((2, 2)))
    with pytest.raises(UserError, match=f'{", ".join(names)} are names of splits: give one of them, such as folder:'):
        load_folder(tmp_path / 'data', tmp_path)
    assert load_folder(tmp_path / 'data' / names[0], tmp_path).class_names == ('cats',)
    write_image(tmp_path / 'data/cars/1.png', np.zeros((2, 2)))
    assert load_folder(tmp_path / 'data', tmp_path).num_classes == len(names) + 1


def test_a_home_directory_is_written_as_in_a_shell(folder, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    assert len(load_folder('~/pictures', tmp_path)) == 3
    with pytest.raises(UserError, match=r"'~nobody_here/x' is not a directory"):
        load_folder('~nobody_here/x', tmp_path)


def test_a_path_where_a_name_stands_is_no_misspelt_name(folder, tmp_path):
    (folder / 'file').write_text('')
    for name, sentence in (
        (f'{folder}', f"'{folder}' is a directory: write folder:{folder} to use its images."),
        (f'{folder}/file', f"'{folder}/file' is a file: give the directory of the images, as folder:PATH."),
        (f'{folder}/gone', f"there is no file or directory '{folder}/gone': check the path."),
        ('./gone', "there is no file or directory './gone': check the path."),
        ('folder:', "'folder:' names no directory: write folder:PATH."),
        ('paired', "'paired' names no directory: write paired:PATH."),
        ('pets.zip', "'pets.zip' is an archive: unpack it and give the directory, as folder:PATH."),
        ('folder:pets.zip', "'pets.zip' is an archive: unpack it and give the directory, as folder:PATH."),
    ):
        with pytest.raises(UserError) as caught:
            load(name, data_dir=str(tmp_path), cache_dir=tmp_path / 'cache')
        assert str(caught.value) == sentence


def test_three_channels_of_grey_images_are_told_what_they_are(tmp_path, write_image):
    write_image(tmp_path / 'grey/1.png', np.full((2, 2), 7))
    with pytest.warns(UserWarning, match='are grey, judging from 1 of them: with channels=3 each grey value is'):
        assert load_folder(tmp_path / 'grey', tmp_path, channels=3).shape == (2, 2, 3)
    write_image(tmp_path / 'grey/2.png', np.full((2, 2, 3), (1, 2, 3)))
    assert load_folder(tmp_path / 'grey', tmp_path, channels=3).shape == (2, 2, 3)


def test_fingerprint_follows_contents_and_preprocessing_not_names_places_and_times(folder, tmp_path, write_image):
    original = load_folder(folder, tmp_path).fingerprint
    assert load_folder(folder, tmp_path, size=8).fingerprint != original
    moved = tmp_path / 'elsewhere' / 'renamed'
    shutil.copytree(folder, moved)
    (moved / 'b/3.png').rename(moved / 'b/4.png')
    assert load_folder(moved, tmp_path).fingerprint == original
    os.utime(moved / 'b/4.png', ns=(0, 0))
    assert load_folder(moved, tmp_path).fingerprint == original
    write_image(moved / 'b/5.png', np.zeros((4, 6, 3)))
    assert load_folder(moved, tmp_path).fingerprint != original


@pytest.mark.parametrize('slash', ['', '/'])
def test_folders_alike_in_names_sizes_and_times_are_told_apart(tmp_path, write_image, slash):
    """What unpacking two archives leaves."""
    for run, value in (('r1', 10), ('r2', 200)):
        write_image(tmp_path / run / 'samples/1.bmp', np.full((4, 4), value))
        os.utime(tmp_path / run / 'samples/1.bmp', ns=(10**18, 10**18))
    first, second = (load_folder(f'{tmp_path}/{run}/samples{slash}', tmp_path) for run in ('r1', 'r2'))
    assert (first.examples == 10).all()
    assert (second.examples == 200).all()
    assert first.fingerprint != second.fingerprint


def test_an_image_replaced_by_one_of_the_same_size_and_time_is_seen(tmp_path, write_image, monkeypatch):
    monkeypatch.setattr(fingerprints, '_SETTLED_NANOSECONDS', 0)
    path = tmp_path / 'pictures/1.bmp'
    for value in (10, 200):
        write_image(path, np.full((4, 4), value))
        os.utime(path, ns=(10**18, 10**18))
        assert (load_folder(path.parent, tmp_path).examples == value).all()
    assert len(list((tmp_path / 'cache/decoded').iterdir())) == 1  # not another copy for each


def test_sentences(folder, tmp_path, write_image):
    def sentence(root, **kwargs):
        with pytest.raises(UserError) as caught:
            load_folder(root, tmp_path, **kwargs)
        assert not list((tmp_path / 'cache').rglob('*.incomplete.*'))
        return str(caught.value)

    assert sentence(tmp_path / 'none') == (
        f"'{tmp_path / 'none'}' is not a directory: give a directory of images, as folder:PATH."
    )
    (tmp_path / 'empty').mkdir()
    assert sentence(tmp_path / 'empty') == (
        f"'{tmp_path / 'empty'}' contains no images: put .png, .jpg, .jpeg, .bmp, .webp, .gif, .tif, .tiff, "
        f'.ppm, .pgm, .pbm, .pnm, .npy, .ply, .binvox files in it.'
    )
    assert sentence(folder, split='test') == (
        "a folder of images has only the split 'train' and its slices such as 'train[:1000]', not 'test': "
        'give the split a separate folder.'
    )
    assert sentence(folder, size=0) == 'the size of an image must be at least 1, not 0.'
    assert sentence(folder, channels=4) == 'an image has 1 channel (grey) or 3 (colour), not 4.'
    write_image(folder / 'b/4.png', np.zeros((5, 7, 3)))
    assert sentence(folder) == (
        f"the images of 'folder:{folder}' differ in size ('{folder}/a/1.png' is 4x6, '{folder}/b/4.png' is 5x7): "
        'set the size to resample them to, by --config.data.size=64 in training, elsewhere by --size 64.'
    )
    (folder / 'b/4.png').write_bytes((folder / 'b/3.png').read_bytes()[:50])
    pattern = rf"^'{re.escape(str(folder))}/b/4\.png' cannot be read as an image \(.*\): replace or remove it\.$"
    assert re.match(pattern, sentence(folder))
    (folder / 'b/4.png').write_text('not an image')
    assert re.match(pattern, sentence(folder))
    (folder / 'b/4.png').unlink()
    write_image(folder / '0.png', np.zeros((4, 6, 3)))
    assert sentence(folder) == (
        f"'{folder}' contains both images and sub-directories of images: keep either the images or one "
        f'sub-directory per class.'
    )
