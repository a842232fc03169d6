"""Every config takes its first steps, and says what it is."""

import ast
import os
import pathlib

import pytest

from gan_jax import config
from gan_jax.train import train
from tests import toy_experiments

CONFIGS = sorted((pathlib.Path(__file__).parent.parent / 'configs').glob('*.py'))
SLOW = ('biggan', 'biggan_deep', 'gat', 'r3gan', 'sagan', 'stylegan2', 'wgan_gp_resnet')  # to compile
REAL_DATA = ('fashion_mnist', 'cifar10', pytest.param('tf_flowers', marks=pytest.mark.slow))


@pytest.mark.parametrize(
    'path',
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in SLOW else path for path in CONFIGS],
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
    assert f'python -m gan_jax.main --config configs/{path.name}' in text
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
