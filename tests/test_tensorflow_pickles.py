"""Pickles of TensorFlow's StyleGAN2, written here from golden weights: no published file could be downloaded."""

import json
import os

import numpy as np
import pytest

from gan_jax import build, config
from gan_jax.errors import UserError
from gan_jax.layers.filters import convolve_up
from gan_jax.layers.modulated import TAPS
from gan_jax.sampling import samples
from gan_jax.sampling.trained import load_run
from tests import golden_files, tensorflow_files
from tests.tensorflow_files import Network
from tools import convert_weights
from tools.network_pickle import read_networks
from tools.weights import stylegan2

GENERATORS = ('skip_clamp', 'orig_cond_map2', 'skip_uncond_map2', 'skip_cond_map8', 'resnet_uncond_map2')
DISCRIMINATORS = ('orig_uncond', 'resnet_cond', 'skip_uncond', 'resnet_nombstd')


def state_dict(name):
    """The golden arrays of a network in PyTorch, without the filters, which TensorFlow does not save."""
    arrays, prefix = golden_files.read(f'sg2_{name}'), f'p/{name[0].upper()}/'
    return {
        key.removeprefix(prefix): array
        for key, array in arrays.items()
        if key.startswith(prefix) and not key.endswith('resample_filter')
    }


def written(path, tree, protocol=4):
    path.write_bytes(tensorflow_files.pickled(tree, protocol))
    return path


@pytest.fixture
def networks():
    """(G, D, Gs) as the published files have them."""
    arrays = state_dict('g_skip_clamp')
    other = {name: array + 0.1 for name, array in arrays.items()}
    generator, average = (tensorflow_files.generator(tree, resolution=16, conv_clamp=1.25) for tree in (other, arrays))
    return generator, tensorflow_files.discriminator(state_dict('d_orig_uncond'), num_channels=3), average


def test_images_and_logits_are_the_golden_ones_without_running_the_source(tmp_path, networks):
    golden, path = golden_files.read('sg2_g_skip_clamp'), written(tmp_path / 'stylegan2.pkl', networks)
    assert convert_weights.main([str(path), '--out', str(tmp_path / 'run'), '--data', 'digits']) == 0
    run = load_run(tmp_path / 'run')
    images = samples.generate(run.game, run.generator, golden['in/z'])
    golden_files.assert_close(images, golden_files.nhwc(golden['out/img_noise_const']), 3e-5)
    options = json.loads((tmp_path / 'run' / 'config.json').read_text())
    assert (options['generator']['clamp'], options['discriminator']['clamp']) == (1.25, 0.0)
    assert (options['discriminator']['minibatch_group'], options['discriminator']['rate']) == (4, 0.1)

    golden, converted = golden_files.read('sg2_d_orig_uncond'), stylegan2.networks_of_pickle(read_networks(path))
    images = golden_files.nhwc(golden['in/img'])
    order = np.arange(len(images)).reshape(4, -1).T.reshape(-1)  # groups of neighbours
    options = config.base('stylegan2')
    options.discriminator = converted.config.discriminator
    module = build.make_modules(options, images.shape[1:]).discriminator
    judged = module.apply(converted.variables['discriminator'], images[order], train=False)
    golden_files.assert_close(judged.logits, golden['out/logits'][order, 0], 3e-5)


@pytest.mark.parametrize('name', [*(f'g_{name}' for name in GENERATORS), *(f'd_{name}' for name in DISCRIMINATORS)])
def test_every_architecture_has_the_arrays_of_pytorch(tmp_path, name):
    arrays = state_dict(name)
    if name.startswith('g'):
        network = tensorflow_files.generator(arrays)
    else:
        network = tensorflow_files.discriminator(arrays, 'D_main', mapping_lrmul=0.01)
    (read,) = read_networks(written(tmp_path / 'one.pkl', network, 3)).values()
    assert read.arrays.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_allclose(read.arrays[key], array, rtol=0, atol=1e-6 if key.endswith('affine.bias') else 0)
    if name.startswith('d'):  # StyleGAN2-ADA has one group of the whole batch
        rest = {'mapping_kwargs': {'lr_multiplier': 0.01}, 'epilogue_kwargs': {'mbstd_group_size': None}}
        assert read.options == {'conv_clamp': None, **rest}


def test_a_convolution_that_doubles_images_is_that_of_tensorflow(tmp_path):
    """TensorFlow's layer turns its kernel, spreads each pixel with it, and filters with a border of one pixel."""
    random = np.random.default_rng(0)
    images, kernel = random.normal(size=(5, 5, 2)), random.normal(size=(3, 3, 2, 4)).astype(np.float32)
    spread, filtered = np.zeros((13, 13, 4)), np.zeros((10, 10, 4))  # with the border
    taps = 4 * np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    for row, column in np.ndindex(5, 5):
        for down, right in np.ndindex(3, 3):
            part = images[row, column] @ kernel[2 - down, 2 - right]
            spread[1 + 2 * row + down, 1 + 2 * column + right] += part
    for down, right in np.ndindex(4, 4):
        filtered += taps[down, right] * spread[down : down + 10, right : right + 10]

    variables = {'8x8/Conv0_up/weight': kernel}
    network = Network('G', 'G_main', {}, {'synthesis': Network('G_synthesis', 'G_synthesis', variables)})
    weight = read_networks(written(tmp_path / 'one.pkl', network))['G_ema'].arrays['synthesis.b8.conv0.weight']
    made = convolve_up(np.float32(images[None]), weight.transpose(2, 3, 1, 0), TAPS)[0]
    np.testing.assert_allclose(made, filtered, rtol=0, atol=1e-5)


class Harm:
    def __reduce__(self):
        return os.system, ('touch harmed',)


def stub(function='G_main', variables=(), components=(), **arguments):
    return Network('G', function, variables, components, **arguments)


SHARED = np.zeros(500, np.float32)


@pytest.mark.parametrize(
    ('tree', 'reason'),
    [
        ((stub(), stub(), Harm()), 'it uses posix.system, which tensors do not need'),
        (stub(variables={'dlatent_avg': Harm()}), 'it uses posix.system, which tensors do not need'),
        (stub('G_style'), 'one of its networks was not built by G_main, D_stylegan2, D_main, as those of StyleGAN2 '),
        (stub(variables={'dlatent_avg': [1.0, [2.0]]}), 'a variable of a network is not an array with a name'),
        (stub(variables={'ToRGB_lod0/weight': np.float32(0)}), 'its network G has ToRGB_lod0/weight, which StyleGAN2 '),
        (stub(variables={'synthesis/noise999': np.float32(0)}), 'its network G has synthesis/noise999, which '),
        (stub(nonlinearity='relu'), "its network G has nonlinearity='relu', not 'lrelu'"),
        (stub(components={'mapping': 1}), 'a component of a network is missing or occurs twice'),
        (stub(components=dict.fromkeys('ab', stub())), 'a component of a network is missing or occurs twice'),
        (
            stub(variables={f'synthesis/4x{n}/Conv/mod_bias': SHARED for n in range(9)}),
            'its variables are larger than the file',
        ),
        (Network, 'it has no networks'),
    ],
)
def test_anything_else_is_refused_in_a_sentence(tmp_path, monkeypatch, capsys, tree, reason):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / 'network.pkl', tree)
    assert convert_weights.main(['network.pkl', '--out', 'run']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f'network.pkl is not a readable pickle of StyleGAN2 ({reason}' in line
    assert line.endswith('none of its code was executed.')
    assert {path.name for path in tmp_path.iterdir()} == {'network.pkl'}


def test_an_array_of_fewer_bytes_than_its_shape_is_refused(tmp_path):
    data = tensorflow_files.pickled(stub(variables={'dlatent_avg': np.zeros((7, 9), np.float32)}))
    assert data.count(b'K\x07K\x09') == 1
    (tmp_path / 'network.pkl').write_bytes(data.replace(b'K\x07K\x09', b'K\x07K\x0b'))
    with pytest.raises(UserError, match='an array has not the size of its shape'):
        read_networks(tmp_path / 'network.pkl')
