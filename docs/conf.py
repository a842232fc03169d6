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
        'separate_modules': True,
        'module_first': True,
        'automodule_options': {'members', 'show-inheritance'},
    }
]
autodoc_member_order = 'bysource'
napoleon_use_ivar = True


def _as_rst(app, what, name, thing, options, lines: list[str]) -> None:
    """Makes Markdown's code in single backticks code of reStructuredText, and takes the meaning of other marks."""
    parts = re.split(r'`+([^`]+)`+', '\n'.join(lines))
    parts[::2] = (re.sub(r'([*|\\]|(?<=\w)_(?!\w))', r'\\\1', text) for text in parts[::2])
    parts[1::2] = (f'``{" ".join(code.split())}``' for code in parts[1::2])
    lines[:] = re.sub(r'(``[^`]+``)(?=\w)', r'\1\\ ', ''.join(parts)).split('\n')


def setup(app) -> None:
    """Registers the hook."""
    app.connect('autodoc-process-docstring', _as_rst, priority=400)  # before napoleon
