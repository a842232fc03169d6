"""Inception's weights: files of gan_jax's own, TensorFlow's names, the download, and the command."""

import hashlib
import io
import sys
import types
import urllib.error

import numpy as np
import pytest
from random_inception import GOLDEN

from gan_jax.errors import UserError
from gan_jax.evaluation.features import inception_graph, inception_weights
from gan_jax.evaluation.features.inception import inception
from gan_jax.evaluation.features.inception_network import parameter_shapes
from tools import convert_inception


@pytest.fixture(scope='module')
def arrays():
    """All names and shapes, with numbers that tell them apart, as broadcast arrays that take no memory."""
    shapes = inception_weights.published_shapes().items()
    return {name: np.broadcast_to(np.float32(number), shape) for number, (name, shape) in enumerate(shapes)}


@pytest.fixture(scope='module')
def weights(arrays):
    return inception_weights.checked_weights(arrays, 'the test')


@pytest.fixture(scope='module')
def saved(weights, tmp_path_factory):
    return inception_weights.save_inception_weights(weights, tmp_path_factory.mktemp('weights') / 'inception.npz')


def refusal(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    return str(caught.value)


def test_names_and_shapes_are_the_published_ones():
    shapes = inception_weights.published_shapes()
    assert len(shapes) == 94 * 5 + 2
    assert shapes['Conv2d_1a_3x3.conv.weight'] == (32, 3, 3, 3)
    assert shapes['Mixed_5b.branch5x5_2.conv.weight'] == (64, 48, 5, 5)
    assert shapes['Mixed_6c.branch7x7dbl_3.conv.weight'] == (160, 160, 1, 7)
    assert shapes['Mixed_7b.branch_pool.bn.running_var'] == (192,)
    assert shapes['fc.weight'] == (1008, 2048)
    numbers = sum(np.prod(shape) for name, shape in shapes.items() if 'running' not in name)
    assert numbers == 23_850_960  # as torch-fidelity's network counts its parameters


def test_weights_come_back_as_they_were_written(saved, weights):
    loaded = inception_weights.load_inception_weights(saved)
    assert loaded.sha256 == weights.sha256
    assert all(np.array_equal(loaded.arrays[name], array) for name, array in weights.arrays.items())


def test_the_checksum_is_of_names_and_numbers(weights):
    digest = hashlib.sha256()
    for name in sorted(weights.arrays):
        digest.update(name.encode() + b'\0' + weights.arrays[name].tobytes())
    assert weights.sha256 == digest.hexdigest()


def test_missing_weights_name_both_ways(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert not inception_weights.has_inception_weights()
    path = tmp_path / 'gan_jax' / 'inception-v3-2015-12-05.npz'
    assert refusal(inception_weights.load_inception_weights) == (
        f"Inception's weights are not in {path}: create the file with 'python -m gan_jax.tools.convert_inception "
        "FILE' from pytorch-fid's, torch-fidelity's or TensorFlow's file, or download the weights with 'python -m "
        "gan_jax.tools.convert_inception --download'."
    )


def test_damaged_files_are_refused(saved, tmp_path):
    data = bytearray(saved.read_bytes())
    path = tmp_path / 'damaged.npz'
    flipped = data.copy()
    flipped[len(data) // 2] ^= 1
    for damaged in (b'', b'no archive', data[: len(data) // 2], flipped):
        path.write_bytes(damaged)
        sentence = f'{path} is not a file of tools.convert_inception, or is damaged: create it again.'
        assert refusal(inception_weights.load_inception_weights, path) == sentence


def test_other_numbers_have_another_checksum(weights, tmp_path):
    """Where the archive's own checksums are right."""
    changed = {**weights.arrays, 'fc.bias': weights.arrays['fc.bias'] + 1}
    path = inception_weights.save_inception_weights(weights._replace(arrays=changed), tmp_path / 'changed.npz')
    assert 'do not match their checksum: create the file' in refusal(inception_weights.load_inception_weights, path)


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({'fc.bias': None}, "it lacks 'fc.bias'."),
        ({'AuxLogits.fc.bias': np.zeros(3)}, "it has, beside them, 'AuxLogits.fc.bias'."),
        ({'fc.bias': np.zeros(1000)}, "'fc.bias' has shape [1000] and not [1008]."),
    ],
)
def test_weights_of_another_network_are_refused(arrays, change, fault):
    changed = {name: array for name, array in (arrays | change).items() if array is not None}
    sentence = refusal(inception_weights.checked_weights, changed, 'other.pth')
    assert sentence == f"other.pth does not contain Inception's weights of 2015-12-05: {fault}"


def test_a_state_dict_of_another_network_is_refused():
    sentence = refusal(inception_weights.convert, GOLDEN / 'inception_zip.pth', True)
    assert 'inception_zip.pth does not contain' in sentence


def test_only_the_published_file_is_taken_unless_another_is_asked_for(monkeypatch, tmp_path, arrays):
    """Of the right names and shapes."""
    path = tmp_path / 'own.pth'
    path.write_bytes(b'of the right names and shapes')
    monkeypatch.setattr(inception_weights, 'read_torch_file', lambda _: arrays)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert refusal(inception_weights.convert, path) == (
        f"{path} is not known to contain Inception's weights of 2015-12-05: its SHA-256 is {found}, but the "
        f'published file has {inception_weights.SHA256}; download the published file, or accept this one by '
        f'--unverified, which every protocol will state.'
    )
    assert inception_weights.convert(path, unverified=True).source == 'unverified'
    monkeypatch.setattr(inception_weights, 'SHA256', found)
    published = inception_weights.convert(path)
    assert published.source == inception_weights.convert(path, unverified=True).source == 'published'
    saved = inception_weights.save_inception_weights(published, tmp_path / 'published.npz')
    assert inception_weights.load_inception_weights(saved).source == 'published'


def test_weights_that_do_not_say_where_they_are_from_are_unverified(saved, tmp_path):
    with np.load(saved) as archive:
        arrays = dict(archive)
    del arrays['source']
    np.savez(tmp_path / 'older.npz', **arrays)
    assert inception_weights.load_inception_weights(tmp_path / 'older.npz').source == 'unverified'


def test_every_protocol_names_unverified_weights(weights):
    own, published = inception(weights, tap=64), inception(weights._replace(source='published'), tap=64)
    assert own.name == 'inception-v3-2015-12-05-unverified'
    assert own.identity.startswith(f'inception-v3-2015-12-05, unverified weights {weights.sha256[:12]}, tap 64,')
    assert published.name == 'inception-v3-2015-12-05'
    assert published.identity.startswith(f'inception-v3-2015-12-05, published weights {weights.sha256[:12]}, tap 64,')


@pytest.mark.parametrize(
    ('layer', 'name'),
    [
        ('Conv2d_1a_3x3', 'conv'),
        ('Conv2d_4a_3x3', 'conv_4'),
        ('Mixed_5b.branch1x1', 'mixed/conv'),
        ('Mixed_5b.branch5x5_2', 'mixed/tower/conv_1'),
        ('Mixed_5c.branch3x3dbl_3', 'mixed_1/tower_1/conv_2'),
        ('Mixed_5d.branch_pool', 'mixed_2/tower_2/conv'),
        ('Mixed_6a.branch3x3', 'mixed_3/conv'),
        ('Mixed_6a.branch3x3dbl_2', 'mixed_3/tower/conv_1'),
        ('Mixed_6b.branch7x7_3', 'mixed_4/tower/conv_2'),
        ('Mixed_6e.branch7x7dbl_5', 'mixed_7/tower_1/conv_4'),
        ('Mixed_7a.branch3x3_2', 'mixed_8/tower/conv_1'),
        ('Mixed_7a.branch7x7x3_4', 'mixed_8/tower_1/conv_3'),
        ('Mixed_7b.branch3x3_2a', 'mixed_9/tower/mixed/conv'),
        ('Mixed_7c.branch3x3dbl_3b', 'mixed_10/tower_1/mixed/conv_1'),
    ],
)
def test_names_in_the_graph_of_tensorflow(layer, name):
    """As torch-fidelity's utils/util_convert_inception_weights.py has found them."""
    assert inception_graph.graph_name(layer) == name


@pytest.fixture(scope='module')
def constants(arrays):
    """What TensorFlow's graph would have as constants for `arrays`."""
    constants = {'softmax/weights': arrays['fc.weight'].T, 'softmax/biases': arrays['fc.bias'], 'unused': np.zeros(2)}
    parts = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'moving_mean', 'running_var': 'moving_variance'}
    for layer in set(parameter_shapes()) - {'fc'}:
        name = inception_graph.graph_name(layer)
        constants[f'{name}/conv2d_params'] = arrays[f'{layer}.conv.weight'].transpose(2, 3, 1, 0)
        for part, known_as in parts.items():
            constants[f'{name}/batchnorm/{known_as}'] = arrays[f'{layer}.bn.{part}']
    return constants


def fake_tensorflow(constants):
    """As much of TensorFlow as reads a graph."""

    class GraphDef:
        def ParseFromString(self, data):  # noqa: N802
            if data != b'graph':
                raise ValueError('no graph')
            attributes = {name: {'value': types.SimpleNamespace(tensor=array)} for name, array in constants.items()}
            nodes = [types.SimpleNamespace(name=name, op='Const', attr=attr) for name, attr in attributes.items()]
            self.node = [*nodes, types.SimpleNamespace(name='conv', op='Conv2D')]

    v1 = types.SimpleNamespace(GraphDef=GraphDef)
    module = types.ModuleType('tensorflow')
    module.compat, module.make_ndarray = types.SimpleNamespace(v1=v1), lambda tensor: tensor
    return module


def test_a_graph_gives_the_same_weights(monkeypatch, tmp_path, constants, weights):
    monkeypatch.setitem(sys.modules, 'tensorflow', fake_tensorflow(constants))
    path = tmp_path / 'graph.pb'
    path.write_bytes(b'graph')
    converted = inception_weights.convert(path, unverified=True)
    assert (converted.sha256, converted.source) == (weights.sha256, 'unverified')
    assert 'and no SHA-256 of a published file is known for this format' in refusal(inception_weights.convert, path)


def test_other_graphs_are_refused(monkeypatch, tmp_path, constants):
    path = tmp_path / 'graph.pb'
    less = {name: array for name, array in constants.items() if name != 'mixed/conv/batchnorm/beta'}
    monkeypatch.setitem(sys.modules, 'tensorflow', fake_tensorflow(less))
    assert refusal(inception_weights.convert, path) == f'{path} cannot be read (No such file or directory).'
    path.write_bytes(b'graph')
    assert f'{path} has no mixed/conv/batchnorm/beta: it is not' in refusal(inception_weights.convert, path, True)
    path.write_bytes(b'other')
    assert 'is not a TensorFlow graph, or is damaged' in refusal(inception_weights.convert, path, True)


def test_a_graph_needs_tensorflow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'tensorflow', None)
    path = tmp_path / 'graph.pb'
    path.write_bytes(b'graph')
    sentence = refusal(inception_weights.convert, path, True)
    assert "TensorFlow is not installed: run pip install 'gan_jax[tensorflow]', or give a .pth" in sentence


def test_download_tries_both_and_says_why_not(monkeypatch):
    def open_url(url, timeout):
        if 'pytorch-fid' in url:
            raise urllib.error.URLError('no network')
        return io.BytesIO(b'a page about something else')

    monkeypatch.setattr('urllib.request.urlopen', open_url)
    first, second = inception_weights.URLS
    assert refusal(inception_weights.download) == (
        f"Inception's weights cannot be downloaded ({first}: <urlopen error no network>; {second}: its SHA-256 is not "
        f"{inception_weights.SHA256}): download one of these files elsewhere and pass it to 'python -m "
        "gan_jax.tools.convert_inception FILE'."
    )


def test_download_converts_what_it_verifies(monkeypatch, weights):
    data = b'the published file'
    monkeypatch.setattr('urllib.request.urlopen', lambda url, timeout: io.BytesIO(data))
    monkeypatch.setattr(inception_weights, 'SHA256', hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(inception_weights, 'convert', lambda path: weights if path.read_bytes() == data else None)
    assert inception_weights.download() is weights


def test_the_command(monkeypatch, tmp_path, capsys, weights):
    output, asked = tmp_path / 'new' / 'inception.npz', []
    monkeypatch.setattr(convert_inception, 'convert', lambda *arguments: asked.append(arguments) or weights)
    assert convert_inception.main(['other.pth', '--unverified', '--output', str(output)]) == 0
    assert capsys.readouterr().out == f'Unverified weights {weights.sha256[:12]} in {output}\n'
    assert output.exists()
    assert convert_inception.main(['published.pth', '--output', str(output)]) == 0
    assert asked == [('other.pth', True), ('published.pth', False)]


def test_the_command_fails_in_one_sentence(monkeypatch, capsys, tmp_path):
    output = ['--output', str(tmp_path / 'inception.npz')]
    assert convert_inception.main(['none.pth', *output]) == 2
    assert capsys.readouterr().err == 'gan_jax: none.pth cannot be read (No such file or directory).\n'
    monkeypatch.setattr(convert_inception, 'download', lambda: pytest.fail('it downloads what it cannot write'))
    assert convert_inception.main(['--download', '--output', str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(
        f'gan_jax: {tmp_path} cannot be written, because it is not a regular file'
    )
