"""The documentation site, by Sphinx and MyST.

Its sources are the Markdown files of the repository as they are, so that links work here as they do on GitHub, and the
docstrings of the package.
"""

import re

import gan_jax

project = html_title = 'gan_jax'
author = copyright = 'The gan_jax authors'
version = release = gan_jax.__version__

extensions = ['myst_nb', 'sphinx.ext.apidoc', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
root_doc = 'docs/index'
include_patterns = ['*.md', 'docs/**', 'experiments/**.md']
suppress_warnings = [
    'ref.python',  # a name that several modules have is not linked
    'toc.not_included',  # tables of experiments: their READMEs link them
]
smartquotes = False

html_theme = 'furo'
html_extra_path = ['start']  # index.html, which leads to README.html
html_copy_source = False

myst_heading_anchors = 3
myst_enable_extensions = ['html_image']
nb_execution_mode = 'off'

apidoc_modules = [
    {
        'path': '../gan_jax',
        'destination': 'docs/api',
        'module_first': True,
        'automodule_options': {'members', 'show-inheritance'},
    }
]
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
napoleon_attr_annotations = False
napoleon_use_ivar = True


def _as_rst(app, what, name, thing, options, lines: list[str]) -> None:
    """Makes Markdown's code in single backticks code of reStructuredText, and takes the meaning of other marks."""
    text, *parts = re.split(r'`+([^`]+)`+', '\n'.join(lines))
    made = [_plain(text)]
    for code, text in zip(parts[::2], parts[1::2], strict=True):
        made.append(f'``{" ".join(code.split())}``' + '\\ ' * bool(re.match(r'\w', text)) + _plain(text))
    lines[:] = ''.join(made).split('\n')


def _plain(text: str) -> str:
    return re.sub(r'([*|\\]|(?<=\w)_(?!\w))', r'\\\1', text)


def _skipped(app, what, name, thing, skip: bool, options) -> bool | None:
    """Leaves out the fields of a NamedTuple, which the docstring of its class describes."""
    return True if (getattr(thing, '__doc__', None) or '').startswith('Alias for field number') else None


def setup(app) -> None:
    """Registers the hooks."""
    app.connect('autodoc-process-docstring', _as_rst, priority=400)  # before napoleon
    app.connect('autodoc-skip-member', _skipped)
