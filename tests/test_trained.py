"""A run read from its directory: whose code it brings in, and how it is shown."""

import json
import sys

import pytest
from test_latent_pictures import save_untrained

from gan_jax import config as configs
from gan_jax import models, open_sets
from gan_jax.errors import SourceError, UserError
from gan_jax.main import main
from gan_jax.records import files
from gan_jax.sampling import trained

FAMILY = """
import flax.linen as nn

class Generator(nn.Module):
    shape: tuple
    @nn.compact
    def __call__(self, latents, *, train):
        return nn.tanh(nn.Dense(self.shape[0])(latents))

class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, points, *, train):
        return nn.Dense(1)(points)[:, 0]
"""


# The recipe's own widths, which the stranger's networks have not, are dropped with a warning.
pytestmark = pytest.mark.filterwarnings('ignore:model=strange_gan drops')


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """A run of points whose networks are a module of another directory, as a process finds it that trained nothing."""
    home = tmp_path / 'home'
    home.mkdir()
    (home / 'strange_gan.py').write_text(FAMILY)
    monkeypatch.setattr(sys, 'path', [str(home), *sys.path])
    run = save_untrained(tmp_path / 'run', 'configs/toy.py:ring', (2,), None, model='strange_gan')
    facts = {'data': {'shape': [2], 'classes': None}, 'modules': {'strange_gan': open_sets.origin('strange_gan')}}
    files.replace(run / 'run.json', json.dumps(facts).encode())
    del sys.modules['strange_gan']
    monkeypatch.setattr(sys, 'path', sys.path[1:])
    yield run
    sys.modules.pop('strange_gan', None)


def test_reading_a_run_imports_no_module_of_a_strangers_unless_asked_to(strangers, capsys):
    file = strangers.parent / 'home' / 'strange_gan.py'
    arguments = ['--mode', 'sample', '--workdir', str(strangers), '--num', '4']
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f'gan_jax: The run {strangers} needs the module strange_gan (trained with {file}), but reading a run '
        f'only imports gan_jax: add --import_model if you trust it, which executes its code.\n'
    )
    assert 'strange_gan' not in sys.modules
    assert main([*arguments, '--import_model']) == 0  # found where it was trained with it
    assert sys.modules['strange_gan'].__file__ == str(file)


def test_a_missing_module_is_named_with_its_place(strangers):
    file = strangers.parent / 'home' / 'strange_gan.py'
    file.unlink()
    with pytest.raises(UserError) as error:
        trained.import_model(strangers)
    assert str(error.value) == (
        f'The module strange_gan of the run {strangers} is missing (trained with {file}): put it on PYTHONPATH.'
    )


def test_a_module_with_a_mistake_is_told_with_its_place(strangers, capsys):
    file = strangers.parent / 'home' / 'strange_gan.py'
    file.write_text('import flax\nnothing\n')
    with pytest.raises(
        SourceError, match=r'The module strange_gan has a mistake in .*strange_gan.py, line 2: NameError'
    ):
        trained.import_model(strangers)
    file.write_text(FAMILY.replace('nn.tanh', 'nn.tan'))
    assert main(['--mode', 'sample', '--workdir', str(strangers), '--import_model']) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith(f'gan_jax: The model strange_gan has a mistake in {file}, line 8: AttributeError')
    assert rest[0].startswith('Traceback')


def test_a_page_of_a_strangers_run_needs_no_module_of_theirs(strangers):
    values = configs.base('strange_gan', importing=False)
    assert (values.generator.to_dict(), values.model) == ({}, 'strange_gan')
    assert 'strange_gan' not in sys.modules


def test_a_run_is_shown_in_one_line(strangers):
    trained.import_model(strangers)
    assert repr(trained.load_run(strangers)) == '<Run: strange_gan on ring, 2, at step 3>'


def test_the_origin_of_a_family_has_the_root_of_its_import(tmp_path, monkeypatch):
    package = tmp_path / 'strange_package'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'nets.py').write_text(FAMILY)
    monkeypatch.syspath_prepend(tmp_path)
    models.find('strange_package.nets')
    origin = {'name': 'strange_package.nets', 'file': str(package / 'nets.py'), 'root': str(tmp_path)}
    assert open_sets.origin('strange_package.nets') == origin
