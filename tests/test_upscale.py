"""Images enlarged by a run: tiles, files of all kinds, blended weights."""

import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import ExifTags, Image

from gan_jax import build
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.main import main
from gan_jax.models.srgan import Generator
from gan_jax.records import files, provenance
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling.trained import load_run
from gan_jax.sampling.upscale import in_tiles, upscale

TINY = {f'{role}.width': '2' for role in ('generator', 'discriminator')} | {
    'generator.depth': '1',
    'discriminator.hidden': '4',
    'game.crop': '16',
    'data.split': 'test',
    'data.channels': '3',
    'data.size': '16',
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The directory of a run whose last phase has not begun: its two checkpoints have other weights."""
    workdir = tmp_path_factory.mktemp('run')
    whole = configs.load('configs/srgan.py:digits,2', TINY | {'game.content': 'none'})
    dataset = load(whole.data.name, split='test', size=16, channels=3)
    files.replace(workdir / 'run.json', json.dumps({'data': provenance.describe(dataset)}).encode())
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        for step, adversary in ((3, 0.0), (7, 0.001)):
            config = whole.copy_and_resolve_references()
            config.game.adversary, config.seed = adversary, step
            game = build.make_game(config, dataset.shape, shapes=dataset.shapes)
            checkpoints.save(step, build.init_state(config, game), config=json_values.to_json(config), metrics={})
    return workdir


def made_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize('size', [pytest.param((7, 40), marks=pytest.mark.slow), (33, 30)])
def test_tiles_make_the_whole_image_if_they_overlap_by_the_reach_of_the_layers(size):
    module = Generator(width=4, depth=1, factor=2)
    image = np.random.default_rng(0).uniform(-1, 1, (*size, 3)).astype(np.float32)
    variables = module.init(jax.random.key(0), jnp.asarray(image)[None], train=False)
    enlarge = jax.jit(lambda window: module.apply(variables, window[None], train=False)[0])
    whole = enlarge(image)
    reach = 4 + 2 + 1 + 1 + 2  # 9x9; a block; 3x3; 3x3 before the shuffle; 9x9 at twice the size
    shapes = set()

    def seen(window):
        shapes.add(window.shape)
        return np.asarray(enlarge(window))

    np.testing.assert_allclose(in_tiles(seen, image, 2, 24, reach), whole, atol=1e-5)
    assert shapes == {(min(24, size[0]), min(24, size[1]), 3)}  # which compile once
    if min(size) > 24:
        assert np.abs(in_tiles(seen, image, 2, 24, 1) - whole).max() > 1e-3  # else there would be no seams to see


def test_an_image_of_any_size_is_enlarged(run, tmp_path):
    small = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    Image.fromarray(small).save(tmp_path / 'photo.png')
    arguments = ['--mode', 'sample', '--workdir', str(run), '--what', 'upscale', '--image', str(tmp_path / 'photo.png')]
    assert main(arguments) == 0
    path = run / 'generated' / 'step0000007-upscale-photo.png'
    loaded = load_run(run)
    made = loaded.game.sample(*loaded.weights, jnp.zeros((1, 0)), jnp.float32(small[None]) / 127.5 - 1)
    expected = np.clip(np.round((np.asarray(made[0], np.float64) + 1) * 127.5), 0, 255)
    np.testing.assert_allclose(made_of(path), expected, atol=1)
    assert made_of(path).shape == (18, 26, 3)


def test_an_image_enlarged_by_a_diverged_run_comes_with_a_warning(run, tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / 'photo.png')
    workdir = shutil.copytree(run, tmp_path / 'run')
    (workdir / 'diverged.json').write_text('{"reason": "the loss is NaN"}')
    with pytest.warns(UserWarning, match='run diverged in training; this is its checkpoint of step 7'):
        upscale(workdir, image=tmp_path / 'photo.png')


def test_files_are_read_as_data_are(run, tmp_path):
    small = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(small).save(tmp_path / 'plain.png')
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(small)).save(tmp_path / 'turned.png', exif=exif)
    alpha = np.full((8, 12, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([small, alpha], axis=2)).save(tmp_path / 'opaque.png')
    Image.fromarray(np.concatenate([small, 0 * alpha], axis=2)).save(tmp_path / 'transparent.png')
    Image.fromarray(np.full_like(small, 255)).save(tmp_path / 'white.png')
    made = {path.stem: made_of(upscale(run, image=path)) for path in tmp_path.glob('*.png')}
    for name in ('turned', 'opaque'):
        np.testing.assert_array_equal(made[name], made['plain'])
    np.testing.assert_array_equal(made['transparent'], made['white'])


@pytest.mark.slow
def test_blended_weights_are_between_those_of_the_phases(run, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)).save(tmp_path / 'photo.png')
    options = {'image': tmp_path / 'photo.png'}
    first, last, none, whole, half = (
        made_of(upscale(run, **options, **more))
        for more in ({'step': 3}, {'step': 7}, {'blend': 0.0}, {'blend': 1.0}, {'blend': 0.5})
    )
    np.testing.assert_array_equal(none, first)
    np.testing.assert_array_equal(whole, last)
    assert all((half != other).any() for other in (first, last))
    weights = [load_run(run, step).weights for step in (3, 7)]
    mean = jax.tree.map(lambda one, other: (one + other) / 2, *weights)
    images = jnp.float32(made_of(options['image'])[None]) / 127.5 - 1
    expected = load_run(run).game.sample(*mean, jnp.zeros((1, 0)), images)[0]
    np.testing.assert_allclose(half, np.clip(np.round((np.asarray(expected) + 1) * 127.5), 0, 255), atol=1)


def test_sentences(run, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / 'photo.png')
    (tmp_path / 'broken.png').write_bytes(b'no image')
    for options, sentence in (
        ({}, '--what upscale needs --image'),
        ({'image': pathlib.Path('nowhere.png')}, 'nowhere.png cannot be read as an image'),
        ({'image': tmp_path / 'broken.png'}, 'broken.png cannot be read as an image'),
        ({'image': tmp_path / 'photo.png', 'tile': 4}, '--tile is 4; it must be from 8 to 8192'),
        ({'image': tmp_path / 'photo.png', 'tile': 16, 'overlap': 8}, '--overlap is 8; it must be from 0 to less than'),
        ({'image': tmp_path / 'photo.png', 'blend': 1.5}, '--blend is 1.5; it must be from 0 to 1'),
    ):
        with pytest.raises(UserError, match=sentence):
            upscale(run, **options)
    monkeypatch.setattr(Checkpoints, 'all_steps', lambda self: [7])
    with pytest.raises(UserError, match='has no checkpoint of a phase without an adversary to blend with'):
        upscale(run, image=tmp_path / 'photo.png', blend=0.5)


@pytest.mark.slow
def test_other_runs_enlarge_nothing(tmp_path):
    from tests.test_shown import save_untrained

    workdir = save_untrained(tmp_path, 'pix2pix')
    with pytest.raises(UserError, match='does not enlarge images: use a run of the config srgan or esrgan'):
        upscale(workdir, image=tmp_path / 'photo.png')
