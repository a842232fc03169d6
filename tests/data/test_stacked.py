"""Stacks of three grey images."""

import os
import pathlib

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.data.stacked import stack, stacked_labels
from gan_jax.errors import UserError

MNIST = pathlib.Path(os.environ.get('TFDS_DATA_DIR', '/nowhere')) / 'mnist'


def test_labels_by_hand():
    labels = stacked_labels(np.array([[0, 0, 0], [1, 2, 3], [9, 9, 9]]), 10)
    np.testing.assert_array_equal(labels, [0, 123, 999])
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(stacked_labels(np.array([[2, 1, 0]]), 3), [2 * 9 + 3])


def test_each_channel_is_an_image_of_the_class_that_the_label_names():
    images = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)
    examples, labels = stack(images, np.arange(10), 10, seed='train', num_examples=500)
    assert (examples.shape, examples.dtype) == ((500, 2, 2, 3), np.uint8)
    for channel, classes in enumerate((labels // 100, labels // 10 % 10, labels % 10)):
        np.testing.assert_array_equal(examples[..., channel], images[classes, ..., 0])


def test_triples_are_independent():
    _, labels = stack(np.zeros((1000, 1, 1, 1), np.uint8), np.arange(1000) % 10, 10, seed='train')
    assert len(labels) == 60_000
    counts = np.bincount(labels, minlength=1000)
    # Chi-squared with 999 degrees of freedom: mean 999, deviation 45.
    assert abs(((counts - 60) ** 2 / 60).sum() - 999) < 5 * 45


def test_stacked_digits(load_quietly):
    digits, data = load_quietly('digits'), load_quietly('stacked:digits')
    assert (data.name, data.split, len(data)) == ('stacked:digits', 'train', 60_000)
    assert (data.shape, data.num_classes) == ((8, 8, 3), 1000)
    assert (data.examples.dtype, data.labels.dtype) == (np.uint8, np.int32)
    assert not data.examples.flags.writeable
    classes = {image.tobytes(): label for image, label in zip(digits.examples, digits.labels, strict=True)}
    for example, label in zip(data.examples[:200], data.labels[:200], strict=True):
        a, b, c = (classes[np.ascontiguousarray(example[..., i]).tobytes()] for i in range(3))
        assert label == 100 * a + 10 * b + c
    assert len(np.unique(data.labels)) == 1000


def test_the_same_each_time_and_another_for_each_split(load_quietly):
    first, again, test = (load_quietly('stacked:digits', split=split) for split in ('train', 'train', 'test'))
    np.testing.assert_array_equal(first.examples, again.examples)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.fingerprint == again.fingerprint
    assert not np.array_equal(first.labels, test.labels)
    assert len({first.fingerprint, test.fingerprint, load_quietly('digits').fingerprint}) == 3


def test_size_and_channels_are_those_of_the_images_before_stacking(load_quietly, folder):
    data = load_quietly('stacked:digits', size=4)
    assert data.shape == (4, 4, 3)
    assert data.fingerprint != load_quietly('stacked:digits').fingerprint
    grey = load_quietly(f'stacked:folder:{folder}', channels=1)
    assert (grey.shape, grey.num_classes) == ((4, 6, 3), 8)
    assert set(np.unique(grey.labels)) == set(range(8))


@pytest.mark.skipif(not MNIST.is_dir(), reason='mnist is not under TFDS_DATA_DIR')
def test_stacked_mnist():
    data = load('stacked:mnist', split='test', show_progress=False)
    assert (data.examples.shape, data.num_classes) == ((60_000, 28, 28, 3), 1000)
    assert len(np.unique(data.labels)) == 1000
    # The mean pixel of MNIST's test digits is 0.1325; a channel is as good as another.
    np.testing.assert_allclose(data.examples[::10].mean(axis=(0, 1, 2)) / 255, 0.1325, atol=0.003)


def test_sentences(load_quietly, folder, tmp_path, write_image):
    with pytest.raises(
        UserError,
        match=r"^the images of 'folder:.*' are in colour, and only grey ones can be stacked: set channels to 1",
    ):
        load_quietly(f'stacked:folder:{folder}')
    write_image(tmp_path / 'flat' / '1.png', np.zeros((2, 2)))
    with pytest.raises(
        UserError, match=r"^'folder:.*flat' has examples without a class, but the modes of stacked images are "
    ):
        load_quietly(f'stacked:folder:{tmp_path / "flat"}')
    with pytest.raises(UserError, match=r"^'ring' is a set of points, and only images can be stacked"):
        load_quietly('stacked:ring')
    with pytest.raises(
        UserError,
        match=r"^'stacked:digits' stacks grey images, which always makes 3 channels: set channels to 1 or None",
    ):
        load_quietly('stacked:digits', channels=3)
    with pytest.raises(UserError, match=r"^there is no data set 'digit'"):
        load_quietly('stacked:digit')
