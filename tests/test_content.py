"""Perceptual losses: what they look at, and their weights."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import content
from gan_jax.content import make_content
from gan_jax.errors import UserError
from gan_jax.evaluation.features.vgg import VGG19, Trunk
from tests import torch_files

SMALL = Trunk(stages=(((0, 3, 4),), ((5, 4, 6), (34, 6, 5))), pooled=(1,), pool=2, special={}, least=2)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A network of three convolutions in the place of VGG19."""
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in SMALL.shapes().items()}
    (tmp_path / 'gan_jax').mkdir()
    torch_files.save(tmp_path / 'file.pth', arrays)
    digest = hashlib.sha256((tmp_path / 'file.pth').read_bytes()).hexdigest()
    name = f'vgg19-{digest[:8]}.pth'
    (tmp_path / 'file.pth').rename(tmp_path / 'gan_jax' / name)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(content, 'VGG19_FILE', name)
    monkeypatch.setattr(content, 'VGG19', SMALL)
    return arrays


def convolved(image, weight, bias):
    """A 3x3 convolution of [C, H, W] with a border of zeros, written out."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum('chwij,ocij->ohw', windows, weight) + bias[:, None, None]


def features(weights, image):
    """The last convolution's outputs of an image [H, W, 3] in [-1, 1], by the definition."""
    image = ((image + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = image.transpose(2, 0, 1)
    for index in (0, 5, 34):
        if index == 5:
            x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
        linear = convolved(x, weights[f'features.{index}.weight'], weights[f'features.{index}.bias'])
        x = np.maximum(linear, 0)
    return linear, x


@pytest.mark.parametrize(('spec', 'norm', 'place'), [('vgg19', 'absolute', 0), ('vgg19_relu', 'squared', 1)])
def test_features_of_vgg_are_normalised_and_before_or_after_their_activation(weights, spec, norm, place):
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 2, 6, 8, 3))
    made = make_content(spec, norm, 'leaves', (6, 8, 3))
    seen = [[features(weights, image)[place] for image in images] for images in (x, y)]
    measure = {'squared': np.square, 'absolute': np.abs}[norm]
    expected = measure(np.subtract(*np.array(seen))).mean()
    distance = jax.jit(made.distance)(jnp.float32(x), jnp.float32(y))
    np.testing.assert_allclose(distance, expected, rtol=1e-5)
    where = ('before', 'after')[place]
    assert made.protocol == f'VGG19 conv5_4 {where} its ReLU, mean and deviation of ImageNet, mean {norm} difference'
    assert float(jax.jit(made.distance)(jnp.float32(x), jnp.float32(x))) == 0  # with weights read in another trace


def test_vgg19_is_torchvisions():
    shapes = VGG19.shapes()
    assert len(shapes) == 2 * 16
    assert sum(np.prod(shape) for shape in shapes.values()) == 20_024_384  # of `features`
    assert shapes['features.34.weight'] == (512, 512, 3, 3)


def test_any_extractor_will_do_and_is_called_by_its_name():
    made = make_content('tests.extractors:QUADRANTS', 'squared', 'leaves', (8, 8, 1))
    x, y = np.full((1, 8, 8, 1), -1, np.float32), np.full((1, 8, 8, 1), 1, np.float32)
    from tests.extractors import look

    expected = np.square(
        look(np.full((1, 8, 8, 1), 255, np.uint8)).features - look(np.zeros((1, 8, 8, 1), np.uint8)).features
    )
    np.testing.assert_allclose(made.distance(x, y), np.mean(expected), rtol=1e-6)
    assert made.protocol.startswith('pooled features of the extractor tests.extractors:QUADRANTS, with its own norm')


def test_sentences(weights, tmp_path):
    with pytest.raises(UserError, match="There is no norm 'l2'"):
        make_content('vgg19', 'l2', 'leaves', (8, 8, 3))
    (file,) = (tmp_path / 'gan_jax').glob('vgg19-*.pth')
    images = jnp.zeros((1, 6, 8, 3))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r'vgg19-\w+.pth is damaged \(its SHA-256 is \w+\): download it again'):
        make_content('vgg19', 'squared', 'leaves', (6, 8, 3)).distance(images, images)
    file.unlink()
    with pytest.raises(
        UserError, match=r'needs the weights of VGG19, and .* does not exist: put https://.*, or choose'
    ):
        make_content('vgg19', 'squared', 'leaves', (6, 8, 3)).distance(images, images)
