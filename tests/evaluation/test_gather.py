"""Stores of data sets and of generators: the cache of real images, and samples that do not depend on devices."""

import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import losses
from gan_jax.adversarial import adversarial
from gan_jax.data import Dataset, load
from gan_jax.errors import UserError
from gan_jax.evaluation.gather import GeneratorSamples, compile_samples, gather_dataset, gather_samples
from gan_jax.game import Player
from gan_jax.networks import pure
from gan_jax.runtime import parallel
from tests.extractors import QUADRANTS, RESIZED_QUADRANTS, look, quarters

IMAGES = np.random.default_rng(0).integers(0, 256, (21, 6, 6, 1), np.uint8)
LABELS = np.arange(21, dtype=np.int32) % 3
REALS = Dataset('squares', 'train', IMAGES, LABELS, 3, 'f00d')
LAYOUT = parallel.make_layout(8)


def gather(reals, cache, extractor=QUADRANTS, keep=('features', 'logits')):
    return gather_dataset(reals, extractor, LAYOUT, keep=keep, batch_size=8, cache_dir=cache)


def blind(images):
    raise AssertionError('the images were looked at')


def test_real_images_are_looked_at_once(tmp_path):
    first = gather(REALS, tmp_path)
    again = gather(REALS, tmp_path, QUADRANTS._replace(apply=blind))
    for name in ('features', 'logits', 'labels'):
        np.testing.assert_array_equal(again.array(name), first.array(name))
    np.testing.assert_array_equal(again.moments.covariance, first.moments.covariance)
    assert len(list((tmp_path / 'features').iterdir())) == 1
    with_images = gather(REALS, tmp_path, QUADRANTS._replace(apply=blind), keep=('features', 'logits', 'images'))
    assert with_images.array('images') is IMAGES


@pytest.mark.parametrize(
    ('reals', 'extractor'),
    [
        (Dataset('squares', 'train', IMAGES, LABELS, 3, 'beef'), QUADRANTS),
        (Dataset('squares', 'train', IMAGES[:20], LABELS[:20], 3, 'f00d'), QUADRANTS),
        (REALS, QUADRANTS._replace(identity='version 2')),
        (REALS, QUADRANTS._replace(name='other')),
    ],
)
def test_a_changed_key_never_reads_an_old_cache(tmp_path, reals, extractor):
    gather(REALS, tmp_path)
    with pytest.raises(AssertionError, match='the images were looked at'):
        gather(reals, tmp_path, extractor._replace(apply=blind))


def test_changed_images_take_the_place_of_the_former_ones(tmp_path):
    gather(REALS, tmp_path)
    changed = Dataset('squares', 'train', 255 - IMAGES, LABELS, 3, 'beef')
    np.testing.assert_allclose(gather(changed, tmp_path).array('features'), look(255 - IMAGES).features, rtol=1e-6)
    assert len(list((tmp_path / 'features').iterdir())) == 1


def test_features_of_other_packages_are_not_read(tmp_path, monkeypatch):
    gather(REALS, tmp_path)
    monkeypatch.setattr('gan_jax.evaluation.gather.package_versions', lambda: {'jax': '0.0'})
    with pytest.raises(AssertionError, match='the images were looked at'):
        gather(REALS, tmp_path, QUADRANTS._replace(apply=blind))


def test_features_that_nobody_read_for_90_days_go(tmp_path):
    for name, days in (('old', 91), ('young', 89)):
        gather(Dataset(name, 'train', IMAGES, LABELS, 3, 'f00d'), tmp_path)
        [path] = (tmp_path / 'features').glob(f'{name}*')
        os.utime(path, (time.time() - days * 86400,) * 2)
    gather(REALS, tmp_path)
    names = sorted(path.name.partition('-')[0] for path in (tmp_path / 'features').iterdir())
    assert names == ['squares', 'young']


def test_a_damaged_cache_is_made_again(tmp_path):
    wanted = gather(REALS, tmp_path).array('features')
    (path,) = (tmp_path / 'features').iterdir()
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r'are damaged .* recomputing them\.'):
        store = gather(REALS, tmp_path)
    np.testing.assert_array_equal(store.array('features'), wanted)


@pytest.fixture
def mixed(tmp_path):
    """A function that loads 19 images of seven sizes and two classes, written in a given order of their names."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (2 + 2 * (i % 7), 4 + 2 * (i % 3), 3), np.uint8) for i in range(19)]

    def load_mixed(order):
        root = tmp_path / 'photographs' / str(order[0])
        for place, index in enumerate(order):
            path = root / 'ab'[place >= 10] / f'{place:02}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(path)
        return load(f'folder:{root}', cache_dir=tmp_path, show_progress=False, mixed=True)

    load_mixed.images = images
    return load_mixed


def test_each_image_of_several_sizes_is_seen_as_alone_in_any_order_and_batch(mixed, tmp_path):
    wanted = np.concatenate([look(quarters(image[None])).features for image in mixed.images])
    order = np.random.default_rng(1).permutation(19)
    for rows, batch_size in ((np.arange(19), 8), (order, 16)):
        reals = mixed(rows)
        options = {'keep': ('features', 'logits', 'images'), 'batch_size': batch_size, 'cache_dir': tmp_path}
        store = gather_dataset(reals, RESIZED_QUADRANTS, LAYOUT, **options)
        np.testing.assert_allclose(store.array('features'), wanted[rows], rtol=1e-6)
        np.testing.assert_array_equal(store.array('labels'), np.arange(19) >= 10)
        assert not store.has('images')
        again = gather_dataset(reals, RESIZED_QUADRANTS._replace(apply=blind), LAYOUT, **options)
        np.testing.assert_array_equal(again.array('features'), store.array('features'))


def test_images_of_several_sizes_want_an_extractor_that_brings_them_to_one(mixed, tmp_path):
    reals = mixed(range(19))
    with pytest.raises(
        UserError, match=r"The extractor quadrants needs images of one size, but .* differ \('.*a/00.png' is 2x4, "
    ):
        gather(reals, tmp_path)
    with pytest.raises(
        UserError, match=r'resized quadrants returns arrays of the shapes \[\(2, 4, 3\), .* to one shape\.'
    ):
        gather(reals, tmp_path, RESIZED_QUADRANTS._replace(resize=lambda images: images))


def test_points_are_no_images(tmp_path):
    points = Dataset('ring', 'train', np.zeros((4, 2), np.float32), None, None, 'cafe')
    with pytest.raises(UserError, match='metrics take uint8'):
        gather(points, tmp_path)


def made(params, latents, condition):
    """A flat image as bright as the latent, with the class in its left half."""
    bright = jnp.broadcast_to(jnp.tanh(latents[:, :1, None, None]) * params, (len(latents), 4, 2, 1))
    return jnp.concatenate([jnp.broadcast_to(condition[:, None, None, None] - 1.0, bright.shape), bright], axis=2)


GAME = adversarial(
    pure(lambda key: jnp.zeros(()), made),
    pure(lambda key: jnp.zeros(()), lambda params, images, condition: images.mean((1, 2, 3))),
    losses.non_saturating(),
    2,
    condition=jax.ShapeDtypeStruct((), jnp.int32),
)


def test_samples_do_not_depend_on_devices_and_go_through_8_bits():
    conditions = np.arange(13, dtype=np.int32) % 3
    player = Player(jnp.ones(()), {}, None, ema=(jnp.full((), 0.5), {}))
    samples = GeneratorSamples(GAME, player, 13, 7, conditions, 'a test')
    stores = [
        gather_samples(
            samples,
            compile_samples(GAME, QUADRANTS, parallel.make_layout(8, num_devices=devices)),
            keep=('features', 'images'),
            batch_size=8,
        )
        for devices in (1, 8)
    ]
    for name in ('images', 'features', 'labels'):
        np.testing.assert_array_equal(stores[0].array(name), stores[1].array(name))
    images = stores[0].array('images')
    assert images.dtype == np.uint8
    assert len(images) == len(np.unique(images[:, 0, 3])) == 13
    assert (abs(images[:, 0, 3].astype(int) - 127.5) < 64.5).all()  # averaged weights halve the range
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.array([0, 128, 255])[conditions])
    np.testing.assert_array_equal(stores[0].array('labels'), conditions)
    np.testing.assert_allclose(stores[0].array('features'), look(images).features, rtol=1e-6)
    assert samples.protocol['weights'] == 'averaged'
    assert samples._replace(generator=player._replace(ema=None)).protocol['weights'] == 'last'
