"""The command line's grammar."""

import importlib.util
import io
import pathlib
import re

import pytest

from gan_jax import config as configs
from gan_jax.data.cache import cache_directory
from gan_jax.errors import exit_code
from gan_jax.main import main, parse

MODES = ('train', 'sample', 'eval')


def test_overrides_are_told_from_flags_and_may_stand_in_two_words():
    flags, overrides = parse(
        ['--config', 'a.py:b', '--config.x.y=1', '--workdir', 'runs/a', '--config.z', '-3', '--config.flag']
    )
    assert (flags.config, str(flags.workdir), flags.mode) == ('a.py:b', 'runs/a', 'train')
    assert overrides == ['x.y=1', 'z=-3', 'flag']


def test_an_unknown_flag_is_refused(capsys):
    with pytest.raises(SystemExit) as ending:
        parse(['--confg', 'a.py'])
    assert ending.value.code == 2
    assert 'unknown argument --confg; overrides are written --config.x.y=value' in capsys.readouterr().err


def _help(mode: str, capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as ending:
        parse(['--mode', mode, '--help'])
    assert ending.value.code == 0
    return capsys.readouterr().out


def test_the_help_of_a_mode_shows_its_flags_alone(capsys):
    shown = {mode: set(re.findall(r'^  --(\w+)', _help(mode, capsys), re.MULTILINE)) for mode in MODES}
    assert shown['train'] & shown['sample'] == shown['train'] & shown['eval'] == {'mode', 'workdir'}
    assert set.union(*shown.values()) == vars(parse([])[0]).keys()


def test_the_help_is_short_and_names_commands_that_work(capsys):
    text = _help('train', capsys)
    assert len(text.splitlines()) < 40
    assert 'gan_jax.tools.list' in text
    for line in re.findall(r'python -m gan_jax.main (--(?:config|mode).*?)(?:  |$)', text, re.MULTILINE):
        if 'NAME' not in line and '--help' not in line:
            flags, overrides = parse(line.split())
            assert flags.config is None or configs.load(flags.config, overrides)
    for module in re.findall(r'python -m ([\w.]+)', text):
        assert importlib.util.find_spec(module)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--mode', 'sample'], 'Sampling needs --workdir, the directory of a run.'),
        (['--mode', 'sample', '--workdir', '/nowhere'], 'is not the directory of a run'),
        *(
            (
                ['--mode', 'sample', '--workdir', '/nowhere', '--num', num],
                f'--num is {num}; it must be from 1 to 1000000.',
            )
            for num in ('0', '100000000000')
        ),
        *(
            (
                ['--mode', 'sample', '--workdir', '/nowhere', '--seed', seed],
                f'--seed is {seed}; it must be from 0 to 4294967295.',
            )
            for seed in ('-1', '4294967296', '99999999999999999999')
        ),
        (['--mode', 'eval', '--workdir', '/nowhere', '--psi', '0.5'], '--psi is for --mode sample and does not apply'),
        (
            ['--import_model', '--config', 'configs/mlp.py'],
            '--import_model is for --mode sample and --mode eval and does',
        ),
        (['--what', 'loop', '--config', 'configs/mlp.py'], '--what is for --mode sample and does not apply to --mode'),
        (
            ['--metrics', 'fid', '--config', 'configs/mlp.py'],
            '--metrics is for --mode eval and does not apply to --mode',
        ),
        (['--num', '5', '--config', 'configs/mlp.py'], '--num is for --mode sample and --mode eval and does not apply'),
        (
            ['--mode', 'sample', '--workdir', '/nowhere', '--kid_seed', '0'],
            '--kid_seed is for --mode eval and does not',
        ),
        (['--mode', 'eval', '--workdir', '/nowhere', '--config', 'a.py'], '--config is for --mode train and does not'),
        (
            ['--mode', 'sample', '--workdir', '/nowhere', '--extractor', 'inception'],
            '--extractor does not apply to --what samples',
        ),
        (
            ['--config', 'configs/dcgan.py', '--num_processes', '2'],
            'must be given together; or give only --distributed.',
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(arguments, sentence, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('gan_jax: ')
    assert sentence in line


def test_the_name_of_a_file_in_another_encoding_is_printed(monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr('sys.stdout', io.TextIOWrapper(printed, 'utf-8', errors='strict', write_through=True))
    assert exit_code(lambda: print('caf\udce9')) == 0
    assert printed.getvalue() == b'caf\\udce9\n'


def test_a_doubtful_recipe_is_warned_about_in_one_line(tmp_path, capsys):
    arguments = ['--config', 'configs/toy.py:ring,debug', '--workdir', str(tmp_path), '--config.parallel.devices=1']
    assert main([*arguments, '--config.loss.name=wasserstein', '--config.duration=1']) == 0
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if line.startswith('gan_jax: '))
    assert line.startswith('gan_jax: loss.name=wasserstein needs a Lipschitz-bounded critic')


@pytest.mark.parametrize(
    ('arguments', 'name', 'value'),
    [
        (['--seeds', '0,7,20-22'], 'seeds', (0, 7, 20, 21, 22)),
        (['--grid', '4x8'], 'grid', (4, 8)),
        (['--range', '-3', '2.5'], 'range', [-3, 2.5]),
        (['--classes', '3,Ankle boot'], 'classes', ('3', 'Ankle boot')),
        (['--resize'], 'resize', True),
        ([], 'resize', None),
    ],
)
def test_the_flags_of_pictures(arguments, name, value):
    flags, _ = parse(['--mode', 'sample', *arguments])
    assert getattr(flags, name) == value


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--seeds', '0,x'], "'0,x' is not a list of whole numbers such as 0,7,20-29"),
        (['--dimension', '7-3'], "'7-3' has a range that ends before it begins"),
        (['--seeds', '0-99999999999'], "'0-99999999999' are more than 1,000,000 numbers"),
        (['--seeds', '0-600000,0-600000'], 'are more than 1,000,000 numbers'),
        (['--grid', '100000x100000'], "'100000x100000' are more than 1,000,000 pictures"),
        (['--grid', '4'], "'4' is not rows x columns such as 4x8"),
        (['--what', 'dance'], "invalid choice: 'dance'"),
    ],
)
def test_a_flag_that_cannot_be_read_is_refused(arguments, sentence, capsys):
    with pytest.raises(SystemExit):
        parse(['--mode', 'sample', *arguments])
    assert sentence in capsys.readouterr().err


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert parse(['--workdir=~/x'])[0].workdir == tmp_path / 'x'
    assert parse(['--workdir', '~/x', '--image=~/a.png'])[0].image == tmp_path / 'a.png'
    assert parse(['--workdir=~nobody_here/x'])[0].workdir == pathlib.Path('~nobody_here/x')
    assert cache_directory('~/cache') == tmp_path / 'cache'
    lines = ('from gan_jax.config import base', 'def get_config(argument):', '    return base("mlp")')
    (tmp_path / 'recipe.py').write_text('\n'.join(lines))
    assert configs.load('~/recipe.py').model == 'mlp'
