"""Images in NumPy files."""

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.archive import load_archive

IMAGES = np.random.default_rng(0).integers(0, 256, (21, 6, 6, 1), np.uint8)
LABELS = np.arange(21, dtype=np.int32) % 3


def test_an_npz_is_a_data_set(tmp_path):
    np.savez(tmp_path / 'a.npz', images=IMAGES, labels=LABELS, other=np.zeros(3))
    np.savez(tmp_path / 'b.npz', IMAGES)
    with_labels, without = load_archive(tmp_path / 'a.npz'), load_archive(tmp_path / 'b.npz')
    np.testing.assert_array_equal(with_labels.examples, IMAGES)
    np.testing.assert_array_equal(without.examples, IMAGES)
    np.testing.assert_array_equal(with_labels.labels, LABELS)
    assert (with_labels.num_classes, without.num_classes) == (3, None)
    assert with_labels.fingerprint != without.fingerprint


def test_adm_saves_images_and_classes_without_names_and_moments_beside_them(tmp_path):
    np.savez(tmp_path / 'samples.npz', IMAGES, LABELS)
    np.savez(tmp_path / 'reference.npz', arr_0=IMAGES, mu=np.zeros(4), sigma=np.eye(4))
    samples, reference = load_archive(tmp_path / 'samples.npz'), load_archive(tmp_path / 'reference.npz')
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.num_classes == 3
    for data in (samples, reference):
        np.testing.assert_array_equal(data.examples, IMAGES)
    assert reference.labels is None


def test_an_npy_holds_images_alone(tmp_path):
    np.save(tmp_path / 'a.npy', IMAGES)
    data = load_archive(tmp_path / 'a.npy')
    np.testing.assert_array_equal(data.examples, IMAGES)
    assert (data.name, data.labels) == ('a.npy', None)


@pytest.mark.parametrize(
    ('arrays', 'sentence'),
    [
        ({}, r'contains the arrays \(none\): call the array of images "images"'),
        ({'a': IMAGES, 'b': IMAGES}, 'contains the arrays a, b: call the array of images "images"'),
        ({'images': IMAGES / 255.0}, 'metrics take uint8'),
        ({'images': IMAGES, 'labels': LABELS[:3]}, 'give one whole number per image'),
        ({'images': np.array([{}])}, 'cannot be read as a NumPy file'),
    ],
)
def test_an_npz_without_images_gets_one_sentence(tmp_path, arrays, sentence):
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(UserError, match=sentence):
        load_archive(tmp_path / 'a.npz')


def test_a_torn_or_missing_file_gets_one_sentence(tmp_path):
    np.savez(tmp_path / 'a.npz', images=IMAGES)
    (tmp_path / 'a.npz').write_bytes((tmp_path / 'a.npz').read_bytes()[:300])
    for name in ('a.npz', 'gone.npy'):
        with pytest.raises(UserError, match=f'{name} cannot be read as a NumPy file'):
            load_archive(tmp_path / name)


@pytest.mark.parametrize('content', [b'', b'\x89PNG\r\n\x1a\n', b'some text'])
def test_what_is_no_numpy_file_is_told_so_whatever_its_name(tmp_path, content):
    (tmp_path / 'a.npz').write_bytes(content)
    with pytest.raises(UserError, match=r'a\.npz is not a NumPy file, despite its name:'):
        load_archive(tmp_path / 'a.npz')


def test_an_npy_renamed_npz_is_read_as_what_it_is(tmp_path):
    np.save(tmp_path / 'a.npy', IMAGES)
    (tmp_path / 'a.npy').rename(tmp_path / 'a.npz')
    np.testing.assert_array_equal(load_archive(tmp_path / 'a.npz').examples, IMAGES)
