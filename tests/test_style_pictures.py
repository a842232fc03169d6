"""Pictures of a style generator, conditional and not, from its styles alone; and what is refused."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.main import main
from gan_jax.sampling import latent_pictures, latents, sample_files, trained
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.semantics import semantic_directions, style_kernel
from tests.test_latent_pictures import SIZE, of_seeds, save_untrained, tiles

LAYERS = 4
load_once = functools.cache(trained.load_run)


@functools.cache
def load_noisy(workdir):
    """An untrained run whose noise has strengths that are not 0, and whose images lie within [-1, 1]."""
    run = load_once(workdir, None)

    def strengthened(path, leaf):
        if 'image/convolution/kernel' in jax.tree_util.keystr(path, simple=True, separator='/'):
            return 0.2 * leaf
        return leaf if np.ndim(leaf) else np.float32(0.3)

    params = jax.tree_util.tree_map_with_path(strengthened, run.weights[0])
    return run._replace(generator=run.generator._replace(params=params, ema=None))


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    for module in (latent_pictures, sample_files):
        monkeypatch.setattr(module, 'load_run', lambda workdir, step: load_noisy(pathlib.Path(workdir)))


def save_style(workdir, classes, **options):
    sizes = {'generator.w_size': '6', 'generator.max_width': '4', 'discriminator.max_width': '4'}
    return save_untrained(workdir, 'configs/stylegan2.py', (SIZE, SIZE, 1), classes, **sizes, **options)


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    return save_style(tmp_path_factory.mktemp('plain'), None)


@pytest.fixture(scope='module')
def told(tmp_path_factory):
    conditioning = {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'projection'}
    small = {'generator.embedding_size': '6', 'discriminator.embedding_size': '6'}
    return save_style(tmp_path_factory.mktemp('told'), 3, **conditioning, **small)


def styles_of(workdir, points, condition=None):
    run = load_noisy(workdir)
    conditions = None if condition is None else np.full(len(points), condition, np.int32)
    return np.asarray(mapping(workdir)(*run.weights, points, conditions))


@functools.cache
def mapping(workdir):
    return jax.jit(load_noisy(workdir).game.styles)


@functools.cache
def synthesis(workdir):
    return jax.jit(load_noisy(workdir).game.synthesize)


def made_of(workdir, styles):
    return np.asarray(to_uint8(synthesis(workdir)(*load_noisy(workdir).weights, jnp.asarray(styles, jnp.float32))))


def assert_alike(pictures, expected):
    """Equal but for the rounding of batches of other sizes."""
    np.testing.assert_allclose(pictures.astype(int), np.asarray(expected, int), atol=1)


def test_a_line_in_w_goes_from_picture_to_picture(told):
    path = latent_pictures.draw(told, 'interpolation', seeds=(4, 7), columns=3, classes=(2, 0), space='w')
    assert path.name == 'step0000003-interpolation-w-seeds4,7-classes2,0.png'
    rows = tiles(path, 2, 3)
    for row, condition in zip(rows, (2, 0), strict=True):
        start, end = styles_of(told, of_seeds(told, 4, 7), condition)
        assert_alike(row, made_of(told, [start, (start + end) / 2, end]))
        of_z = sampling.generate(
            load_noisy(told).game, load_noisy(told).generator, of_seeds(told, 4, 7), np.full(2, condition)
        )
        assert_alike(row[[0, 2]], to_uint8(of_z))
    assert np.abs(rows[0].astype(int) - rows[1]).max() > 10


@pytest.mark.parametrize(('what', 'number'), [('walk', 4), ('loop', 6)])
def test_animations_in_w(what, number, plain):
    with Image.open(latent_pictures.draw(plain, what, seeds=(0, 1), frames=3, space='w')) as gif:
        assert gif.n_frames == number
    assert '-w-' in str(next((plain / 'generated').glob(f'*{what}-w-*')))


def test_directions_in_w_move_the_styles_of_some_layers(plain, capsys):
    options = {'directions': 2, 'range': (-4, 4), 'columns': 3, 'space': 'w', 'layers': (0, 2)}
    rows = tiles(latent_pictures.draw(plain, 'directions', **options), 2, 3)
    run = load_noisy(plain)
    params, variables = run.weights
    kernel = style_kernel(lambda ws: run.game.synthesize(params, variables, ws), params, (LAYERS, 6), (0, 2))
    found = semantic_directions(kernel, 2)
    styles = styles_of(plain, of_seeds(plain, 0))
    for row, vector in zip(rows, found.vectors, strict=True):
        moved = np.stack([styles[0] + amount * np.outer([1, 0, 1, 0], vector) for amount in (-4, 0, 4)])
        assert_alike(row, made_of(plain, moved))
    gains = ', '.join(f'{gain:.3g}' for gain in found.gains)
    assert f'A are the style weights; gains: {gains}.' in capsys.readouterr().out


def test_a_grid_of_mixtures_has_the_layers_of_each_column(plain, capsys):
    grid = tiles(latent_pictures.draw(plain, 'mixing', seeds=(1, 2), others=(5, 6, 7)), 7, 4)
    a, b = (styles_of(plain, of_seeds(plain, *seeds)) for seeds in ((1, 2), (5, 6, 7)))
    assert (grid[0, 0] == 255).all()
    assert_alike(grid[0, 1:], made_of(plain, b))
    for part, taken in enumerate([(0, 1), (2,), (3,)]):
        rows = grid[1 + 2 * part : 3 + 2 * part]
        assert_alike(rows[:, 0], made_of(plain, a))
        for i in range(2):
            expected = [[(b[j] if layer in taken else a[i])[layer] for layer in range(LAYERS)] for j in range(3)]
            assert_alike(rows[i, 1:], made_of(plain, expected))
    assert 'of 4 layers, coarse 0,1, middle 2, fine 3.' in capsys.readouterr().out


def test_a_mixture_of_all_layers_is_the_other_in_its_class(told):
    path = latent_pictures.draw(told, 'mixing', seeds=(1,), others=(5, 6), layers=range(LAYERS), classes=(2, 1))
    grid = tiles(path, 4, 3)
    for rows, condition in zip((grid[:2], grid[2:]), (2, 1), strict=True):
        assert_alike(rows[1, 1:], rows[0, 1:])
        assert_alike(rows[0, 1:], made_of(told, styles_of(told, of_seeds(told, 5, 6), condition)))
    assert tiles(latent_pictures.draw(told, 'mixing', seeds=(1,), others=(5, 6), layers=(0,)), 2, 3).shape[0] == 2


def test_truncation_goes_through_the_mean(plain):
    rows = tiles(latent_pictures.draw(plain, 'truncation', seeds=(3, 8), columns=5), 2, 5)
    run = load_noisy(plain)
    mean = np.asarray(run.weights[1]['styles']['average'])
    styles = styles_of(plain, of_seeds(plain, 3, 8))
    for row, own in zip(rows, styles, strict=True):
        assert_alike(row, made_of(plain, [mean + psi * (own - mean) for psi in (-1, -0.5, 0, 0.5, 1)]))
    assert_alike(rows[0, 2], rows[1, 2])
    assert np.abs(rows[0, 4].astype(int) - rows[1, 4]).max() > 10


def test_noise_is_none_fixed_or_random(plain, capsys):
    grid = tiles(latent_pictures.draw(plain, 'noise', seeds=(0, 1), columns=2), 2, 5)
    run, points = load_noisy(plain), of_seeds(plain, 0, 1)
    of_mode = {
        mode: np.asarray(to_uint8(sampling.generate(one.game, one.generator, points)))
        for mode, one in ((mode, run.noisy(mode)) for mode in ('none', 'fixed', 'random'))
    }
    assert_alike(grid[:, 0], of_mode['none'])
    assert_alike(grid[:, 1], of_mode['fixed'])
    assert_alike(grid[:, 1], made_of(plain, styles_of(plain, points)))
    for one, other in ((0, 1), (1, 2), (2, 3)):
        assert np.abs(grid[:, one].astype(int) - grid[:, other]).max() > 10
    key = trained.named_key(run.config.seed, 'noise')
    expected = synthesis(plain)(*run.weights, styles_of(plain, points), key)
    assert_alike(of_mode['random'], to_uint8(expected))
    assert grid[:, 4].max() == 255
    assert 'of 100 draws: at most' in capsys.readouterr().out
    assert main(['--mode', 'sample', '--workdir', str(plain), '--seeds', '0,1', '--noise', 'none']) == 0
    with Image.open(plain / 'generated' / 'step0000003-seeds0,1-noisenone' / '00001.png') as image:
        assert_alike(np.asarray(image)[..., None], of_mode['none'][1])


def invert_own(workdir, condition, tmp_path, noise, **options):
    """An inversion of what a run made itself: the picture's row, the target, and the arrays beside it."""
    run = load_noisy(workdir).noisy(noise)
    styles = styles_of(workdir, of_seeds(workdir, 77), condition)
    target = np.asarray(to_uint8(run.game.synthesize(*run.weights, styles)))[0]
    Image.fromarray(target[..., 0]).save(tmp_path / 'given.png')
    given = {'image': tmp_path / 'given.png', 'noise': noise, **options}
    path = latent_pictures.draw(workdir, 'inversion', **given)
    row, found = tiles(path, 1, 9)[0], dict(np.load(path.with_suffix('.npz')))
    np.testing.assert_array_equal(row[0], target)
    np.testing.assert_array_equal(to_uint8(found['image']), row[1])
    assert_alike(row[1], row[8])
    assert found['latent'].shape == (LAYERS, 6)
    return path, found


def test_an_inversion_into_w_finds_what_the_generator_made(told, tmp_path):
    path, found = invert_own(told, 1, tmp_path, 'none', space='w', classes=(0, 1), seeds=(3, 4), iterations=200)
    assert path.name == 'step0000003-inversion-given-pixels-w-iterations200-seeds3,4-classes0,1-noisenone.png'
    assert found['losses'][-1] < 0.01 * found['losses'][0]
    assert found['condition'] in (0, 1)
    assert not any(name.startswith('noise') for name in found)  # the image has none
    np.testing.assert_array_equal(found['latent'], np.repeat(found['latent'][:1], LAYERS, 0))


def test_an_inversion_into_w_plus_finds_noise_inputs_too(plain, tmp_path):
    path, found = invert_own(plain, None, tmp_path, 'fixed', space='w+', iterations=100)
    assert path.name == 'step0000003-inversion-given-pixels-wplus-iterations100-seeds0-noisefixed.png'
    assert found['losses'][-1] < 0.5 * found['losses'][0]
    assert np.ptp(found['latent'], axis=0).min() > 0.01
    noise = {name: array for name, array in found.items() if name.startswith('noise/')}
    assert {array.shape for array in noise.values()} == {(4, 4), (8, 8)}
    run = load_noisy(plain)
    params, variables = run.weights
    inputs = jax.tree_util.tree_map_with_path(
        lambda path, _: noise[f'noise/{jax.tree_util.keystr(path, simple=True, separator="/")}'], variables['noise']
    )
    made = run.game.synthesize(params, {**variables, 'noise': inputs}, found['latent'][None])
    np.testing.assert_allclose(made[0], found['image'], atol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ('--what walk --space w --path spherical', '--path spherical does not apply to W, where paths are lines'),
        ('--what walk --space x', "There is no space 'x': did you mean 'z'"),
        ('--what directions', 'Directions of a style generator exist in W only: add --space w.'),
        ('--what directions --layers 0', '--layers selects layers with styles, but latents z affect all layers:'),
        ('--what mixing --layers 2-4', 'There is no layer 4: layers with a style are numbered from 0 to 3.'),
        ('--what mixing --space w', '--space does not apply to --what mixing, which accepts'),
        ('--what truncation --psi 0.5', '--psi does not apply to --what truncation, where each column has its own'),
        ('--what truncation --range 0 2', 'psi is 2.0; it must be from -1 to 1'),
        ('--what noise --noise none', '--noise does not apply to --what noise, where each column has its own'),
        ('--noise some', "There is no noise 'some': did you mean"),
        ('--what inversion --image IMAGE --noise random', '--noise random does not apply to an inversion, in which'),
        ('--what inversion --image IMAGE --space w --prior 1', '--prior does not apply to an inversion into W'),
        ('--what inversion --image IMAGE --space w --psi 0.5', '--psi does not apply to an inversion into W'),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments, sentence, plain, tmp_path, capsys):
    Image.new('L', (SIZE, SIZE)).save(tmp_path / 'image.png')
    arguments = arguments.replace('IMAGE', str(tmp_path / 'image.png')).split()
    assert main(['--mode', 'sample', '--workdir', str(plain), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_generator_without_styles_is_told_so(tmp_path, monkeypatch):
    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    grey = save_untrained(tmp_path, 'configs/mlp.py', (SIZE, SIZE, 1), None, **sizes)
    rows = tiles(latent_pictures.draw(grey, 'truncation', seeds=(3,), columns=3), 1, 3)
    run = load_noisy(grey)
    images = sampling.generate(run.game, run.generator, of_seeds(grey, 3) * np.array([[-1], [0], [1]], np.float32))
    assert_alike(rows[0], to_uint8(images))
    for what, options in (
        ('--what mixing', {'what': 'mixing'}),
        ('--what noise', {'what': 'noise'}),
        ('--space w', {'what': 'walk', 'space': 'w'}),
        ('--noise', {'what': 'walk', 'noise': 'none'}),
    ):
        with pytest.raises(
            UserError, match=rf'^{what} needs a style generator, but the model of this run, mlp, has no styles'
        ):
            latent_pictures.draw(grey, **options)
    with pytest.raises(UserError, match=r'^--noise needs a style generator'):
        sample_files.sample_workdir(grey, noise='fixed')
    assert latents.move(np.ones((2, 3)), np.array([[1], [0]]) * [0.0, 1, 0], [5]).tolist() == [[[1, 6, 1], [1, 1, 1]]]


def test_a_style_generator_without_noise_inputs_is_told_so(plain):
    run = load_noisy(plain)
    variables = {name: value for name, value in run.generator.variables.items() if name != 'noise'}
    silent = run._replace(generator=run.generator._replace(variables=variables))
    with pytest.raises(UserError, match='The style generator of this run has no noise inputs'):
        silent.noisy('none')
