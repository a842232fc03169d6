"""Lists configs, networks, games, data and more, one line each, or explains every key of a config.

    python -m gan_jax.tools.list                                     # everything
    python -m gan_jax.tools.list losses metrics                      # some sections
    python -m gan_jax.tools.list --config dcgan:fashion_mnist        # a config, with a comment for each key

The lines are the first ones of docstrings. The comments are those of gan_jax/defaults.py and of the docstrings of
losses, networks, optimisers and so on.
"""

import argparse
import ast
import contextlib
import json
import os
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import data, games, models
from gan_jax.augmentation.augment import AUGMENTATIONS
from gan_jax.config import defaults, files
from gan_jax.data import toys
from gan_jax.data.tfds_source import tfds_directory
from gan_jax.docstrings import entries, first_sentence, summary
from gan_jax.errors import exit_code
from gan_jax.evaluation.metrics import METRICS
from gan_jax.losses import LOSSES
from gan_jax.main import overrides_of
from gan_jax.optim import OPTIMIZERS, SCHEDULES
from gan_jax.plays import PLAYS
from gan_jax.sample import APPLICATIONS
from gan_jax.sampling.latent_pictures import PICTURES
from gan_jax.terms import PENALTIES
from gan_jax.terms.classes import CLASS_TERMS
from gan_jax.values import flat

ROOT = pathlib.Path(__file__).resolve().parents[1]  # of a checkout, or of the package
_WIDTH = 120  # of a line, where it can be kept
_COMMENT = 50  # the column of the comments of a config


def _of_files(paths: Iterable[pathlib.Path], name: Callable[[pathlib.Path], str]) -> dict[str, str]:
    """The first line of each file's docstring, without importing it."""
    return {name(path): first_sentence(ast.get_docstring(ast.parse(path.read_bytes())) or '') for path in sorted(paths)}


def _of_table(table: Mapping[str, Any]) -> dict[str, str]:
    return {name: summary(thing) for name, thing in table.items()}


def _data() -> dict[str, str]:
    mixtures = {name: summary(getattr(toys, name)) for name in toys.MIXTURES}
    own = 'digits', 'furniture', 'furniture_points', 'leaves', 'motions'
    embedded = _of_files((pathlib.Path(data.__path__[0], f'{name}.py') for name in own), lambda path: path.stem)
    return {
        **embedded,
        **mixtures,
        **_prepared(pathlib.Path(tfds_directory(None))),
        'others': entries(data.load)['name'],
    }


def _prepared(directory: pathlib.Path) -> dict[str, str]:
    """The TFDS data sets in a directory that can be read, with the sizes of their splits."""
    found = {}
    for path in sorted(directory.glob('*/**/dataset_info.json')):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):  # it is damaged
            info = json.loads(path.read_bytes())
            if info.get('fileFormat') == 'array_record':
                sizes = {split['name']: sum(map(int, split['shardLengths'])) for split in info['splits']}
                name = path.parent.parent.relative_to(directory).as_posix()
                found[name] = ', '.join(f'{split} {size:,}' for split, size in sizes.items())
    return found


SECTIONS: dict[str, tuple[str, Callable[[], dict[str, str]]]] = {
    'configs': (
        '--config NAME:DATA',
        lambda: _of_files(files.recipes().values(), lambda path: path.stem),
    ),
    'models': ('--config.model=NAME', lambda: _of_table({name: models.find(name) for name in models.families()})),
    'games': ('--config.game.name=NAME', lambda: _of_table({name: games.find(name) for name in games.names()})),
    'data': ('--config CONFIG:NAME', _data),
    'losses': ('--config.loss.name=NAME', lambda: _of_table(LOSSES)),
    'penalties': ('--config.penalties.NAME.weight=1', lambda: _of_table(PENALTIES)),
    'conditionings': ('--config.discriminator.conditioning=NAME, with a term', lambda: _of_table(CLASS_TERMS)),
    'augmentations': ('--config.augment.name=NAME', lambda: _of_table(AUGMENTATIONS)),
    'optimizers': ('--config.generator_optimizer.name=NAME', lambda: _of_table(OPTIMIZERS)),
    'plays': ('--config.play.name=NAME', lambda: _of_table(PLAYS)),
    'schedules': ('--config.schedule.name=NAME', lambda: _of_table(SCHEDULES)),
    'metrics': (
        '--config.evaluate=NAME,NAME',
        lambda: _of_table({name: metric.compute for name, metric in METRICS.items()}),
    ),
    'pictures': (
        '--mode sample --what NAME',
        lambda: _of_table({name: function for name, (function, _) in PICTURES.items()} | APPLICATIONS),
    ),
    'experiments': (
        'python -m experiments.NAME',
        lambda: _of_files(ROOT.glob('experiments/*/__main__.py'), lambda path: path.parent.name),
    ),
    'tools': (
        'python -m gan_jax.tools.NAME --help',
        lambda: _of_files(
            (path for path in ROOT.glob('tools/*.py') if 'def main(' in path.read_text()), lambda path: path.stem
        ),
    ),
}
"""Each section's use, and a function to what is in it: a line for each name."""


def listing(sections: Sequence[str] = ()) -> str:
    """All groups with their entries, as text.

    Args:
        sections: of `SECTIONS`; none: all of them.
    """
    blocks = []
    for section in sections or SECTIONS:
        use, found = SECTIONS[section]
        if not (lines := found()):  # experiments are not part of an installed package
            continue
        width = max(map(len, lines)) + 2
        rows = [
            textwrap.fill(line or '-', _WIDTH, initial_indent=f'  {name:{width}}', subsequent_indent=' ' * (width + 2))
            for name, line in lines.items()
        ]
        blocks.append('\n'.join([f'{section} ({use})', *rows]))
    return '\n\n'.join(blocks)


def explained(config: ConfigDict) -> str:
    """Every key of a config with its value and a comment, as text.

    Args:
        config: from `gan_jax.config.load`.
    """
    values, tables = flat(config), defaults.factories(defaults.roles_of(config))
    lines, last = [], ''
    for key, default in defaults.defaults_of(config).items():
        section, _, name = key.rpartition('.')
        if lines and section != last:
            lines.append('')
        choices = tuple(tables[section]) if name == 'name' and section in tables else default.choices
        comment = default.about + (f' ({", ".join(choices)})' if choices else '')
        if values[key] != default.value:
            comment += f' [default: {default.value!r}]'
        last = section
        lines.append(_commented(f'{key} = {values[key]!r}', comment))
    return '\n'.join(lines)


def _commented(code: str, comment: str) -> str:
    indent = f'{code:{_COMMENT}}  # '
    return textwrap.fill(
        comment, max(_WIDTH, len(indent) + 40), initial_indent=indent, subsequent_indent=' ' * (len(indent) - 2) + '# '
    )


def _print(text: str) -> None:
    """Prints a text, of which a reader such as `head` may want the beginning alone."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes when it ends


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sections', nargs='*', metavar='SECTION', help=f'of {", ".join(SECTIONS)} (default: all)')
    parser.add_argument(
        '--config', metavar='NAME[:DATA]', help='explains a config; --config.x.y=value overrides any of its keys'
    )
    arguments, rest = parser.parse_known_args(argv)
    if unknown := [name for name in arguments.sections if name not in SECTIONS]:
        parser.error(f'there is no section {unknown[0]!r}: choose from {", ".join(SECTIONS)}')
    overrides = overrides_of(rest, parser)
    if arguments.config is None:
        return exit_code(lambda: _print(listing(arguments.sections)))
    return exit_code(lambda: _print(explained(configs.load(arguments.config, overrides))))


if __name__ == '__main__':
    sys.exit(main())
