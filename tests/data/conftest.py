"""Images and directories of images for the tests of the data room."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load


@pytest.fixture(scope='module')
def load_quietly(tmp_path_factory):
    """`load` without a progress bar and with a cache of the test module."""
    cache_dir = tmp_path_factory.mktemp('cache')
    return lambda name, **options: load(name, cache_dir=cache_dir, show_progress=False, **options)


@pytest.fixture
def write_image():
    """A function that writes an array (or an image) to a path, whose directories it makes."""

    def write(path, image, **kwargs):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image, np.uint8))
        image.save(path, **kwargs)

    return write


@pytest.fixture
def folder(tmp_path, write_image):
    """A directory of two classes, 'a' with two 4x6 images and 'b' with one, of colours that tell them apart."""
    root = tmp_path / 'pictures'
    for name, value in (('a/1.png', 10), ('a/deeper/2.png', 20), ('b/3.png', 30)):
        write_image(root / name, np.full((4, 6, 3), (value, 0, 255)))
    return root
