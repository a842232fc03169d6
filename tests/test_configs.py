"""Every config takes its first steps, and says what it is."""

import ast
import os
import pathlib

import pytest

from gan_jax import config
from gan_jax.train import train
from tests import toy_experiments

CONFIGS = sorted((pathlib.Path(__file__).parent.parent / 'configs').glob('*.py'))
SLOW = (  # to compile, or DCGAN with another loss
    'acgan',
    'ada',
    'anogan',
    'attngan',
    'began',
    'bigan',
    'biggan',
    'biggan_deep',
    'can',
    'cgan',
    'cgan_pd',
    'cycada',
    'cyclegan',
    'dann',
    'dpgan',
    'dragan',
    'ebgan',
    'esrgan',
    'gat',
    'growing_dcgan',
    'hinge',
    'infogan',
    'inpainting',
    'logan',
    'mocogan',
    'munit',
    'lsgan',
    'pix2pix',
    'pointgan',
    'progan',
    'projection',
    'r3gan',
    'sagan',
    'semi_supervised',
    'sngan_resnet',
    'srgan',
    'stackgan',
    'stargan',
    'spade',
    'stylegan',
    'stylegan2',
    'stylegan2_ada',
    'stylegan2_cifar',
    'unit',
    'vid2vid',
    'videogan',
    'voxelgan',
    'wgan',
    'wgan_gp_resnet',
)
REAL_DATA = ('fashion_mnist', *(pytest.param(name, marks=pytest.mark.slow) for name in ('cifar10', 'tf_flowers')))
ELSEWHERE = ('mlp', 'toy')  # which fast tests of whole runs train


@pytest.mark.parametrize(
    'path',
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in SLOW + ELSEWHERE else path for path in CONFIGS],
    ids=lambda path: path.stem,
)
def test_it_trains_its_own_data(path, tmp_path):
    options = config.load(f'{path}:debug', {'parallel.devices': '1', 'duration': '10 steps', 'sample_every': '5 steps'})
    with toy_experiments.without_pages():
        state = train(options, tmp_path)
    assert state.step == 10
    assert (tmp_path / 'samples.png').exists()


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_its_docstring_gives_paper_and_command(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert 'https://' in text
    assert f'python -m gan_jax.main --config {path.stem}' in text
    assert 'xpect' in text


@pytest.mark.parametrize('name', REAL_DATA)
def test_dcgan_fits_itself_to_real_data(name, tmp_path):
    if not (pathlib.Path(os.environ.get('TFDS_DATA_DIR', '')) / name).is_dir():
        pytest.skip(f'{name} is not in TFDS_DATA_DIR')
    spec = f'{CONFIGS[0].parent}/dcgan.py:{name},debug'
    options = config.load(
        spec,
        {'parallel.devices': '1', 'duration': '2 steps', 'data.split': 'train[:64]', 'data.cache': str(tmp_path / 'c')},
    )
    with toy_experiments.without_pages():
        state = train(options, tmp_path / 'run')
    assert state.step == 2


@pytest.mark.parametrize(
    ('argument', 'batch', 'gamma', 'rate', 'width', 'half_life'),  # of --cfg=auto with eight GPUs
    [
        ('folder:/a', 64, 0.2048, 2.5e-3, 16384, 20.0),
        ('folder:/a,512', 64, 0.8192, 2.5e-3, 32768, 20.0),
        ('folder:/a,b,1024', 32, 6.5536, 2e-3, 32768, 10.0),
        ('small', 32, 0.0256, 2.5e-3, 1024, 10.0),
    ],
)
def test_stylegan2_ada_has_the_settings_that_its_authors_code_chooses(argument, batch, gamma, rate, width, half_life):
    options = config.load(f'{CONFIGS[0].parent}/stylegan2_ada.py:{argument}')
    assert options.batch_size == batch
    assert options.penalties.r1.weight == pytest.approx(gamma)
    assert {options[f'{player}_optimizer'].learning_rate for player in ('generator', 'discriminator')} == {rate}
    assert {options[player].width for player in ('generator', 'discriminator')} == {width}
    assert options.ema.half_life_kimg == half_life
    assert options.data.name == {'small': 'tf_flowers', 'folder:/a,b,1024': 'folder:/a,b'}.get(argument, 'folder:/a')
