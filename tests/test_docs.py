"""The documentation against the repository: its pictures, commands and links."""

import importlib.util
import pathlib
import re
import runpy
import shlex
from collections.abc import Iterator

import pytest

import gan_jax
from gan_jax import config as configs
from gan_jax.main import parse

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('experiments/*/README.md')]
PICTURES = ('.png', '.gif')


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each command in the blocks of shell code; what follows a # is left out."""
    for block in re.findall(r'```bash\n(.*?)```', text, re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            for command in line.split('&&'):
                if words := shlex.split(command, comments=True):
                    yield words


def _modules(page: pathlib.Path) -> set[str]:
    """All modules that a page runs with `python -m`, in code blocks and in sentences; NAME stands for any."""
    return {name for name in re.findall(r'python -m ([\w.]*\w)', page.read_text()) if 'NAME' not in name}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_module_that_a_page_runs_exists(page):
    missing = {name for name in _modules(page) if importlib.util.find_spec(name) is None}
    assert not missing


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_to_a_file_leads_somewhere(page):
    links = re.findall(r'(?:\]\(|src=")([^)#"\s]+)', page.read_text())
    missing = [link for link in links if '://' not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.filterwarnings('ignore')  # of recipes that leave out what a loss had
@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_of_a_page_parses_and_its_recipe_loads(page):
    for command in _commands(page.read_text()):
        if command[:3] == ['python', '-m', 'gan_jax.main'] and not any(word.startswith('[') for word in command):
            flags, overrides = parse(command[3:])
            file, is_file, argument = (flags.config or 'none.py').partition('.py')
            if not is_file or (ROOT / f'{file}.py').exists():  # not one that the page writes
                assert configs.load(str(ROOT / f'{file}.py') + argument if is_file else file, overrides)


def test_the_gallery_shows_each_picture_under_a_command():
    gallery = (ROOT / 'docs/gallery.md').read_text()
    command, shown = None, set()
    for block in re.findall(r'```bash\n.*?```|!\[[^]]*\]\([^)]+\)', gallery, re.DOTALL):
        if block.startswith('!'):
            assert command[:2] == ['python', '-m']
            shown.add(re.search(r'\(([^)]+)\)', block)[1])
        else:
            *_, command = _commands(block)
    assert shown == {path.name for path in (ROOT / 'docs').iterdir() if path.suffix in PICTURES}


def test_each_recipe_has_its_row_in_the_table_of_games():
    table = re.findall(r'^\|[^|]+\|([^|]+)\|', (ROOT / 'docs/games.md').read_text(), re.MULTILINE)
    listed = set(re.findall(r'`(\w+)`', ' '.join(table)))
    recipes = {path.stem for path in (ROOT / 'configs').glob('*.py')}
    assert recipes - listed == set()


def test_docstrings_become_what_they_look_like_in_restructuredtext():
    lines = ['`a`s * `b_', 'c`, x_ and a_b.']
    runpy.run_path(str(ROOT / 'docs/conf.py'))['_as_rst'](None, 'module', 'name', None, None, lines)
    assert lines == [r'``a``\ s \* ``b_ c``, x\_ and a_b.']


def test_the_citation_names_this_version():
    assert f'\nversion: {gan_jax.__version__}\n' in (ROOT / 'CITATION.cff').read_text()
