"""The network against NumPy in float64, the preprocessing against Pillow, and files that are kept, lost or damaged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.evaluation.features.classifier import (
    Classifier,
    ClassifierNetwork,
    classifier,
    classifier_path,
    extractor,
    load_classifier,
    save_classifier,
    weights_hash,
)

SHAPE = (14, 14, 3)


@pytest.fixture(scope='module')
def trained():
    """A classifier of random weights and statistics."""
    network = ClassifierNetwork(num_classes=5, widths=(4, 6))
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *SHAPE)))
    random = np.random.default_rng(0)

    def draw(path, leaf):
        positive = path[-1].key in ('var', 'scale')
        values = random.uniform(0.5, 2.0, leaf.shape) if positive else 0.3 * random.normal(size=leaf.shape)
        return values.astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    return Classifier(network, variables, SHAPE, 'toys', 0.9931, '1000 images of toys test', {'seed': 0})


@pytest.fixture(scope='module')
def images():
    return np.random.default_rng(1).integers(0, 256, (6, *SHAPE), dtype=np.uint8)


def _apply(made, images):
    return jax.tree.map(np.asarray, jax.jit(made.apply)(images))


def _convolution(inputs, kernel, stride, pads):
    inputs = np.pad(inputs, ((0, 0), pads, pads, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(inputs, kernel.shape[:2], (1, 2))[:, ::stride, ::stride]
    return np.einsum('nhwcij,ijcd->nhwd', windows, kernel)


def _reference(variables, images):
    """The network in float64, its layers counted in the order in which they come."""
    params, stats = variables['params'], variables['batch_stats']

    def layer(number, inputs, stride=1, pads=(1, 1)):
        hidden = _convolution(inputs, params[f'Conv_{number}']['kernel'].astype(np.float64), stride, pads)
        name = f'BatchNorm_{number}'
        hidden = (hidden - stats[name]['mean']) / np.sqrt(stats[name]['var'].astype(np.float64) + 1e-5)
        return np.maximum(hidden * params[name]['scale'] + params[name]['bias'], 0)

    hidden = layer(0, images / 127.5 - 1, 2)
    hidden = hidden + layer(1, hidden)
    assert hidden.shape[1] == 7
    hidden = np.pad(hidden, ((0, 0), (0, 1), (0, 1), (0, 0)), 'edge')
    hidden = sum(hidden[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    hidden = layer(2, hidden)
    hidden = hidden + layer(3, hidden)
    features = hidden.mean((1, 2))
    return features, features @ params['Dense_0']['kernel'] + params['Dense_0']['bias']


def test_the_features_and_logits_are_those_of_a_float64_network(trained, images):
    found, (features, logits) = _apply(extractor(trained), images), _reference(trained.variables, images)
    assert found.features.shape == (6, 6)
    np.testing.assert_allclose(found.features, features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-5)


def test_a_file_gives_back_the_same_features_and_identity(trained, images, tmp_path):
    save_classifier(trained, tmp_path / 'toys.npz')
    loaded = load_classifier(tmp_path / 'toys.npz')
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, trained.variables)
    assert loaded._replace(variables=None) == trained._replace(variables=None)
    made = classifier(tmp_path / 'toys.npz')
    np.testing.assert_array_equal(_apply(made, images).features, _apply(extractor(trained), images).features)
    assert made.name == 'classifier-toys'
    assert made.identity == (
        f'classifier-toys, unverified weights {weights_hash(trained.variables)}, 99.31% right of 1000 images of toys '
        'test, trained at 14x14x3, 6 features after pooling'
    )


def test_the_hash_covers_every_array_and_its_name(trained):
    flat = flatten_dict(trained.variables, sep='/')
    changed = [{**flat, name: np.nextafter(array, np.float32(9))} for name, array in flat.items()]
    changed.append({name.replace('kernel', 'kernels'): array for name, array in flat.items()})
    hashes = {weights_hash(one) for one in (flat, *changed)}
    assert len(hashes) == len(changed) + 1
    assert all(len(one) == 12 for one in hashes)


def test_a_flipped_byte_of_the_weights_is_noticed(trained, tmp_path):
    path = tmp_path / 'toys.npz'
    save_classifier(trained, path)
    whole = path.read_bytes()
    array = trained.variables['params']['Conv_2']['kernel'].tobytes()
    place = whole.index(array) + len(array) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(
        UserError, match=r"toys.npz' is not a classifier, or is damaged .* train it again with python -m "
    ):
        load_classifier(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match='is not a classifier, or is damaged'):
        load_classifier(path)


def test_other_weights_under_the_same_description_are_noticed(trained, tmp_path):
    path = tmp_path / 'toys.npz'
    save_classifier(trained, path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays['params/Dense_0/bias'] = arrays['params/Dense_0/bias'] + np.float32(1e-3)
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=f'the weights have the hash .*, not {weights_hash(trained.variables)}'):
        load_classifier(path)


def test_a_missing_classifier_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(
        UserError, match=r"no classifier of 'mnist' in '.*classifiers': .*tools.train_classifier mnist\."
    ):
        classifier('mnist', cache_dir=tmp_path)
    with pytest.raises(UserError, match=r'train_classifier mnist --size 32 --channels 3\.'):
        classifier('mnist', size=32, channels=3, cache_dir=tmp_path)
    with pytest.raises(UserError, match=r"no classifier '.*lost.npz': give a file"):
        classifier(tmp_path / 'lost.npz')


def test_size_channels_and_odd_names_are_in_the_files_name(tmp_path):
    names = [
        classifier_path(*arguments, **options, cache_dir=tmp_path).relative_to(tmp_path).as_posix()
        for arguments, options in ((['mnist'], {}), (['mnist'], {'size': 32}), (['folder:/a b'], {'channels': 1}))
    ]
    assert names == [f'classifiers/{name}.npz' for name in ('mnist', 'mnist-size32', 'folder_a_b-fc755de6-channels1')]


def test_classifiers_of_two_folders_never_meet(tmp_path, monkeypatch):
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path)
    paths = [classifier_path(name) for name in ('folder:a/b', 'folder:a_b', 'folder:a:b')]
    again = classifier_path(f'folder:{tmp_path}/a/b/')
    monkeypatch.chdir('other')
    assert len({*paths, classifier_path('folder:a/b')}) == 4
    assert again == paths[0]


@pytest.mark.parametrize('size', [20, 9])
def test_images_of_another_size_are_resized_as_pillow_does(trained, size):
    images = np.random.default_rng(2).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    resized = np.stack(
        [
            [
                np.asarray(Image.fromarray(image[..., channel].astype(np.float32)).resize((14, 14), Image.BILINEAR))
                for channel in range(3)
            ]
            for image in images
        ]
    ).transpose(0, 2, 3, 1)
    made = extractor(trained, (size, size, 3))
    features, logits = _reference(trained.variables, resized)
    found = _apply(made, images)
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-4)
    assert made.identity.endswith(f', resize=bilinear-antialias {size}x{size} to 14x14')


def test_grey_is_repeated_and_colours_are_averaged(trained, images):
    grey = images[..., :1]
    made = extractor(trained, (14, 14, 1))
    np.testing.assert_allclose(
        _apply(made, grey).features, _reference(trained.variables, grey.repeat(3, -1))[0], rtol=1e-5, atol=1e-6
    )
    assert made.identity.endswith(', channels=repeated 1 to 3')
    first = trained.variables['params']['Conv_0']
    summed = {**trained.variables['params'], 'Conv_0': {'kernel': first['kernel'].sum(2, keepdims=True)}}
    of_grey = trained._replace(variables={**trained.variables, 'params': summed}, shape=(14, 14, 1))
    made = extractor(of_grey, SHAPE)
    mean = images.astype(np.float64).mean(-1, keepdims=True)
    np.testing.assert_allclose(
        _apply(made, images).features, _reference(of_grey.variables, mean)[0], rtol=1e-5, atol=1e-6
    )
    assert made.identity.endswith(', channels=averaged 3 to 1')


def test_images_that_are_not_rounded_yet_are_seen_as_bytes_are(trained, images):
    made = extractor(trained)
    seen, wanted = made.apply(images.astype(np.float32)), made.apply(images)
    np.testing.assert_allclose(seen.features, wanted.features, rtol=1e-6)


def test_images_of_a_shape_that_was_not_said_are_refused(trained, images):
    made = extractor(trained)
    with pytest.raises(UserError, match=r'takes uint8 images 14x14x3, not uint8 of shape \[6, 7, 14, 3\]: create'):
        made.apply(images[:, ::2])
    with pytest.raises(UserError, match='takes uint8 images 14x14x3, not int32'):
        made.apply(images.astype(np.int32))
    with pytest.raises(UserError, match=r'A classifier of 3 channels cannot process images of 2 channels, only of 1\.'):
        extractor(trained, (14, 14, 2))
