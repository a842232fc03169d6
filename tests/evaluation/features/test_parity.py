"""Inception against the reference implementations as they are installed (pip install -e '.[parity]'), live."""

import sys

import jax
import numpy as np
import PIL.Image
import pytest
from random_inception import GOLDEN, calibrated_arrays

torch = pytest.importorskip('torch', reason="needs pip install -e '.[parity]'")
pytest.importorskip('torch_fidelity', reason="needs pip install -e '.[parity]'")
pytest.importorskip('pytorch_fid', reason="needs pip install -e '.[parity]'")

sys.path.insert(0, str(GOLDEN))
import inception_make  # noqa: E402

from gan_jax.evaluation.features import inception_weights, resize  # noqa: E402
from gan_jax.evaluation.features.extractor import look  # noqa: E402
from gan_jax.evaluation.features.inception import inception  # noqa: E402
from gan_jax.evaluation.features.inception_network import Inception  # noqa: E402

TOLERANCE = 1e-4  # of the tap's maximum
SHAPES = [(28, 28, 1), (32, 32, 3), (50, 77, 3), (310, 280, 3)]


@pytest.fixture(scope='module')
def arrays():
    return calibrated_arrays()


@pytest.fixture(scope='module', params=[True, False], ids=['zip', 'legacy'])
def weights(request, arrays, tmp_path_factory):
    """Through torch.save, the converter and gan_jax's own file."""
    directory = tmp_path_factory.mktemp('weights')
    torch.save(inception_make.as_tensors(arrays), directory / 'torch.pth', _use_new_zipfile_serialization=request.param)
    path = inception_weights.save_inception_weights(
        inception_weights.convert(directory / 'torch.pth'), directory / 'inception.npz'
    )
    return inception_weights.load_inception_weights(path)


def smooth_image(shape):
    """Noise of 8x8, enlarged: with edges and without more than a network of natural images sees."""
    noise = np.random.RandomState(1).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    resized = PIL.Image.fromarray(noise).resize(shape[1::-1], PIL.Image.BICUBIC)
    return np.asarray(resized)[..., : shape[2]]


def error(actual, reference):
    return float(np.abs(actual - reference).max() / np.abs(reference).max())


def test_weights_come_through_the_converter(weights, arrays):
    assert all(np.array_equal(weights.arrays[name], array) for name, array in arrays.items())


@torch.no_grad()
def test_every_tap_of_torch_fidelity(weights, arrays):
    network = jax.jit(Inception().apply)
    params = {'params': inception_weights.folded(weights.arrays)}
    reference = inception_make.fidelity_network(arrays)
    for shape in SHAPES:
        image = smooth_image(shape)
        taps = network(params, resize.tf1(image[None]))
        for tap, values in zip(inception_make.TAPS, reference(inception_make.as_batch(image)), strict=True):
            assert error(taps[tap], values.numpy()) < TOLERANCE, (shape, tap)


@torch.no_grad()
def test_features_of_pytorch_fid(weights, arrays):
    reference = inception_make.pytorch_fid_network(arrays)
    extractor = inception(weights, resize='pytorch-fid')
    image = smooth_image(SHAPES[2])
    features = jax.jit(lambda images: look(extractor, images))(image[None]).features
    *_, values = reference(inception_make.as_batch(image) / 255)
    assert error(features, values.numpy()[:, :, 0, 0]) < TOLERANCE


@pytest.mark.parametrize('shape', SHAPES[1:])
def test_resize_of_clean_fid(shape):
    clean_fid = pytest.importorskip('cleanfid.resize').build_resizer('clean')
    image = smooth_image(shape)
    np.testing.assert_allclose(resize.clean(image[None])[0], (clean_fid(image) - 128) / 128, atol=2e-6)
