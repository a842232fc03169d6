"""LPIPS against the authors' own code, and its diversity against hand-counted pairs.

golden/lpips.json holds the distances of `seeded_images` by lpips 0.1.4 on torch 2.13 in float64 on a CPU:
`LPIPS(net='vgg', pretrained=False, pnet_rand=True)` (and net='alex') with `seeded_weights` loaded as its state dict
(published name 'features.N.weight' -> 'net.sliceS.N.weight'), images as uint8 / 127.5 - 1.
"""

import hashlib
import json
import pathlib

import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.features.vgg import TRUNKS, Trunk
from gan_jax.evaluation.lpips import load_lpips, lpips_diversity, save_weights, weight_shapes
from tools import convert_lpips

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'lpips.json').read_text())


def seeded_weights(network):
    """Random weights of sane scale in the published naming and layout; NumPy never changes a RandomState's stream."""
    random = np.random.RandomState(0)
    weights = {}
    for name, shape in weight_shapes(TRUNKS[network]).items():
        values = random.random_sample(shape)
        if name.endswith('bias'):
            values = 0.2 * (values - 0.5)
        elif name.startswith('features'):
            values = (values - 0.5) * np.sqrt(24 / np.prod(shape[1:]))
        weights[name] = values.astype(np.float32)
    return weights


def seeded_images():
    """uint8 [2, 32, 36, 3] twice: an unrelated pair, and one that differs by noise of 20 of 255."""
    random = np.random.RandomState(1)
    real = random.randint(0, 256, (2, 32, 36, 3))
    fake = np.stack([random.randint(0, 256, (32, 36, 3)), real[1] + random.randint(-20, 21, (32, 36, 3))])
    return real.astype(np.uint8), np.clip(fake, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def alexnet(tmp_path_factory):
    path = tmp_path_factory.mktemp('lpips') / 'alexnet.npz'
    save_weights(path, seeded_weights('alexnet'), 'unverified')
    return path


def test_vgg_equals_the_published_code(tmp_path):
    save_weights(tmp_path / 'vgg.npz', seeded_weights('vgg16'), 'unverified')
    distance = load_lpips(tmp_path / 'vgg.npz').distance
    np.testing.assert_allclose(distance(*seeded_images()), GOLDEN['vgg16'], rtol=2e-6)


def test_alexnet_equals_the_published_code(alexnet):
    lpips = load_lpips(alexnet, 'alexnet')
    np.testing.assert_allclose(lpips.distance(*seeded_images()), GOLDEN['alexnet'], rtol=2e-6)
    assert lpips.identity == 'lpips v0.1 alexnet, unverified weights sha256 a15408513d8d73ec'


@pytest.mark.slow  # compiles thrice
@pytest.mark.parametrize(
    ('wrong', 'value'),
    [('SHIFT', (0.0, 0.0, 0.0)), ('SCALE', (1.0, 1.0, 1.0)), ('EPSILON', 0.1)],
)
def test_a_wrong_constant_fails_the_comparison(alexnet, monkeypatch, wrong, value):
    monkeypatch.setattr(f'gan_jax.evaluation.lpips.{wrong}', value)
    wrong_distances = np.asarray(load_lpips(alexnet, 'alexnet').distance(*seeded_images()))
    assert (np.abs(wrong_distances / GOLDEN['alexnet'] - 1) > 1e-3).any()


def test_a_distance_computed_by_hand(tmp_path, monkeypatch):
    # features are the scaled colours themselves, cut off below 0
    identity = Trunk(stages=(((0, 3, 3),),), pooled=(), pool=2, special={0: (1, 1, 0)}, least=1)
    monkeypatch.setitem(TRUNKS, 'identity', identity)
    weights = {'features.0.weight': np.eye(3)[:, :, None, None], 'features.0.bias': np.zeros(3)}
    weights['lin0.model.1.weight'] = np.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
    save_weights(tmp_path / 'identity.npz', {name: w.astype(np.float32) for name, w in weights.items()}, 'unverified')
    distance = load_lpips(tmp_path / 'identity.npz', 'identity').distance

    def unit(images):
        scaled = (images / 127.5 - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
        scaled = np.maximum(scaled, 0)
        return scaled / (np.linalg.norm(scaled, axis=-1, keepdims=True) + 1e-10)

    real, fake = seeded_images()
    expected = (([1, 2, 3] * (unit(real) - unit(fake)) ** 2).sum(axis=-1)).mean(axis=(1, 2))
    np.testing.assert_allclose(distance(real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(distance(fake, real), expected, rtol=1e-5)
    np.testing.assert_array_equal(distance(real, real), [0, 0])
    np.testing.assert_allclose(
        distance(real / np.float32(127.5) - 1, fake / np.float32(127.5) - 1), expected, rtol=1e-5
    )
    greys = [images[..., :1] for images in (real, fake)]
    np.testing.assert_allclose(distance(*greys), distance(*(g.repeat(3, axis=-1) for g in greys)), rtol=1e-5)


def test_images_that_are_no_images(alexnet):
    distance = load_lpips(alexnet, 'alexnet').distance
    good = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(UserError, match=r'^A distance needs images of the same shape, not \[2, 32, 32, 3\] and \[1, '):
        distance(good, good[:1])
    small = good[:, :28, :28]
    with pytest.raises(UserError, match=r'at least 31x31 pixels, not \[2, 28, 28, 3\]; enlarge smaller images,'):
        distance(small, small)
    with pytest.raises(UserError, match=r'^LPIPS takes images of uint8 in \[0, 255\] or floats in .* not of int32'):
        distance(good.astype(np.int32), good.astype(np.int32))


def test_missing_and_damaged_weights(alexnet, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    missing = (
        r"needs trained weights, and .*/lpips-vgg16.npz does not exist: create it by 'python -m gan_jax.tools.conv"
    )
    with pytest.raises(UserError, match=missing):
        load_lpips()
    with pytest.raises(UserError, match=r"no LPIPS network 'vgg': did you mean 'vgg16'"):
        load_lpips(network='vgg')
    with pytest.raises(
        UserError, match=r'does not belong to this network: features\.0\.weight is \[64, 3, 11, 11\], not \[64, 3'
    ):
        load_lpips(alexnet)
    cut = tmp_path / 'cut.npz'
    cut.write_bytes(alexnet.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r'cut\.npz cannot be read .* create it again by gan_jax\.tools\.convert_lpips'):
        load_lpips(cut, 'alexnet')
    cut.write_bytes(b'')
    with pytest.raises(UserError, match=r'cut\.npz cannot be read'):
        load_lpips(cut, 'alexnet')
    with np.load(alexnet) as archive:
        weights = dict(archive)
    weights['features.0.bias'] = weights['features.0.bias'] + 1
    np.savez(cut, **weights)
    with pytest.raises(UserError, match=r'cut\.npz is damaged \(its checksum is wrong\):'):
        load_lpips(cut, 'alexnet')
    weights['lin2.model.1.weight'] = -weights['lin2.model.1.weight']
    np.savez(cut, **weights)
    with pytest.raises(UserError, match=r'has a negative weight in lin2\.model\.1\.weight'):
        load_lpips(cut, 'alexnet')
    weights['features.3.bias'] = weights['features.3.bias'] * np.nan
    np.savez(cut, **weights)
    with pytest.raises(UserError, match=r'features\.3\.bias is not finite, not \[192\]\.'):
        load_lpips(cut, 'alexnet')


def few_channels(monkeypatch):
    """A network of the shape of AlexNet with one channel everywhere."""
    tiny = TRUNKS['alexnet']._replace(stages=tuple(((i, 3 if i == 0 else 1, 1),) for i in (0, 3, 6, 8, 10)))
    monkeypatch.setitem(TRUNKS, 'alexnet', tiny)
    return tiny


def test_converting_published_files(tmp_path, monkeypatch):
    tiny = few_channels(monkeypatch)
    weights = {name: np.full(shape, 0.5, np.float64) for name, shape in weight_shapes(tiny).items()}
    files = {'trunk.pth': {n: w for n, w in weights.items() if 'features' in n} | {'classifier.6.bias': np.zeros(9)}}
    files['lin.pth'] = {name: w for name, w in weights.items() if 'lin' in name}
    monkeypatch.setattr(convert_lpips, 'read_torch_file', lambda path: files[path.name])
    for name in files:
        (tmp_path / name).write_bytes(b'not what was published')
    trunk, lin, output = (tmp_path / name for name in ('trunk.pth', 'lin.pth', 'out.npz'))
    with pytest.raises(
        UserError,
        match=r'trunk\.pth is not known to contain the trunk of LPIPS with alexnet: its SHA-256 is [0-9a-f]{64}, ',
    ):
        convert_lpips.convert(trunk, lin, output, 'alexnet')
    with pytest.raises(UserError, match=r'none\.pth cannot be read \(No such file'):
        convert_lpips.convert(tmp_path / 'none.pth', lin, output, 'alexnet')
    assert not output.exists()
    convert_lpips.convert(trunk, lin, output, 'alexnet', unverified=True)
    assert load_lpips(output, 'alexnet').identity.startswith('lpips v0.1 alexnet, unverified weights sha256 ')
    with np.load(output) as archive:
        assert set(archive) == {*weights, 'sha256', 'source'}
        assert archive['features.3.weight'].dtype == np.float32
    found = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in (trunk, lin))
    for known, source in ((found, 'published'), ((found[0], 'other'), 'unverified')):
        monkeypatch.setitem(convert_lpips.SHA256, 'alexnet', known)
        convert_lpips.convert(trunk, lin, output, 'alexnet', unverified=True)
        assert load_lpips(output, 'alexnet').identity.startswith(f'lpips v0.1 alexnet, {source} weights sha256 ')
    del files['lin.pth']['lin4.model.1.weight']
    with pytest.raises(UserError, match=r'lin4\.model\.1\.weight is missing, not \[1, 1, 1, 1\]\.'):
        convert_lpips.convert(trunk, lin, output, 'alexnet', unverified=True)


def absolute(x, y):
    return np.abs(x.astype(float) - y).mean(axis=(1, 2, 3))


def flat_images(*values):
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


def test_diversity_of_pairs_counted_by_hand():
    estimate = lpips_diversity(absolute, flat_images(0, 30, 60), pairs=4000, seed=1)
    # |0 - 30|, |30 - 60| and |0 - 60| are equally likely: mean 40, variance 200
    assert estimate.error == pytest.approx(np.sqrt(200 * (1 / 4000 + 1)), rel=0.05), (
        'three images are one disjoint pair'
    )
    assert abs(estimate.value - 40) < 4 * np.sqrt(200 / 4000)
    assert estimate.rule == (
        '4000 random pairs of any two images, bound of the standard error over pairs that share images'
    )


def test_diversity_within_classes():
    images, labels = flat_images(0, 100, 10, 200, 110), np.array([3, 7, 3, 5, 7])
    estimate = lpips_diversity(absolute, images, pairs=50, labels=labels)
    assert estimate[:2] == (10, 0)  # 0 with 10, 100 with 110, and 200 with nobody
    assert estimate.rule.startswith('50 random pairs within classes, 1 alone in their class left out, ')


def test_diversity_depends_on_the_seed_and_not_on_the_batch():
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 3)).astype(np.uint8)
    values = [lpips_diversity(absolute, images, pairs=30, seed=s, batch_size=b) for s, b in [(0, 7), (0, 64), (1, 7)]]
    assert values[0] == values[1] != values[2]
    shapes = []
    lpips_diversity(lambda x, y: shapes.append(x.shape) or absolute(x, y), images, pairs=30, batch_size=7)
    assert set(shapes) == {(7, 2, 2, 3)}


def test_diversity_of_too_little():
    assert lpips_diversity(absolute, flat_images(5, 5, 5))[:2] == (0, 0)
    with pytest.raises(UserError, match=r'^No two of 1 images have the same class'):
        lpips_diversity(absolute, flat_images(5))
    with pytest.raises(UserError, match=r'^There are 2 images and labels of shape \[3\]; give one for each'):
        lpips_diversity(absolute, flat_images(5, 6), labels=[0, 0, 0])
    with pytest.raises(UserError, match=r'^pairs is 1; it must be at least 2'):
        lpips_diversity(absolute, flat_images(5, 6), pairs=1)
    with pytest.raises(UserError, match=r'^2000 of 2000 distances are not finite'):
        lpips_diversity(lambda x, y: absolute(x, y) * np.nan, flat_images(5, 6))
