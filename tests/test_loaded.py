"""Runs in a notebook: arrays and pictures of `--mode sample`, pure generators, scores of arrays, folders and runs."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation import of_runs
from gan_jax.main import main
from tests.extractors import QUADRANTS
from tests.test_latent_pictures import save_untrained
from tests.test_shown import save_untrained as save_translator

SIZE, CLASSES = 8, 3


@pytest.fixture(scope='module')
def loaded(tmp_path_factory):
    """Loaded runs, one for each directory: of classes, and of points."""
    width = {'generator.width': '4', 'discriminator.width': '4'}
    widths = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    place = tmp_path_factory.mktemp('runs')
    save_untrained(place / 'classes', 'configs/cgan.py', (SIZE, SIZE, 3), CLASSES, **width)
    save_untrained(place / 'points', 'configs/toy.py:ring', (2,), None, **widths)
    return {name: gan_jax.load(str(place / name)) for name in ('classes', 'points')}


def written(workdir, *flags):
    """The grid and the single pictures that a command line writes."""
    assert main(['--mode', 'sample', '--workdir', str(workdir), *flags]) == 0
    (directory,) = (workdir / 'generated').iterdir()
    pictures = [np.asarray(Image.open(path)) for path in sorted(directory.glob('0*.png'))]
    grid = Image.open(directory / 'grid.png')
    grid.load()
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    return np.stack(pictures) if pictures else None, grid


@pytest.mark.parametrize(
    ('options', 'flags'),
    [
        ({'num': 6, 'seed': 7}, '--num 6 --seed 7'),
        (
            {'seeds': (3, 1), 'classes': [2, 0], 'psi': 0.5, 'threshold': 1.0, 'standing_statistics': 1},
            '--seeds 3,1 --classes 2,0 --psi 0.5 --threshold 1.0 --standing_statistics 1',
        ),
    ],
)
def test_samples_are_those_of_the_command_line(loaded, options, flags):
    run = loaded['classes']
    images, grid = written(run.workdir, *flags.split())
    made = run.sample(**options)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, images)
    shown = run.show(**options)
    assert isinstance(shown, Image.Image)
    np.testing.assert_array_equal(shown, grid)


def test_points_are_samples_too(loaded):
    run = loaded['points']
    assert repr(run) == '<Run: mlp on ring, 2, at step 3>'
    assert (run.sample(5).shape, run.sample(5).dtype) == ((5, 2), np.float32)
    np.testing.assert_array_equal(run.sample(5, seed=1), run.sample(9, seed=1)[:5])
    np.testing.assert_array_equal(run.show(5), written(run.workdir, '--num', '5')[1])


def test_the_generator_is_a_pure_function_of_its_weights(loaded):
    generator = loaded['classes'].generator
    latents = generator.latents(gan_jax.game.named_key(7, 'samples'), jnp.arange(2))
    classes = jnp.repeat(jnp.arange(CLASSES), 2)
    images = jax.jit(generator.apply)(generator.weights, jnp.tile(latents, (CLASSES, 1)), classes)
    np.testing.assert_array_equal(to_uint8(images), loaded['classes'].sample(6, seed=7))

    def brightness(weights):
        return generator.apply(weights, latents, classes[:2]).mean()

    gradient, _ = jax.grad(brightness)(generator.weights)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))


def test_a_translator_translates(tmp_path):
    run = gan_jax.load(save_translator(tmp_path / 'pairs', 'pix2pix'))
    images, grid = written(run.workdir, '--num', '4')
    np.testing.assert_array_equal(run.sample(4)[..., 0], images)
    np.testing.assert_array_equal(run.show(4), grid)
    inputs = np.arange(2 * 16 * 16, dtype=np.uint8).reshape(2, 16, 16, 1)
    translated = run.translate(inputs)
    generator = run.generator
    latents = generator.latents(gan_jax.game.named_key(0, 'samples'), jnp.arange(2))
    made = generator.apply(generator.weights, latents, (inputs / 127.5 - 1).astype(np.float32))
    assert np.abs(np.asarray(to_uint8(made)).astype(int) - translated).max() <= 1
    for call, sentence in (
        (lambda: run.sample(4, psi=0.5), 'so psi does not apply'),
        (lambda: run.translate(inputs[:, :8]), r'have shape \(8, 16, 1\), and this run translates \(16, 16, 1\)'),
        (lambda: run.translate(inputs / 255), 'are float64 in'),
    ):
        with pytest.raises(UserError, match=sentence):
            call()


def test_clips_and_label_maps_are_translated_too(loaded):
    points = loaded['points']

    def copying(shape, **changes):
        game = points.run.game._replace(given='input', sample=lambda *inputs: inputs[-1], **changes)
        return dataclasses.replace(points, run=points.run._replace(game=game, shapes={'input': shape}))

    clips = np.arange(2 * 4 * 8 * 8).reshape(2, 4, 8, 8, 1).astype(np.uint8)
    run = copying((4, 8, 8, 1), maps=256)
    np.testing.assert_array_equal(run.translate(clips), clips)
    for call, sentence in (
        (lambda: run.translate(clips[:, 1:]), r'have shape \(3, 8, 8, 1\), and this run translates \(4, 8, 8, 1\)'),
        (lambda: run.translate(clips / 255), 'are float64 in'),
        (lambda: run.translate(clips[:0]), r'no images to translate in an array of shape \(0, 4, 8, 8, 1\): give one'),
        (lambda: copying((8, 8, 1)).translate(clips[:0, 0]), r'no images to translate in an array of shape \(0, 8, 8'),
        (lambda: copying((4, 8, 8, 1), maps=9).translate(clips), 'has the class 255, but there are 9 classes'),
        (lambda: copying((14,), captions=9).translate(clips), 'makes images of captions and translates none'),
    ):
        with pytest.raises(UserError, match=sentence):
            call()


def test_what_no_run_can_do_is_refused_in_a_sentence(loaded, tmp_path):
    for call, sentence in (
        (lambda: gan_jax.load(tmp_path), 'is not the directory of a run'),
        (lambda: gan_jax.load(loaded['points'].workdir, step=9), 'There is no checkpoint of step 9'),
        (lambda: loaded['points'].sample(0), 'num'),
        (lambda: loaded['points'].sample(4, classes=[1]), 'unconditional; remove'),
        (lambda: loaded['points'].translate(np.zeros((1, 2, 2, 1), np.uint8)), 'translates none: use sample'),
    ):
        with pytest.raises(UserError, match=sentence):
            call()


def test_a_diverged_run_is_loaded_with_a_warning(loaded, tmp_path):
    workdir = shutil.copytree(loaded['points'].workdir, tmp_path / 'run')
    (workdir / 'diverged.json').write_text('{"reason": "the loss is NaN"}')
    with pytest.warns(UserWarning, match='run diverged in training; this is its checkpoint of step 3'):
        gan_jax.load(workdir)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return np.random.default_rng(0).integers(0, 256, (40, 2, 2, 1)).repeat(4, 1).repeat(4, 2).astype(np.uint8)


def features(images):
    """What QUADRANTS sees, by NumPy."""
    return images.reshape(len(images), 2, 4, 2, 4).mean((2, 4)).reshape(len(images), 4) / 255


def test_scores_of_arrays_are_those_of_their_features(images, tmp_path):
    dark = images // 2
    distance = gan_jax.fid(images, dark, extractor=QUADRANTS)
    (mean, covariance), (other_mean, other) = ((seen.mean(0), np.cov(seen.T)) for seen in map(features, (images, dark)))
    root = np.linalg.eigvals(covariance @ other).real.clip(0) ** 0.5
    expected = ((mean - other_mean) ** 2).sum() + np.trace(covariance) + np.trace(other) - 2 * root.sum()
    assert distance == pytest.approx(expected, rel=1e-4)
    np.savez(tmp_path / 'dark.npz', dark)
    kid = gan_jax.kid(images, tmp_path / 'dark.npz', extractor=QUADRANTS)
    found = gan_jax.evaluate(dark, images, 'fid,kid', extractor=QUADRANTS)
    assert found.values == {'fid': distance, 'kid': kid}
    assert found.records[0].protocol['reals'].startswith('40 of real_images in memory 8x8x1')
    assert found.records[0].subject == 'fake_images in memory'


def test_a_loaded_run_is_evaluated_at_its_step(loaded, images):
    run = loaded['classes']
    options = {'num': 12, 'extractor': 'tests.extractors:QUADRANTS'}
    (record,) = gan_jax.evaluate(run, images.repeat(3, -1), ['fid'], **options).records
    assert record.subject == f'{run.workdir} at step 3'
    assert record == gan_jax.evaluate(run.workdir, images.repeat(3, -1), ['fid'], **options).records[0]


def test_the_path_length_of_a_run_follows_the_distribution_of_its_latents(images, tmp_path, monkeypatch):
    monkeypatch.setattr(of_runs, '_NUM_PATHS', 8)
    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    for distribution, path in (('normal', 'slerp in z'), ('uniform', 'slerp of normal scores in z')):
        overrides = sizes | {'latents.distribution': distribution}
        run = save_untrained(tmp_path / distribution, 'configs/mlp.py', (SIZE, SIZE, 1), None, **overrides)
        (record,) = gan_jax.evaluate(run, images, ['path_length'], num=4, extractor=QUADRANTS).records
        assert record.protocol['rule'].startswith(f'{path}, full')


def test_unfit_images_and_metrics_are_refused_in_a_sentence(images):
    for call, sentence in (
        (lambda: gan_jax.fid(images / 255, images), r'real_images are float64 in \[0, 1\]; metrics take uint8'),
        (lambda: gan_jax.fid(images, images[..., 0]), r'fake_images have shape \[40, 8, 8\]'),
        (lambda: gan_jax.evaluate(images, images, ['fidd']), "'fidd'.*'fid'"),
        (lambda: gan_jax.evaluate(images), 'so real images are required'),
        (lambda: gan_jax.kid(images, images[:1], extractor=QUADRANTS), 'at least 3'),
        (
            lambda: gan_jax.fid(images, images[:, :4], extractor=QUADRANTS),
            'fake_images are 4 x 8 x 1 and those of real_images 8 x 8 x 1',
        ),
    ):
        with pytest.raises(UserError, match=sentence):
            call()
