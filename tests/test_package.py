"""The package from a wheel, and from a checkout with -e: it works from any directory, without the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

ROOT = pathlib.Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of what the package is built from."""
    place = tmp_path_factory.mktemp('source')
    for name in ('pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, place)
    for name in ('gan_jax', 'configs', 'tools'):
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
    return place


@pytest.fixture(scope='module')
def wheel(source):
    pip('wheel', '--no-deps', '--quiet', '--wheel-dir', source / 'dist', source)
    (path,) = (source / 'dist').iterdir()
    return path


def pip(*arguments):
    subprocess.run([sys.executable, '-m', 'pip', *map(str, arguments)], check=True, timeout=600)


@pytest.fixture(params=['wheel', 'editable'])
def python(request, source, tmp_path):
    """A Python with the package, and the other packages of this one, in an empty directory."""
    venv.create(tmp_path / 'venv', symlinks=True)
    own = sysconfig.get_path('purelib', vars={'base': str(tmp_path / 'venv')})
    pathlib.Path(own, 'others.pth').write_text(sysconfig.get_path('purelib'))
    what = [request.getfixturevalue('wheel')] if request.param == 'wheel' else ['--editable', source]
    executable = tmp_path / 'venv' / 'bin' / 'python'
    pip('--python', executable, 'install', '--quiet', '--no-deps', *what)
    away = tmp_path / 'away'
    away.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'XLA_FLAGS')}

    def run(*arguments):
        command = [str(executable), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=away, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f'{arguments}\n{done.stdout}\n{done.stderr}'
        return done.stdout

    run.place = pathlib.Path(own, 'gan_jax') if request.param == 'wheel' else source / 'gan_jax'
    run.away = away
    run.check = lambda: pip('--python', executable, 'check')
    return run


def test_everything_works_away_from_the_checkout(python):
    assert python('-c', 'import gan_jax; print(gan_jax.__file__)').strip() == str(python.place / '__init__.py')
    python.check()
    python('-m', 'gan_jax.main', '--config', 'mlp:digits,debug')
    run = python.away / 'runs' / 'mlp-digits-debug'
    assert (run / 'report.html').exists()
    python('-m', 'gan_jax.main', '--mode', 'sample', '--workdir', run, '--num', '4')
    python('-m', 'gan_jax.tools.export', run)
    assert (run / 'exported' / 'generator.stablehlo').exists()
    python('-m', 'gan_jax.tools.compare', run)
    assert '20 steps' in python('-m', 'gan_jax.tools.list', '--config', 'dcgan:digits,debug')
    shape = python('-c', f'import gan_jax; print(gan_jax.load({str(run)!r}).sample(4).shape)')
    assert shape.strip() == '(4, 8, 8, 1)'


def test_every_tool_is_in_the_package(python):
    tools = [path.stem for path in (ROOT / 'tools').glob('*.py') if 'def main(' in path.read_text()]
    for name in tools:
        assert 'usage:' in python('-m', f'gan_jax.tools.{name}', '--help')
