"""Inception against the reference implementations, by golden values, and mistakes that must be seen in them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from random_inception import GOLDEN, calibrated_arrays

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.evaluation.features import inception as extractor
from gan_jax.evaluation.features import inception_network, inception_weights, resize
from gan_jax.evaluation.features.extractor import look
from gan_jax.evaluation.features.inception_network import Inception
from gan_jax.evaluation.gather import gather_dataset
from gan_jax.runtime import compiler
from gan_jax.runtime.parallel import make_layout

TOLERANCE = 1e-4  # of the tap's maximum
TAPS = ['64', '192', '768', '2048', 'logits_unbiased']


def aligned_corners(size):
    return resize._linear_matrix(np.arange(299, dtype=np.float32) * np.float32((size - 1) / 298), size)


def wrong(matrix=resize.tf1_matrix, normalise=lambda x: (x - 128) / 128):
    return lambda image: normalise(resize._resample(image, matrix))


WRONG_INPUTS = {
    'half-pixel resize': wrong(resize.half_pixel_matrix),
    'aligned corners': wrong(aligned_corners),
    'antialiased': wrong(resize.bicubic_matrix),
    '2 x / 255 - 1': wrong(normalise=lambda x: 2 * x / 255 - 1),
    'rounded after the resize': wrong(normalise=lambda x: (jnp.round(x) - 128) / 128),
}
WRONG_INPUT_IMAGE = 'cifar10'


@functools.cache
def images():
    with np.load(GOLDEN / 'inception_images.npz') as file:
        return dict(file)


@functools.cache
def goldens():
    with np.load(GOLDEN / 'inception_goldens.npz') as file:
        return dict(file)


@pytest.fixture(scope='module')
def weights():
    return inception_weights.checked_weights(calibrated_arrays(), 'the test')


@functools.cache
def inputs():
    """All that the default suite looks at, by name, [299, 299, 3]: one batch, so that the network is compiled once."""
    rules = {'torch-fidelity': resize.tf1, 'pytorch-fid': resize.pytorch_fid}
    pairs = sorted({tuple(name.split('/')[:2]) for name in goldens()})
    right = {f'{library}/{name}': rules[library](images()[name][None])[0] for library, name in pairs}
    return right | {name: rule(images()[WRONG_INPUT_IMAGE][None])[0] for name, rule in WRONG_INPUTS.items()}


def run(network, weights, batch):
    params = inception_weights.folded(weights.arrays)
    options = compiler.often()
    return jax.jit(network.apply).lower({'params': params}, batch).compile(options)({'params': params}, batch)


@pytest.fixture(scope='module')
def taps(weights):
    """Of each input by name, all taps by name."""
    outputs = run(Inception(), weights, jnp.stack(list(inputs().values())))
    return {name: {tap: values[row] for tap, values in outputs.items()} for row, name in enumerate(inputs())}


def error(actual, golden):
    """The largest difference, as a share of the tap's maximum."""
    return float(np.abs(actual - golden).max() / np.abs(golden).max())


@pytest.mark.parametrize('tap', TAPS)
@pytest.mark.parametrize('image', ['mnist', 'cifar10', 'flower', 'wide_flower'])
def test_taps_equal_those_of_torch_fidelity(taps, image, tap):
    assert error(taps[f'torch-fidelity/{image}'][tap], goldens()[f'torch-fidelity/{image}/{tap}']) < TOLERANCE


@pytest.mark.parametrize('tap', TAPS[:-1])
@pytest.mark.parametrize('image', ['mnist', 'wide_flower'])
def test_taps_equal_those_of_pytorch_fid(taps, image, tap):
    assert error(taps[f'pytorch-fid/{image}'][tap], goldens()[f'pytorch-fid/{image}/{tap}']) < TOLERANCE


def test_the_features_tell_images_apart(taps):
    """Else their equality would say little."""
    features = [taps[f'torch-fidelity/{image}']['2048'] for image in images()]
    assert min(error(first, second) for first in features for second in features if first is not second) > 0.1


def test_logits_differ_by_the_bias(taps, weights):
    for outputs in taps.values():
        np.testing.assert_allclose(outputs['logits'] - outputs['logits_unbiased'], weights.arrays['fc.bias'], atol=1e-5)


@pytest.mark.parametrize('tap', TAPS)
@pytest.mark.parametrize('mistake', WRONG_INPUTS)
def test_wrong_inputs_are_seen(taps, mistake, tap):
    assert error(taps[mistake][tap], goldens()[f'torch-fidelity/{WRONG_INPUT_IMAGE}/{tap}']) > 10 * TOLERANCE


def counted_padding(x):
    return inception_network._reduce_3x3(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), jnp.add, 1) / 9


def average_in_the_last_block(x, stride=2, padding=0, max_pool=inception_network.max_pool):
    return inception_network.average_pool(x) if stride == 1 else max_pool(x, stride, padding)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('module', 'name', 'mistake', 'first_tap'),
    [
        (inception_network, 'average_pool', counted_padding, '768'),
        (inception_network, 'max_pool', average_in_the_last_block, '2048'),
        (inception_weights, '_BATCH_NORM_EPSILON', 1e-5, '64'),
    ],
    ids=['counted padding', 'average pool in 7c', 'epsilon 1e-5'],
)
def test_wrong_networks_are_seen(monkeypatch, weights, module, name, mistake, first_tap):
    monkeypatch.setattr(module, name, mistake)
    batch = resize.tf1(images()[WRONG_INPUT_IMAGE][None])
    outputs = run(Inception(), weights, batch)
    errors = {tap: error(outputs[tap][0], goldens()[f'torch-fidelity/{WRONG_INPUT_IMAGE}/{tap}']) for tap in TAPS}
    print({tap: f'{value / TOLERANCE:.1f} tolerances' for tap, value in errors.items()})
    assert min(errors[tap] for tap in TAPS[TAPS.index(first_tap) :]) > 10 * TOLERANCE


def test_extractor_of_tap_64_stops_there(weights):
    made = extractor.inception(weights, tap=64)
    features, logits, taps = jax.jit(functools.partial(look, made))(images()['mnist'][None])
    assert logits is None
    assert list(taps) == ['64']
    assert error(features[0], goldens()['torch-fidelity/mnist/64']) < TOLERANCE
    assert made.identity == (
        f'inception-v3-2015-12-05, unverified weights {weights.sha256[:12]}, tap 64, resize tf1, float32'
    )
    assert len(inception_network.parameter_shapes(64)) == 3


def test_images_of_several_sizes_are_seen_as_each_alone(weights, tmp_path):
    made = extractor.inception(weights, tap=64, resize='clean')
    images = [np.random.default_rng(i).integers(0, 256, (9 + i, 40 - i, 3), np.uint8) for i in range(3)]
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(tmp_path / f'{i}.png')
    reals = load(f'folder:{tmp_path}', cache_dir=tmp_path / 'cache', show_progress=False, mixed=True)
    layout = make_layout(2, num_devices=1)
    store = gather_dataset(reals, made, layout, keep=['features'], batch_size=2, cache_dir=tmp_path / 'cache')
    for image, seen in zip(images, store.array('features'), strict=True):
        alone = look(made, jnp.asarray(image[None])).features[0]
        assert error(seen, np.asarray(alone)) < TOLERANCE


def test_extractor_gives_2048_features_and_1008_logits(weights):
    made = extractor.inception(weights, resize='clean', dtype='bfloat16')
    shape = jax.ShapeDtypeStruct((5, 28, 30, 1), jnp.uint8)
    features, logits, taps = jax.eval_shape(functools.partial(look, made), shape)
    assert {name: tap.shape for name, tap in taps.items()} == {str(tap): (5, tap) for tap in inception_network.TAPS}
    assert (features.shape, features.dtype) == ((5, 2048), jnp.float32)
    assert (logits.shape, logits.dtype) == ((5, 1008), jnp.float32)
    assert made.identity.endswith('tap 2048, resize clean, bfloat16')


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'tap': 100}, 'The tap is 100; it must be one of 64, 192, 768, 2048.'),
        ({'resize': 'cleen'}, "There is no resize rule 'cleen': did you mean 'clean'? Choose from tf1, clean, "),
        (
            {'dtype': 'float16'},
            "There is no dtype of Inception 'float16': did you mean 'bfloat16'? Choose from float32, bfloat16.",
        ),
    ],
)
def test_unknown_options_are_refused(weights, options, sentence):
    with pytest.raises(UserError) as caught:
        extractor.inception(weights, **options)
    assert sentence in str(caught.value)


def test_pools_by_hand():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    averages = [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]]
    np.testing.assert_allclose(inception_network.average_pool(x)[0, :, :, 0], averages, atol=1e-6)
    np.testing.assert_array_equal(inception_network.max_pool(x - 9).ravel(), [-1])
    maxima = [[4, 5, 5], [7, 8, 8], [7, 8, 8]]
    np.testing.assert_array_equal(inception_network.max_pool(x - 9, 1, 1)[0, :, :, 0] + 9, maxima)


def test_batch_norm_is_folded_by_hand():
    """3 x, less 1, times 2 / sqrt(0.999 + 0.001), plus 5."""
    parts = {'conv.weight': [[[[3.0]]]], 'bn.weight': [2.0], 'bn.bias': [5.0], 'bn.running_mean': [1.0]}
    arrays = {f'layer.{part}': np.array(values) for part, values in parts.items()}
    arrays['layer.bn.running_var'] = np.array([0.999])
    layer = inception_weights._folded_layer(arrays, 'layer')
    np.testing.assert_allclose([layer['kernel'].item(), layer['bias'].item()], [6, 3], rtol=1e-6)
