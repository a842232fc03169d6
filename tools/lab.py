"""Shows games in the plane over time on one page: samples, gradients, the discriminator and losses under one slider.

    python -m gan_jax.tools.lab runs/toy-ring                              # lab.html in the run's directory
    python -m gan_jax.tools.lab runs/a runs/b --out lab.html               # two runs or more side by side

The page is self-contained. A run on points writes a frame whenever samples are due
(`--config.sample_every`); see docs/lab.md.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

from gan_jax.errors import exit_code
from gan_jax.pages import lab_page, run_page
from gan_jax.records import files

from . import compare


def lab(paths: Sequence[str | os.PathLike], output: str | os.PathLike | None = None) -> pathlib.Path:
    """Writes the page of some runs.

    Args:
        paths: the runs' directories.
        output: the page; by default 'lab.html', in the directory of a single run.

    Returns:
        The page's path.

    Raises:
        UserError: a path is given twice, is not a run or one without frames, or the page cannot be written.
    """
    runs = compare.read_runs(paths)
    if output is None:
        output = runs[0].path / run_page.LAB if len(runs) == 1 else run_page.LAB
    output = compare.page_path(output, '--out')
    files.replace(output, lab_page.page(runs).encode())
    return output


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the command line and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='*', help='directories of runs, members of a population among them')
    parser.add_argument('--out', help='the page to write (default: lab.html)')
    arguments = parser.parse_args(argv)
    return exit_code(lambda: print(f'Look at {lab(arguments.runs, arguments.out)}'))


if __name__ == '__main__':
    sys.exit(main())
