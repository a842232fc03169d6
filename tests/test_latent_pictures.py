"""Every picture of a grey unconditional run and of a coloured conditional one; and what is refused."""

import functools
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from gan_jax import build, data
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.main import main
from gan_jax.records import files
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling import latent_pictures, latents, sample_files, trained
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.semantics import first_kernel, semantic_directions

SIZE = 8
load_once = functools.cache(trained.load_run)  # one game, and so its programs are compiled once


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    for module in (latent_pictures, sample_files):
        monkeypatch.setattr(module, 'load_run', lambda workdir, step: load_once(pathlib.Path(workdir), step))


def save_untrained(workdir, spec, shape, classes, **overrides):
    """A run's directory before its first step."""
    config = configs.load(spec, {'latents.size': '5', **overrides})
    game = build.make_game(config, shape, num_classes=classes)
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        checkpoints.save(3, build.init_state(config, game), config=json_values.to_json(config), metrics={})
    facts = f'{{"data": {{"shape": {list(shape)}, "classes": {"null" if classes is None else classes}}}}}'
    files.replace(workdir / 'run.json', facts.encode())
    return workdir


@pytest.fixture(scope='module')
def grey(tmp_path_factory):
    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    return save_untrained(tmp_path_factory.mktemp('grey'), 'configs/mlp.py', (SIZE, SIZE, 1), None, **sizes)


@pytest.fixture(scope='module')
def coloured(tmp_path_factory):
    options = {'generator.width': '4', 'discriminator.width': '4', 'latents.distribution': 'uniform'}
    return save_untrained(tmp_path_factory.mktemp('coloured'), 'configs/cgan.py', (SIZE, SIZE, 3), 3, **options)


@pytest.fixture(scope='module')
def points(tmp_path_factory):
    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    return save_untrained(tmp_path_factory.mktemp('points'), 'configs/toy.py:ring', (2,), None, **sizes)


@pytest.fixture(scope='module')
def coded(tmp_path_factory):
    sizes = {f'{player}.{name}': '4' for player in ('generator', 'discriminator') for name in ('width', 'hidden')}
    options = {**sizes, 'latents.size': '8', 'game.categories': '(3,)'}
    return save_untrained(tmp_path_factory.mktemp('coded'), 'configs/infogan.py', (SIZE, SIZE, 1), None, **options)


def tiles(path, rows, columns):
    """The images [rows, columns, SIZE, SIZE, C] of a picture of a grid."""
    with Image.open(path) as opened:
        picture = np.asarray(opened)
    picture = picture.reshape(*picture.shape[:2], -1)
    scale = ((picture.shape[1] - 2) // columns - 2) // SIZE
    side = scale * SIZE
    assert picture.shape[:2] == (rows * (side + 2) + 2, columns * (side + 2) + 2)
    starts = np.arange(max(rows, columns)) * (side + 2) + 2
    return np.array(
        [[picture[y : y + side : scale, x : x + side : scale] for x in starts[:columns]] for y in starts[:rows]]
    )


def made(workdir, points, condition=None):
    run = load_once(workdir, None)
    conditions = None if condition is None else np.full(len(points), condition, np.int32)
    images = sampling.generate(run.game, run.generator, np.asarray(points, np.float32), conditions)
    return np.asarray(to_uint8(images))


def of_seeds(workdir, *seeds):
    return np.asarray(sampling.seed_latents(load_once(workdir, None).game, seeds))


def test_an_interpolation_has_a_row_from_each_seed_to_the_next(grey, coloured):
    path = latent_pictures.draw(grey, 'interpolation', seeds=(4, 7, 1), columns=3)
    assert path.name == 'step0000003-interpolation-spherical-seeds4,7,1.png'
    rows = tiles(path, 2, 3)
    ends = of_seeds(grey, 4, 7, 1)
    np.testing.assert_array_equal(rows[0, [0, 2]], made(grey, ends[:2]))
    np.testing.assert_array_equal(rows[1, 1], made(grey, latents.slerp(ends[1:2], ends[2:], 0.5))[0])
    line = tiles(latent_pictures.draw(coloured, 'interpolation', path='linear', columns=3, classes=('2', '0')), 2, 3)
    middle = of_seeds(coloured, 0, 1).mean(0, keepdims=True)
    np.testing.assert_array_equal(line[:, 1], [made(coloured, middle, 2)[0], made(coloured, middle, 0)[0]])


def test_a_traversal_has_a_row_for_each_dimension(grey, coloured):
    rows = tiles(latent_pictures.draw(grey, 'traversal', dimension=(3, 0), range=(-2, 4), columns=3, seeds=(6,)), 2, 3)
    latent = of_seeds(grey, 6)[0]
    np.testing.assert_array_equal(rows[0], made(grey, latents.traverse(latent, 3, [-2, 1, 4])))
    np.testing.assert_array_equal(rows[1], made(grey, latents.traverse(latent, 0, [-2, 1, 4])))
    rows = tiles(latent_pictures.draw(coloured, 'traversal', columns=3), 3, 3)  # each class
    values = latents.traverse(of_seeds(coloured, 0)[0], 0, [-1, 0, 1])
    np.testing.assert_array_equal(rows, [made(coloured, values, one) for one in range(3)])


def test_codes_have_a_row_for_each_category(coded):
    path = latent_pictures.draw(coded, 'codes', dimension=(1, 0), columns=3, seeds=(6,))
    assert path.name == 'step0000003-codes-dimension1,0-seeds6.png'
    rows = tiles(path, 6, 3)
    points = np.tile(of_seeds(coded, 6)[0], (2, 3, 3, 1))  # noise, three categories, two continuous codes
    points[..., 3:6] = np.eye(3)[:, None]
    points[0, ..., 7] = points[1, ..., 6] = [-2, 0, 2]
    np.testing.assert_array_equal(rows.reshape(18, *rows.shape[2:]), made(coded, points.reshape(18, 8)))
    fixed = sampling.fixed_samples(load_once(coded, None).game, 7, 0, None)
    assert fixed.columns == 2
    np.testing.assert_array_equal(fixed.latents[:, 3:6], np.repeat(np.eye(3), 2, axis=0))


@pytest.mark.parametrize('which', ['grey', 'coloured'])
def test_directions_have_a_row_each(which, request, capsys):
    workdir = request.getfixturevalue(which)
    rows = tiles(latent_pictures.draw(workdir, 'directions', directions=2, range=(-1, 1), columns=3), 2, 3)
    found = semantic_directions(first_kernel(load_once(workdir, None).generator.ema[0], 5), 2)
    latent, condition = of_seeds(workdir, 0), 0 if which == 'coloured' else None
    for row, vector in zip(rows, found.vectors, strict=True):
        np.testing.assert_array_equal(row, made(workdir, latent + np.array([[-1], [0], [1]]) * vector, condition))
    gains = ', '.join(f'{gain:.3g}' for gain in found.gains)
    assert f'A is the weight of Dense_0 of the latents; gains: {gains}.' in capsys.readouterr().out


def test_the_way_through_some_classes_is_closed(coloured, grey):
    rows = tiles(latent_pictures.draw(coloured, 'classes', classes=(2, 0), columns=3), 2, 3)
    np.testing.assert_array_equal(rows[0, [0, 2]], [made(coloured, of_seeds(coloured, 0), one)[0] for one in (2, 0)])
    np.testing.assert_array_equal(rows[1], rows[0, ::-1])
    with pytest.raises(UserError, match='is unconditional, so there are no classes to interpolate'):
        latent_pictures.draw(grey, 'classes')


@pytest.mark.parametrize(('what', 'number'), [('walk', 7), ('loop', 9)])
def test_animations_have_all_classes_in_a_frame(what, number, grey, coloured):
    with Image.open(latent_pictures.draw(grey, what, seeds=(0, 1, 2), frames=3)) as gif:
        assert gif.n_frames == number
        assert gif.size == (228, 228)
    with Image.open(latent_pictures.draw(coloured, what, seeds=(0, 1), frames=2, path='linear')) as gif:
        assert gif.size == (454, 454)  # two by two, of which one is empty
        assert gif.n_frames == (3 if what == 'walk' else 4)


def test_an_inversion_finds_what_the_generator_made(coloured, tmp_path):
    target = made(coloured, of_seeds(coloured, 77), 1)[0]
    Image.fromarray(target).save(tmp_path / 'given.png')
    path = latent_pictures.draw(coloured, 'inversion', image=tmp_path / 'given.png', seeds=(77, 5), iterations=20)
    assert path.name == 'step0000003-inversion-given-pixels-iterations20-seeds77,5.png'
    row = tiles(path, 1, 9)[0]
    np.testing.assert_array_equal(row[0], target)
    found = np.load(path.with_suffix('.npz'))
    assert found['condition'] == 1
    assert found['losses'].shape == (21,)
    np.testing.assert_array_equal(to_uint8(found['image']), row[1])
    np.testing.assert_array_equal(made(coloured, found['latent'][None], 1)[0], row[-1])
    assert found['losses'][-1] < 1e-4


def test_samples_by_seed_class_and_truncation(grey, coloured, capsys):
    command = ['--mode', 'sample', '--workdir']
    assert main([*command, str(coloured), '--seeds', '3,8-9', '--classes', '1', '--psi', '0.5']) == 0
    directory = coloured / 'generated' / 'step0000003-seeds3,8,9-classes1-psi0.5'
    singles = made(coloured, of_seeds(coloured, 3, 8, 9) / 2, 1)
    with Image.open(directory / '00001.png') as image:
        np.testing.assert_array_equal(image, singles[1])
    np.testing.assert_array_equal(tiles(directory / 'grid.png', 1, 3)[0], singles)
    with pytest.warns(UserWarning, match=r'skipped \(1 grid\.png, 1 interpolation\.png\)'):
        judged = data.load(f'folder:{directory}', cache_dir=coloured / 'cache', show_progress=False)
    np.testing.assert_array_equal(judged.examples, singles)
    assert main([*command, str(grey), '--grid', '2x3', '--threshold', '0.5', '--seed', '4']) == 0
    directory = grey / 'generated' / 'step0000003-seed4-grid2x3-threshold0.5'
    expected = made(grey, sampling.fixed_latents(load_once(grey, None).game, 6, 4, threshold=0.5))
    np.testing.assert_array_equal(tiles(directory / 'grid.png', 2, 3).reshape(expected.shape), expected)
    capsys.readouterr()


@pytest.mark.parametrize(
    ('which', 'arguments', 'sentence'),
    [
        (
            'points',
            '--what traversal',
            'generates points, not images: only --what samples is available.',
        ),
        ('points', '--grid 2x2', 'generates points, which have no grid: omit --grid.'),
        (
            'grey',
            '--what traversal --dimension 5',
            'The dimension is 5; it must be from 0 to 4, because the latents have 5 dimensions.',
        ),
        ('grey', '--what codes', 'have no codes, which the game infogan has: use traversal.'),
        (
            'coded',
            '--what codes --dimension 2',
            '--dimension is 2; it must be the number of a continuous code, of which',
        ),
        ('coded', '--threshold 0.5', '--threshold draws components of latents again, and this game has codes there'),
        ('grey', '--classes 3', 'The generator of this run is unconditional; remove --classes.'),
        (
            'coloured',
            '--what loop --classes 3',
            'There is no class 3: classes are numbered from 0 to 2; the nearest is 2.',
        ),
        ('grey', '--what loop --psi 1.5', 'psi is 1.5; it must be from -1 to 1'),
        (
            'grey',
            '--what walk --seed 3',
            'A path needs at least two seeds, such as --seeds 0,1.',
        ),
        (
            'grey',
            '--what walk --path sphere',
            "There is no path 'sphere': did you mean 'spherical'? Choose from spherical, linear.",
        ),
        ('grey', '--what walk --frames 0', '--frames is 0; it must be from 1 to 10000.'),
        ('grey', '--what walk --frames 100000000', '--frames is 100000000; it must be from 1 to 10000.'),
        ('grey', '--what interpolation --columns 1', '--columns is 1; it must be from 2 to 10000.'),
        (
            'grey',
            '--what walk --dimension 3',
            '--dimension does not apply to --what walk, which accepts --step, --seeds,',
        ),
        ('grey', '--what walk --format avi', "There is no format 'avi' for animations: choose gif or mp4."),
        ('grey', '--format mp4', '--format is that of films, but'),
        ('grey', '--what inversion', 'An inversion needs --image, the file of the image to invert.'),
        (
            'grey',
            '--seeds 1,2 --num 3',
            '--seeds cannot be combined with --num or --seed.',
        ),
        ('grey', '--grid 1x2 --num 3', '--grid cannot be combined with --num.'),
        (
            'grey',
            '--what walk --seeds 0,1 --seed 3',
            '--seed does not apply to --what walk, which accepts --step, --seeds',
        ),
        ('grey', '--what upscale --seed 3', '--seed does not apply to --what upscale, which accepts --image,'),
        ('grey', '--step all', '--step all is for mode eval: name one checkpoint, or omit --step for the latest.'),
    ],
)
def test_what_makes_no_sense_is_one_sentence(which, arguments, sentence, request, capsys):
    workdir = request.getfixturevalue(which)
    assert main(['--mode', 'sample', '--workdir', str(workdir), *arguments.split()]) == 2
    assert sentence in capsys.readouterr().err


def test_points_are_sampled_with_truncation(points):
    directory = sample_files.sample_workdir(points, seeds=(1, 2), psi=0.5)
    run = load_once(points, None)
    expected = sampling.generate(run.game, run.generator, of_seeds(points, 1, 2) / 2)
    np.testing.assert_array_equal(np.load(directory / 'points.npy'), expected)


def test_psi_draws_the_styles_of_a_style_generator_towards_their_mean(tmp_path):
    sizes = {'generator.w_size': '6', 'generator.max_width': '4', 'discriminator.max_width': '4'}
    workdir = save_untrained(tmp_path, 'configs/stylegan2.py', (8, 8, 1), None, **sizes)
    run = trained.load_run(workdir)
    latents = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    images = sampling.generate(run.game, run.generator, latents)
    assert np.abs(images[0] - images[1]).max() > 1e-3
    mean, rest = run.truncated(0.0)
    assert rest == 1.0
    alike = sampling.generate(mean.game, mean.generator, latents)
    np.testing.assert_allclose(alike, np.broadcast_to(alike[:1], alike.shape), atol=1e-6)
    assert run.truncated(1.0) == (run, 1.0)
    with pytest.raises(UserError, match='psi is 2; it must be from -1 to 1'):
        run.truncated(2)


@pytest.mark.parametrize('what', ['samples', 'interpolation'])
def test_pictures_of_a_diverged_run_come_with_a_warning(grey, tmp_path, capsys, what):
    workdir = shutil.copytree(grey, tmp_path / 'run')
    (workdir / 'diverged.json').write_text('{"reason": "the loss is NaN"}')
    assert main(['--mode', 'sample', '--workdir', str(workdir), '--what', what]) == 0
    assert capsys.readouterr().err.count(f'{workdir} diverged in training; this is its checkpoint of step 3.') == 1
