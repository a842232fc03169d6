"""TFDS data sets: the embedded digits, data sets made here, and the real ones where they are at hand."""

import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn.datasets
import tensorflow_datasets as tfds
from PIL import Image

from gan_jax.data import load
from gan_jax.data.tfds_source import download_and_prepare
from gan_jax.errors import UserError


def real(name):
    """Skips a test where this data set is not under TFDS_DATA_DIR."""
    present = (pathlib.Path(os.environ.get('TFDS_DATA_DIR', '/nowhere')) / name).is_dir()
    return pytest.mark.skipif(not present, reason=f'{name} is not under TFDS_DATA_DIR')


def png(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, 'png')
    return file.getvalue()


def prepare(directory, name, features, examples, supervised_keys=None, splits=('train', 'test')):
    """Prepares a data set of the given features and examples of its first split; returns the directory of its files.

    The other splits have the first of the examples.
    """

    def info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=features, supervised_keys=supervised_keys, disable_shuffling=True
        )

    members = {
        'VERSION': tfds.core.Version('1.2.3'),
        '_info': info,
        '_split_generators': lambda self, _: {
            split: enumerate(examples[:1] if i else examples) for i, split in enumerate(splits)
        },
        '_generate_examples': lambda self: None,
        '__module__': __name__,
    }
    with tfds.core.registered.skip_registration():
        builder = type(name.title(), (tfds.core.GeneratorBasedBuilder,), members)(data_dir=directory)
    builder.download_and_prepare(file_format='array_record')
    return pathlib.Path(builder.data_dir)


def load_from(directory, name='pictures', **kwargs):
    return load(name, data_dir=directory, cache_dir=directory / 'cache', show_progress=False, **kwargs)


@pytest.fixture
def pictures(tmp_path):
    """A data set of twenty 2x3 images of value i, with the class i % 4; returns the directory of its files."""
    features = {
        'image': tfds.features.Image(shape=(2, 3, 1)),
        'label': tfds.features.ClassLabel(num_classes=4),
        'another_label': tfds.features.ClassLabel(num_classes=2),
        'another_image': tfds.features.Image(shape=(None, None, 3)),
    }
    examples = [
        {
            'image': png(np.full((2, 3), i)),
            'label': i % 4,
            'another_label': 0,
            'another_image': png(np.zeros((1, 1, 3))),
        }
        for i in range(20)
    ]
    return prepare(tmp_path, 'pictures', tfds.features.FeaturesDict(features), examples, ('image', 'label'))


def test_supervised_keys_say_which_image_and_which_label(pictures, tmp_path):
    data = load_from(tmp_path)
    assert data.shape == (2, 3, 1)
    np.testing.assert_array_equal(data.examples[:, 1, 2, 0], np.arange(20))
    np.testing.assert_array_equal(data.labels, np.arange(20) % 4)
    assert data.num_classes == 4
    with pytest.warns(UserWarning, match="the images of 'pictures' are grey, judging from 20 of them:"):
        assert load_from(tmp_path, channels=3, size=4).shape == (4, 4, 3)


def test_versions_and_parts_of_splits(pictures, tmp_path):
    part = load_from(tmp_path, name='pictures:1.2.3', split='train[:10%]+test')
    np.testing.assert_array_equal(part.examples[:, 0, 0, 0], [0, 1, 0])
    assert part.fingerprint != load_from(tmp_path).fingerprint


def test_the_splits_of_two_domains(tmp_path):
    features = tfds.features.FeaturesDict(
        {'image': tfds.features.Image(shape=(2, 3, 1)), 'label': tfds.features.ClassLabel(names=['A', 'B'])}
    )
    examples = [{'image': png(np.full((2, 3), i)), 'label': 0} for i in range(10)]
    prepare(tmp_path, 'views', features, examples, splits=('testB', 'trainA', 'trainB', 'testA'))
    both = load_from(tmp_path, name='views', split='test')
    assert (both.name, both.split, len(both), len(both.groups['a'])) == ('views', 'test', 10, 1)
    half = load_from(tmp_path, name='views', split='test[50%:]')
    np.testing.assert_array_equal(half.examples[:, 0, 0, 0], [5, 6, 7, 8, 9])
    one = load_from(tmp_path, name='views', split='testB')
    assert one.groups == {}
    assert len({both.fingerprint, half.fingerprint, one.fingerprint}) == 3
    with pytest.raises(UserError, match="'views' has no split 'validation'; it has testB, trainA, trainB, testA"):
        load_from(tmp_path, name='views', split='validation')


def test_without_supervised_keys_the_first_image_and_class_label_count(tmp_path):
    features = {
        'number': tfds.features.Scalar(np.int64),
        'picture': tfds.features.Image(shape=(None, None, 3)),
        'kind': tfds.features.ClassLabel(num_classes=2),
    }
    examples = [{'number': 5, 'picture': png(np.full((3, 3, 3), i)), 'kind': 1 - i} for i in range(2)]
    prepare(tmp_path, 'kinds', tfds.features.FeaturesDict(features), examples)
    data = load_from(tmp_path, name='kinds')
    np.testing.assert_array_equal(data.examples[:, 0, 0], [[0] * 3, [1] * 3])
    np.testing.assert_array_equal(data.labels, [1, 0])


def test_fingerprint_follows_the_examples_not_the_files(tmp_path):
    features = tfds.features.FeaturesDict({'image': tfds.features.Image(shape=(2, 2, 1))})
    examples = [{'image': png(np.full((2, 2), i))} for i in range(3)]
    fingerprints = []
    for directory, content in (('a', examples), ('b', examples), ('c', examples[::-1])):
        prepare(tmp_path / directory, 'pictures', features, content)
        data = load_from(tmp_path / directory)
        assert data.labels is None
        assert data.num_classes is None
        fingerprints.append(data.fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def sentence(directory, name='pictures', **kwargs):
    with pytest.raises(UserError) as caught:
        load_from(directory, name=name, **kwargs)
    return str(caught.value)


def test_sentences_about_names(tmp_path):
    assert sentence(tmp_path, name='celeb_a') == (
        f"the TFDS data set 'celeb_a' is not prepared in '{tmp_path}': run pip install 'gan_jax[tensorflow]' and "
        f'python -m gan_jax.tools.prepare_dataset celeb_a --data_dir {tmp_path}, or give the directory that contains '
        'it by data_dir or TFDS_DATA_DIR.'
    )
    assert sentence(tmp_path, name='Fashon_mnist') == (
        f"there is no data set 'Fashon_mnist', neither in '{tmp_path}' nor in TFDS: did you mean fashion_mnist?"
    )
    assert 'did you mean digits' in sentence(tmp_path, name='digitz')
    assert sentence(tmp_path, name='qqqqqqqq') == (
        f"there is no data set 'qqqqqqqq', neither in '{tmp_path}' nor in TFDS: give folder:/path or a TFDS "
        'name; python -m gan_jax.tools.list data shows those on this machine.'
    )
    assert sentence(tmp_path, name='my data') == (
        "'my data' is not the name of a data set; write name, name/config or name:1.0.0."
    )


def test_sentences_about_a_prepared_data_set(pictures, tmp_path):
    assert sentence(tmp_path, split='validation') == "'pictures' has no split 'validation'; it has train, test."
    assert sentence(tmp_path, split='train[:1%]') == (
        "the split 'train[:1%]' of 'pictures' is empty: choose a larger one."
    )
    assert sentence(tmp_path, split='train[5:3]') == (
        "the split 'train[5:3]' of 'pictures' is empty: choose a larger one."
    )
    info = pictures / 'dataset_info.json'
    info.write_text(info.read_text().replace('array_record', 'tfrecord'))
    assert sentence(tmp_path) == (
        "'pictures' is prepared as tfrecord, not as array_record: with TensorFlow installed, run tfds convert_format "
        f'--dataset_version_dir={pictures} --out_file_format=array_record.'
    )


def test_another_version_than_the_prepared_one_is_not_prepared(pictures, tmp_path):
    assert "there is no data set 'pictures:9.9.9'" in sentence(tmp_path, name='pictures:9.9.9')


def delete(path):
    path.unlink()


def tear(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    """One bit: of the first image, or of the first key."""
    data = bytearray(path.read_bytes())
    place = data.index(b'IHDR') if path.name.endswith('of-00001') else data.index(b'"')
    data[place + 1] ^= 1
    path.write_bytes(data)


def make_directory(path):
    path.unlink()
    path.mkdir()


def hold_null(path):
    path.write_text('null')


DAMAGES = [delete, tear, flip, make_directory, hold_null]
FILES = ['dataset_info.json', 'features.json', 'train.array_record-00000-of-00001']


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('file', FILES)
def test_damaged_files_of_a_users_own_get_one_sentence(pictures, tmp_path, file, damage):
    load_from(tmp_path)  # it is found although all is in the cache
    [path] = pictures.glob(f'*{file}')
    damage(path)
    told = sentence(tmp_path)
    assert re.match(
        r"the data set 'pictures' in '.*' is damaged \(.+\): copy its files again, or delete them and ", told
    )
    assert '\n' not in told


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('file', FILES)
def test_damaged_digits_are_prepared_again_with_a_warning(prepared_digits, tmp_path, file, damage):
    shutil.copytree(prepared_digits, tmp_path, dirs_exist_ok=True)
    whole = load('digits', cache_dir=tmp_path, show_progress=False)
    [path] = (tmp_path / 'tfds').rglob(f'*{file}')
    damage(path)
    told = r'^The prepared digits .*/tfds/digits/1.0.0 are damaged \(.+\); rebuilding them\.$'
    with pytest.warns(UserWarning, match=told):
        again = load('digits', cache_dir=tmp_path, show_progress=False)
    np.testing.assert_array_equal(again.examples, whole.examples)
    assert again.fingerprint == whole.fingerprint
    assert not list((tmp_path / 'tfds').rglob('*incomplete*'))
    with warnings.catch_warnings(action='error'):
        load('digits', cache_dir=tmp_path, show_progress=False)


@pytest.fixture(scope='module')
def prepared_digits(tmp_path_factory):
    """A cache that holds the digits."""
    directory = tmp_path_factory.mktemp('digits')
    load('digits', cache_dir=directory, show_progress=False)
    return directory


def test_digits_on_a_full_disk_get_one_sentence(tmp_path):
    """The system refuses to let a file grow, as it does on a full disk."""
    code = f"""
import resource, signal
import sklearn.datasets, tensorflow_datasets
from gan_jax.data.digits import digits_source
from gan_jax.errors import UserError
import pathlib
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    digits_source(pathlib.Path({str(tmp_path)!r}), 'train')
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=pathlib.Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert re.fullmatch(
        rf"the digits cannot be written to '{tmp_path}' \(.*too large.*\): free some space or make it writable, or "
        r'choose another directory by cache_dir or XDG_CACHE_HOME\.\n',
        done.stdout,
    ), done
    assert not list(tmp_path.rglob('*incomplete*'))


def test_sentences_about_features(tmp_path):
    text = tfds.features.FeaturesDict({'text': tfds.features.Text(), 'label': tfds.features.ClassLabel(num_classes=2)})
    prepare(tmp_path, 'words', text, [{'text': 'a', 'label': 0}])
    assert sentence(tmp_path, name='words') == "'words' has no images, only label, text: choose an image data set."
    whole = png(np.random.default_rng(0).integers(0, 256, (9, 9, 3)))
    cut = tfds.features.FeaturesDict({'image': tfds.features.Image(shape=(None, None, 3))})
    prepare(tmp_path, 'cut', cut, [{'image': whole}, {'image': whole[: len(whole) // 2]}])
    assert sentence(tmp_path, name='cut').startswith("example 1 of 'cut' (train) cannot be read as an image (")
    prepare(tmp_path, 'sizes', cut, [{'image': whole}, {'image': png(np.zeros((7, 8, 3)))}])
    assert sentence(tmp_path, name='sizes') == (
        "the images of 'sizes' differ in size (example 0 of 'sizes' (train) is 9x9, example 1 of 'sizes' (train) is "
        '7x8): set the size to resample them to, by --config.data.size=64 in training, elsewhere by --size 64.'
    )
    assert load_from(tmp_path, name='sizes', size=5).shape == (5, 5, 3)
    [images] = load_from(tmp_path, name='sizes', mixed=True).examples.batches(2)
    assert [image.shape for image in images] == [(9, 9, 3), (7, 8, 3)]


def test_sentences_about_preparing(tmp_path):
    with pytest.raises(UserError, match=r"^there is no data set 'fashon_mnist', .* did you mean fashion_mnist\?$"):
        download_and_prepare('fashon_mnist', str(tmp_path))
    with pytest.raises(UserError, match=r"^TFDS cannot prepare 'cifar10:9.9.9' in '.*': .*9\.9\.9"):
        download_and_prepare('cifar10:9.9.9', str(tmp_path))


def test_digits_are_those_of_scikit_learn(tmp_path):
    original = sklearn.datasets.load_digits()
    train = load('digits', cache_dir=tmp_path, show_progress=False)
    test = load('digits', split='test', cache_dir=tmp_path, show_progress=False)
    assert train.shape == test.shape == (8, 8, 1)
    assert (len(train), len(test), train.num_classes) == (1500, 297, 10)
    values = np.concatenate([train.examples, test.examples])[..., 0]
    # 0, 1, 8 and 16 of 16 are 0, 15.9, 127.5 and 255 of 255.
    for value, pixel in ((0, 0), (1, 16), (8, 128), (16, 255)):
        assert set(values[original.images == value]) == {pixel}
    np.testing.assert_array_equal(np.rint(values / 255 * 16), original.images)
    np.testing.assert_array_equal(np.concatenate([train.labels, test.labels]), original.target)
    assert load('digits', size=32, cache_dir=tmp_path, show_progress=False).shape == (32, 32, 1)


def test_digits_print_nothing(tmp_path, capfd):
    load('digits', cache_dir=tmp_path, show_progress=False)
    assert capfd.readouterr() == ('', '')


def test_digits_where_nothing_can_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(
        UserError, match=r"^the digits cannot be written to '.*/file/tfds' \(.*\): free some space or make it writable"
    ):
        load('digits', cache_dir=tmp_path / 'file')


def test_importing_and_loading_bring_in_neither_tensorflow_nor_a_device(tmp_path):
    code = f"""
import sys, threading
import gan_jax.data
assert 'tensorflow_datasets' not in sys.modules and threading.active_count() == 1
gan_jax.data.load('digits', cache_dir={str(tmp_path)!r}, show_progress=False)
assert 'tensorflow_datasets' in sys.modules and 'tensorflow' not in sys.modules
import jax
assert not jax._src.xla_bridge._backends
"""
    subprocess.run([sys.executable, '-c', code], check=True, cwd=pathlib.Path(__file__).parents[2])


@real('fashion_mnist')
def test_fashion_mnist(tmp_path):
    data = load('fashion_mnist', split='test', cache_dir=tmp_path, show_progress=False)
    assert data.examples.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(data.labels), [1000] * 10)
    # Decoded by TFDS itself.
    source = tfds.data_source('fashion_mnist', split='test', data_dir=os.environ['TFDS_DATA_DIR'])
    for index in (0, 4999, 9999):
        np.testing.assert_array_equal(data.examples[index], source[index]['image'])
        assert data.labels[index] == source[index]['label']


@real('cifar10')
def test_cifar10(tmp_path):
    data = load('cifar10', split='test[:1000]', cache_dir=tmp_path, show_progress=False)
    assert data.examples.shape == (1000, 32, 32, 3)
    grey = load('cifar10', split='test[:1000]', size=16, channels=1, cache_dir=tmp_path, show_progress=False)
    assert grey.examples.shape == (1000, 16, 16, 1)
    luma = data.examples @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(grey.examples.mean(), luma.mean(), atol=0.5)


@real('tf_flowers')
def test_tf_flowers(tmp_path):
    data = load('tf_flowers', split='train[:100]', size=64, cache_dir=tmp_path, show_progress=False)
    assert data.examples.shape == (100, 64, 64, 3)
    assert data.num_classes == 5
