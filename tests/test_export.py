"""Exported generators: their programs make a run's samples, also without gan_jax; the model card."""

import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from gan_jax import build
from gan_jax import config as configs
from gan_jax.codes import Codes
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.game import Player
from gan_jax.games.stargan import _Sets
from gan_jax.records import files
from gan_jax.records.metrics import evaluations_of
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling import sample_files
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.program import make_program
from gan_jax.sampling.trained import TrainedRun, load_run
from gan_jax.training import run
from gan_jax.training.datasets import load_data
from tests.test_latent_pictures import save_untrained
from tests.test_shown import save_untrained as save_translator
from tools import model_card
from tools.export import export, main

SIZE, CLASSES = 8, 3
ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
QUICK = ('cyclegan', 'gat', 'sagan')
STRANGER = 'import sys\nfor name in ("gan_jax", "flax", "optax", "orbax", "ml_collections"): sys.modules[name] = None\n'
WIDTH = {'generator.width': '4', 'discriminator.width': '4'}
load_once = functools.cache(load_run)


@pytest.fixture(scope='module')
def classes(tmp_path_factory):
    directory = tmp_path_factory.mktemp('runs') / 'classes'
    return save_untrained(directory, 'configs/cgan.py', (SIZE, SIZE, 1), CLASSES, **WIDTH)


@pytest.fixture(scope='module')
def style(tmp_path_factory):
    width = {'generator.w_size': '6', 'generator.max_width': '4', 'discriminator.max_width': '4'}
    return save_untrained(tmp_path_factory.mktemp('style'), 'configs/stylegan2.py', (SIZE, SIZE, 1), None, **width)


@pytest.fixture(scope='module')
def points(tmp_path_factory):
    widths = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    return save_untrained(tmp_path_factory.mktemp('points'), 'configs/toy.py:ring', (2,), None, **widths)


def call(directory, *inputs):
    """What the program in a directory makes."""
    program = jax.export.deserialize((directory / 'generator.stablehlo').read_bytes())
    assert program.platforms == ('cpu', 'cuda', 'tpu')
    return program.call(safetensors.numpy.load_file(directory / 'weights.safetensors'), *inputs)


def made(trained, *inputs):
    return sampling.generate(trained.game, trained.generator, *inputs)


def draw(trained, count):
    return trained.game.latents(jax.random.key(1), jnp.arange(count))


def program_in(path, word):
    """The Python program in a Markdown file that has a word."""
    programs = re.findall(r'```python\n(.*?)```', path.read_text(), re.DOTALL)
    return next(program for program in programs if word in program)


def test_the_readmes_program_makes_the_runs_images_without_gan_jax(tmp_path):
    workdir = save_untrained(
        tmp_path / 'run', 'configs/dcgan.py', (SIZE, SIZE, 1), None, **WIDTH | {'latents.size': '32'}
    )
    export(workdir, tmp_path / 'exported')
    program = program_in(ROOT / 'README.md', 'generator.stablehlo')
    program = f'{STRANGER}{program}\nimport numpy\nnumpy.save("made.npy", images)'
    subprocess.run([sys.executable, '-c', program], cwd=tmp_path, check=True, timeout=120)
    latents = jax.random.normal(jax.random.key(0), (16, 32))
    np.testing.assert_allclose(np.load(tmp_path / 'made.npy'), made(load_run(workdir), latents), atol=1e-6)


def test_the_model_card_loads_the_program_and_shows_its_samples(classes, capsys, monkeypatch):
    assert main([str(classes)]) == 0
    directory = classes / 'exported'
    assert capsys.readouterr().out == f'Wrote {directory}\n'
    monkeypatch.chdir(directory)
    names = {}
    exec(program_in(directory / 'README.md', 'program.call'), names)
    images = made(load_once(classes), names['latents'], names['labels'])
    np.testing.assert_allclose(names['images'], images, atol=1e-6)
    assert 'Labels: 0, 1, 2.' in (directory / 'README.md').read_text()

    sample_files.sample_workdir(classes)
    grid = classes / 'generated' / 'step0000003-seed0' / 'grid.png'
    shown, drawn = (np.asarray(Image.open(path)) for path in (directory / 'samples.png', grid))
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(int) - drawn).max() <= 1  # of 255


def test_a_style_generator_has_truncated_styles_and_its_noise(style, tmp_path):
    directory = export(style, tmp_path / 'out', psi=0.4, noise='none')
    truncated, factor = load_once(style).truncated(0.4)
    assert factor == 1
    latents = draw(truncated, 3)
    np.testing.assert_allclose(call(directory, latents), made(truncated.noisy('none'), latents), atol=1e-6)
    card = (directory / 'README.md').read_text()
    assert '| exported with | psi 0.4, noise none |' in card


def test_the_weights_of_a_run_in_the_working_directory_have_its_name(points, tmp_path, monkeypatch):
    monkeypatch.chdir(points)
    with safetensors.safe_open(export(pathlib.Path(), tmp_path) / 'weights.safetensors', 'numpy') as weights:
        assert weights.metadata() == {'run': points.name, 'step': '3'}


def test_a_generator_without_styles_has_truncated_latents(points):
    latents = draw(load_once(points), 5)
    examples = call(export(points, psi=-0.5), latents)
    np.testing.assert_allclose(examples, made(load_once(points), -0.5 * latents), atol=1e-6)
    assert examples.shape == (5, 2)


def test_standing_statistics_are_among_the_weights(classes, tmp_path):
    weights = safetensors.numpy.load_file(export(classes, tmp_path, standing_statistics=2) / 'weights.safetensors')
    standing = load_once(classes).standing(2).weights[1]['batch_stats']
    name = 'variables/batch_stats/BatchNorm_0/mean'
    np.testing.assert_array_equal(weights[name], standing['BatchNorm_0']['mean'])
    assert weights[name].all()  # the running averages are 0


def test_a_translator_takes_images(tmp_path, monkeypatch):
    workdir = save_translator(tmp_path / 'pairs', 'pix2pix')
    directory, trained, names = export(workdir), load_run(workdir), {}
    card = (directory / 'README.md').read_text()
    assert 'samples.png' not in card  # which nobody has drawn
    monkeypatch.chdir(directory)
    exec(program_in(directory / 'README.md', 'program.call'), names)
    assert names['images'].shape == (16, 16, 16, 1)
    np.testing.assert_allclose(names['translations'], made(trained, names['latents'], names['images']), atol=1e-5)
    images = np.linspace(-1, 1, 2 * 16 * 16, dtype=np.float32).reshape(2, 16, 16, 1)
    latents = draw(trained, 2)
    np.testing.assert_allclose(call(directory, latents, images), made(trained, latents, images), atol=1e-5)
    with pytest.raises(UserError, match='has no latents to truncate: remove --psi'):
        export(workdir, psi=0.5)


@pytest.mark.parametrize(
    ('field', 'dtype', 'changes', 'words'),
    [
        ('captions', 'int32', {'captions': 5}, 'your numbers of words'),
        ('captions', 'float32', {}, 'your embeddings of captions'),
        ('images', 'float32', {'maps': 3}, 'your label maps, class k as 2 k / 255 - 1'),
        ('images', 'float32', {'hole': len}, 'the upper left corners of holes'),
    ],
)
def test_the_model_card_draws_inputs_of_other_kinds(points, field, dtype, changes, words):
    trained = load_once(points)
    trained = trained._replace(game=trained.game._replace(**changes), shape=(3, SIZE, SIZE, 3))
    latents = jax.ShapeDtypeStruct((1, 2), np.int32 if 'hole' in changes else np.float32)
    usage = model_card._usage(trained, {'latents': latents, field: jax.ShapeDtypeStruct((1, 4), dtype)})
    assert words in usage
    assert ('clips = program' in usage) == (field == 'captions')
    names = {'jax': jax}
    exec('\n'.join(line for line in usage.splitlines() if line.startswith(('latents =', field))), names)
    assert (names['latents'].dtype, names['latents'].shape) == (latents.dtype, (16, 2))
    assert (names[field].dtype, names[field].shape) == (dtype, (16, 4))


@pytest.mark.parametrize(
    ('changes', 'label_sets'),
    [
        ({'codes': Codes((3, 2), 2)}, {}),
        ({'codes': Codes((), 1)}, {}),
        ({'targets': len, 'latents': _Sets({'real': 3}).draw}, {'real': range(3)}),
        ({'targets': len, 'latents': _Sets({'a': 2, 'real': 3}).draw}, {'real': range(3), 'a': ('old', 'new')}),
    ],
)
def test_the_latents_of_a_model_card_have_codes_and_domains_where_the_runs_have_them(points, changes, label_sets):
    trained = load_once(points)
    if 'codes' in changes:
        changes = {**changes, 'latents': changes['codes'].latents(lambda key, at: jax.random.normal(key, (len(at), 9)))}
    trained = trained._replace(game=trained.game._replace(**changes), num_classes=3, label_sets=label_sets)
    drawn = np.asarray(draw(trained, 200))
    names, latents = {'jax': jax}, jax.ShapeDtypeStruct((1, drawn.shape[1]), np.float32)
    usage = model_card._usage(trained, {'latents': latents})
    exec('\n'.join(line for line in usage.splitlines() if line.startswith('latents =')), names)
    found = np.asarray(names['latents'])
    assert (found.dtype, found.shape) == (np.float32, (16, drawn.shape[1]))
    discrete = [column for column in range(drawn.shape[1]) if set(drawn[:, column]) == {0, 1}]
    assert set(map(tuple, found[:, discrete])) <= set(map(tuple, drawn[:, discrete]))
    if 'codes' in changes:
        assert np.abs(found[:, -changes['codes'].continuous :]).max() < 1


def test_the_model_card_is_text_whatever_the_names_of_files(points, tmp_path):
    workdir = shutil.copytree(points, tmp_path / 'caf\udce9')
    latents = {'latents': jax.ShapeDtypeStruct((1, 2), np.float32)}
    assert 'caf?' in model_card.model_card(workdir, load_once(points), latents, {})


def test_the_model_card_has_the_metrics_of_its_step_with_their_protocols(points, tmp_path):
    workdir = shutil.copytree(points, tmp_path / 'run')
    assert f'--mode eval --workdir {workdir} --step 3' in (export(workdir) / 'README.md').read_text()
    fid = {'metric': 'fid', 'value': 12.5, 'error': None, 'protocol': {'extractor': 'quadrants', 'reals': '40 | x'}}
    for step in (2, 3):
        evaluations_of(workdir).append({'step': step, **fid, 'value': fid['value'] * step})
    later = [{**fid, 'metric': 'kid', 'error': 0.25, 'subject': 'it'}]
    files.replace(workdir / 'evaluation' / 'step0000003-seed0.json', json.dumps(later).encode())
    lines = (export(workdir, psi=0.9) / 'README.md').read_text().splitlines()
    start = lines.index('## Metrics')
    assert lines[start + 2 :] == [
        'Measured without psi 0.9.',
        '',
        '| metric | value | error | protocol |',
        '| --- | --- | --- | --- |',
        r'| fid | 37.5 |  | extractor=quadrants; reals=40 \| x |',
        r'| kid | 12.5 | 0.25 | extractor=quadrants; reals=40 \| x |',
    ]


def test_what_cannot_be_exported_is_refused_in_a_sentence(points, tmp_path, capsys):
    def refused(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err

    assert f'{tmp_path} is not the directory of a run' in refused(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / 'file').touch()
    assert 'README.md cannot be written (File exists)' in refused(points, '--out', tmp_path / 'file')
    assert 'psi is 2.0; it must be from -1 to 1' in refused(points, '--out', tmp_path / 'out', '--psi', '2')

    workdir = shutil.copytree(points, tmp_path / 'run')
    files.replace(workdir / 'diverged.json', b'{"reason": "the loss is NaN"}')
    assert main([str(workdir)]) == 0
    assert f'{workdir} diverged in training; this is its checkpoint of step 3.' in capsys.readouterr().err
    trained = load_run(workdir)
    state = jax.eval_shape(build.initializer(trained.config, trained.game), jax.random.key(0))
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        _, state = checkpoints.restore(state, 3)
        broken = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), state.generator.ema)
        state = state.with_player('generator', ema=broken)
        checkpoints.save(4, state, config=json_values.to_json(trained.config), metrics={})
    assert 'is NaN or infinite at step 4; choose an earlier checkpoint by --step.' in refused(workdir)


def test_a_generator_that_counts_its_batch_is_refused_with_the_remedy(points):
    trained = load_once(points)
    game = trained.game._replace(sample=lambda params, variables, latents: jnp.zeros((len(latents), 2)))
    with pytest.raises(UserError, match=r'write x.shape\[0\] instead of len\(x\)'):
        make_program(trained._replace(game=game))


@pytest.mark.parametrize(
    'path', [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in CONFIGS]
)
def test_the_generator_of_every_config_is_exported_for_any_batch_size(path):
    config = configs.load(f'{path}:debug')
    dataset = load_data(config.data)
    classes = run.count_classes(config, dataset)
    game = build.make_game(config, dataset.shape, num_classes=classes, shapes=dataset.shapes)
    weights = jax.eval_shape(game.init, jax.random.key(0))['generator']
    trained = TrainedRun(config, 0, game, Player(*weights, None), dataset.shape, classes, shapes=dataset.shapes)
    (example,) = make_program(trained).out_avals
    assert (str(example.shape[0]), *example.shape[1:]) == ('b', *dataset.shape)
