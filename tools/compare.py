"""Shows several runs on one page: curves over each other, samples side by side, metrics, and differences.

    python -m gan_jax.tools.compare runs/a runs/b [runs/c ...] [--output compare.html]

The page is self-contained. For a single run, its page `report.html` is rewritten.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

from gan_jax.errors import UserError, exit_code
from gan_jax.pages import compare_page, run_page
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.workdir import Workdir
from gan_jax.records import files


def compare(paths: Sequence[str | os.PathLike], output: str | os.PathLike | None = None) -> pathlib.Path:
    """Writes the page of some runs.

    Args:
        paths: the runs' directories.
        output: the page; by default 'compare.html', or 'report.html' in the directory of a single run.

    Returns:
        The page's path.

    Raises:
        UserError: a path is given twice or is not a run, or the page cannot be written.
    """
    runs = read_runs(paths)
    if len(runs) == 1:
        output, page = output or runs[0].path / run_page.NAME, run_page.page(runs[0])
    else:
        output, page = output or 'compare.html', compare_page.page(runs)
    output = page_path(output, '--output')
    files.replace(output, page.encode())
    return output


def read_runs(paths: Sequence[str | os.PathLike]) -> list[Workdir]:
    """Reads the directories of runs, and gives several runs different names.

    Raises:
        UserError: there are none, a path is given twice, or is not a run.
    """
    if not paths:
        raise UserError('There are no runs: give their directories.')
    paths = [files.user_path(path) for path in paths]
    resolved = [path.resolve() for path in paths]
    for i, path in enumerate(resolved):
        if path in resolved[:i]:
            raise UserError(f'{paths[i]} is given twice: give each run once.')
    if len(paths) == 1:
        return [workdirs.read(paths[0])]
    above = os.path.commonpath(resolved)
    return [workdirs.read(path, os.path.relpath(whole, above)) for path, whole in zip(paths, resolved, strict=True)]


def page_path(output: str | os.PathLike, flag: str) -> pathlib.Path:
    """The path of a page that a flag names; raises a UserError unless it ends in .html."""
    output = files.user_path(output)
    if output.suffix not in ('.html', '.htm'):
        raise UserError(f'{flag} is {output}; it must end in .html.')
    return output


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='*', help='directories of runs or of members of a population')
    parser.add_argument('--output', help='the page to write (default: compare.html)')
    arguments = parser.parse_args(argv)
    return exit_code(lambda: print(f'Open {compare(arguments.runs, arguments.output)}'))


if __name__ == '__main__':
    sys.exit(main())
