"""docs/your-own-game.md: its code runs from a directory of its own, and the run has what other runs have."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from contents import contents
from PIL import Image

from gan_jax import losses

PAGE = pathlib.Path(__file__).parent.parent / 'docs' / 'your-own-game.md'
TINY = [
    '--config.data.split=train[:200]',
    *('--config.generator.width=4', '--config.discriminator.width=4', '--config.data.size=8'),
    *('--config.batch_size=8', '--config.log_every=2', '--config.samples=12'),
]


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """A directory with the page's two files."""
    directory = tmp_path_factory.mktemp('home')
    game, config = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.S)
    (directory / 'discogan.py').write_text(game)
    (directory / 'theirs.py').write_text(config)
    return directory


def run(home, *arguments, devices=1):
    """The command of the page in its directory; returns what it printed."""
    flags = f'--xla_force_host_platform_device_count={devices}'
    environment = {**os.environ, 'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'}
    root = str(PAGE.parent.parent)
    environment['PYTHONPATH'] = os.pathsep.join([root, *filter(None, [os.environ.get('PYTHONPATH')])])
    command = [sys.executable, '-m', 'gan_jax.main', *arguments]
    done = subprocess.run(command, check=False, cwd=home, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope='module')
def trained(home):
    code, printed = run(home, '--config', 'theirs.py', '--workdir', 'one', *TINY, '--config.duration=6 steps')
    assert code == 0, printed
    return home / 'one'


def test_the_pages_commands_name_keys_that_there_are(home):
    """Each command of the page, but for the training."""
    from gan_jax import config as configs

    sys.path.insert(0, str(home))
    try:
        commands = re.findall(r'--config (theirs\S*)(.*)', PAGE.read_text())
        assert len(commands) >= 4
        for spec, rest in commands:
            configs.load(str(home / spec), re.findall(r'--config\.(\S+)', rest))
        found = configs.load(str(home / 'theirs.py'), ['loss.name=test_your_own_game.a_loss', 'loss.slope=3'])
        assert configs.make(found, 'loss').generator(2.0) == 6.0
    finally:
        sys.path.remove(str(home))


def a_loss(slope: float = 1.0):
    """What a config's `loss.name` can name."""
    return losses.hinge()._replace(generator=lambda fake, real=None: slope * fake)


def test_it_trains_and_shows_its_own_pictures(trained):
    records = [json.loads(line) for line in (trained / 'metrics.jsonl').read_text().splitlines()]
    assert [record['step'] for record in records] == [2, 4, 6]
    assert all(np.isfinite(record['generator/reconstruction']) for record in records)
    with Image.open(trained / 'samples.png') as picture:
        assert picture.info['Description'] == 'Each example, from left to right: a, a as b, a again.'
    assert 'a as b' in (trained / 'report.html').read_text()
    assert not (trained / 'interpolation.png').exists()
    assert list(json.loads((trained / 'run.json').read_text())['modules']) == ['discogan']


@pytest.mark.slow
def test_it_is_the_same_on_devices_and_when_it_is_resumed(home, trained):
    def last(workdir):
        return json.loads((home / workdir / 'metrics.jsonl').read_text().splitlines()[-1])

    recipe = ['--config', 'theirs.py', *TINY]
    for duration in ('4 steps', '6 steps'):
        arguments = [*recipe, '--workdir', 'resumed', f'--config.duration={duration}', '--accept_config_changes']
        code, printed = run(home, *arguments)
        assert code == 0, printed
    assert 'Resuming from step 4' in printed
    assert last('resumed') == last('one')
    last_state = 'checkpoints/6'
    assert contents(home / 'resumed')[last_state][0] == contents(trained)[last_state][0]
    code, printed = run(home, *recipe, '--workdir', 'four', '--config.duration=6 steps', devices=4)
    assert code == 0, printed
    one, four = last('one'), last('four')
    assert one.keys() == four.keys()
    np.testing.assert_allclose(list(four.values()), list(one.values()), rtol=2e-3)


@pytest.mark.slow
def test_the_toolbox_joins_it_as_a_population(home):
    code, printed = run(
        home,
        *('--config', 'theirs.py', '--workdir', 'all', *TINY, '--config.duration=4 steps', '--config.population=2'),
        *('--config.dtype=bfloat16', '--config.accumulate=2', '--config.augment.name=diffaugment'),
        *('--config.penalties.r1.weight=1', '--config.lazy.discriminator=2', '--config.ema.half_life_kimg=1'),
    )
    assert code == 0, printed
    for member in ('member-0', 'member-1'):
        record = json.loads((home / 'all' / member / 'metrics.jsonl').read_text().splitlines()[-1])
        assert np.isfinite(record['discriminator/r1'])
        assert (home / 'all' / member / 'samples.png').exists()


def assert_imports_it_only_when_asked_to(home, trained, *mode):
    arguments = ['--workdir', str(trained), '--mode', *mode]
    code, printed = run(home.parent, *arguments)
    assert code == 2
    assert 'needs the module discogan' in printed
    code, printed = run(home.parent, *arguments, '--import_model')
    assert code == 0, printed


@pytest.mark.slow
def test_evaluation_imports_it_only_when_asked_to(home, trained):
    assert_imports_it_only_when_asked_to(home, trained, 'eval', '--metrics', 'sliced_wasserstein', '--num', '16')


def test_sampling_imports_it_only_when_asked_to(home, trained):
    assert_imports_it_only_when_asked_to(home, trained, 'sample', '--num', '6')
    (directory,) = (trained / 'generated').iterdir()
    assert len(list(directory.glob('0*.png'))) == 2
    arguments = ['--workdir', str(trained), '--mode', 'sample', '--import_model']
    code, printed = run(home, *arguments, '--inputs', 'digits', '--num', '4')
    assert code == 0, printed
