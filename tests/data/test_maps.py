"""Folders of images with label maps."""

import shutil

import ml_collections
import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.errors import UserError
from gan_jax.sampling.shown import load_inputs

MAPS = np.random.default_rng(0).integers(3, size=(4, 8, 8)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Four images with maps; one map has a palette, whose colours are not its classes."""
    rng = np.random.default_rng(1)
    for side in ('images', 'maps'):
        (tmp_path / side).mkdir()
    for number, classes in enumerate(MAPS):
        image = Image.fromarray(rng.integers(255, size=(8, 8, 3)).astype(np.uint8))
        image.save(tmp_path / 'images' / f'{number}.jpg')
        one = Image.fromarray(classes)
        if number == 2:
            one = one.copy()
            one.putpalette([255 - value for value in range(256) for _ in range(3)])
        one.save(tmp_path / 'maps' / f'{number}.png')
    return tmp_path


def load(folder, **options):
    return data.load(f'maps:{folder}', cache_dir=str(folder / '.cache'), show_progress=False, **options)


def test_maps_are_the_inputs_of_their_images_and_classes_have_names(folder):
    found = load(folder)
    np.testing.assert_array_equal(found.inputs[..., 0], MAPS)
    assert found.has_maps
    assert (found.num_classes, found.class_names, found.shape) == (3, None, (8, 8, 3))
    (folder / 'classes.txt').write_text('sky\ngrass\nsea\nsand\n')
    named = load(folder)
    assert (named.num_classes, named.class_names) == (4, ('sky', 'grass', 'sea', 'sand'))
    assert named.fingerprint != found.fingerprint


def test_a_map_of_another_size_keeps_its_classes(folder):
    np.testing.assert_array_equal(load(folder, size=4).inputs[..., 0], MAPS[:, 1::2, 1::2])
    np.testing.assert_array_equal(load(folder, size=16).inputs[..., 0], MAPS.repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize('kind', ['folder', 'clips'])
def test_maps_alone_are_read_as_maps_where_a_run_translates_such(folder, kind):
    options, side = ml_collections.ConfigDict({'directory': None, 'cache': str(folder / '.cache')}), folder / 'maps'
    shape, given = (16, 16, 1), MAPS.repeat(2, 1).repeat(2, 2)[..., None]
    if kind == 'clips':
        side = side.rename(folder / 'clip').parent
        shutil.rmtree(side / 'images')
        shape, given = (len(MAPS), *shape), given[None]
    found = load_inputs(f'{kind}:{side}', 'input', {'input': shape}, options, is_map=True)
    np.testing.assert_array_equal(found.examples, given)


def test_what_does_not_fit_is_refused(folder):
    (folder / 'classes.txt').write_text('sky\ngrass\n')
    with pytest.raises(
        UserError, match=r"0.png' has the class 2, but there are 2 classes, numbered from 0: give unlab"
    ):
        load(folder)
    (folder / 'classes.txt').unlink()
    Image.fromarray(np.zeros((4, 8), np.uint8)).save(folder / 'maps' / '1.png')
    with pytest.raises(UserError, match=r"1.png' is 4x8 and .*1.jpg' is 8x8, but the images of a pair must have the"):
        load(folder)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / 'maps' / '1.png')
    with pytest.raises(UserError, match=r'a label map has one channel of 8 bits with the class of each pixel, not RGB'):
        load(folder)
    (folder / 'maps' / '1.png').unlink()
    with pytest.raises(UserError, match=r"1.jpg' has no partner"):
        load(folder)
    with pytest.raises(UserError, match='needs the sub-directories images and maps'):
        data.load(f'maps:{folder / "images"}')
