"""Plays a bilinear game by many optimisers, and compares the distance to its solution with theory; see README.md.

python -m experiments.bilinear
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments import results
from experiments.bilinear.methods import METHODS, SINGULAR_VALUES, Method
from gan_jax.errors import exit_code
from gan_jax.records import files, report

RATE = 0.3  # of all methods
ROUNDS = 1000
ADAM_RATE = 0.01


def measured_factor(distances: np.ndarray) -> float:
    """The mean factor of the distance in a round, over the last half before rounding ends the descent."""
    last = int(np.argmax(distances < 1e-12)) if (distances < 1e-12).any() else len(distances) - 1
    first = last // 2
    return float((distances[last] / distances[first]) ** (1 / (last - first)))


def row(method: Method) -> dict[str, Any]:
    """What is measured of a method, beside theory."""
    if method.polynomial is None:
        distances = method.distances(ADAM_RATE, ROUNDS)
        return {'rate': ADAM_RATE, 'distance': float(distances[-1]), 'curve': distances.tolist()}
    distances, best = method.distances(RATE, ROUNDS), method.best_rate()
    at_best = method.distances(best, ROUNDS)
    return {
        'rate': RATE,
        'theory': method.radius(RATE),
        'measured': measured_factor(distances),
        'distance': float(distances[-1]),
        'best rate': best,
        'best theory': method.radius(best),
        'best measured': measured_factor(at_best),
        'curve': distances.tolist(),
        'best curve': at_best.tolist(),
    }


def table(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A header and a row for each method."""
    header = ['method', 'gradients', 'rate', 'factor of a round: theory', 'measured', f'distance after {ROUNDS}',
              'best rate', 'its factor: theory', 'measured', 'source']  # fmt: skip
    lines = [header]
    for name, one in rows.items():
        cells = [f'{one[key]:.5f}' if key in one else '' for key in ('theory', 'measured')]
        best = [f'{one[key]:.{digits}f}' if key in one and one['best theory'] < 1 else ''
                for key, digits in (('best rate', 3), ('best theory', 5), ('best measured', 5))]  # fmt: skip
        method = METHODS[name]
        lines.append(
            [name, str(method.gradients), f'{one["rate"]:g}', *cells, f'{one["distance"]:.1e}', *best, method.source]
        )
    return lines


def draw(path: pathlib.Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """The distance over rounds, at the common rate and at each method's best."""
    figure = report.new_figure(13, 5)
    figure.set_layout_engine('constrained')
    titles = {'curve': f'rate {RATE} (Adam: {ADAM_RATE})', 'best curve': 'the best rate of each method'}
    for axes, (key, title) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
        for i, (name, one) in enumerate(rows.items()):
            if key in one and (key == 'curve' or one['best theory'] < 1):
                style = ('-', '--')[i // 10]
                axes.plot(np.clip(one[key], 1e-16, 1e6), color=f'C{i % 10}', linestyle=style, linewidth=1.4, label=name)
        axes.set(yscale='log', ylim=(1e-13, 1e3), xlabel='round')
        axes.set_title(title, loc='left', fontsize=11)
        axes.grid(color='0.92')
        axes.spines[['top', 'right']].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_xlim(0, ROUNDS)
    figure.axes[1].set_xlim(0, 200)
    figure.axes[0].set_ylabel('distance from the solution, relative to the first')
    results.save_figure(path, figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m experiments.bilinear', description=__doc__)
    default = pathlib.Path(__file__).parent / 'results'
    parser.add_argument('--out', type=files.user_path, default=default, help='directory of the results')
    out = parser.parse_args(argv).out
    return exit_code(lambda: run(out))


def run(out: pathlib.Path) -> None:
    """Plays all methods and writes the results."""
    with jax.enable_x64(True):
        rows = {name: row(method) for name, method in METHODS.items()}
    kept = {name: {key: value for key, value in one.items() if 'curve' not in key} for name, one in rows.items()}
    facts = {'title': 'Bilinear game', 'singular values': SINGULAR_VALUES.tolist(), 'rounds': ROUNDS, 'methods': kept}
    files.replace(out / 'results.json', (json.dumps(facts, indent=1) + '\n').encode())
    files.replace(out / 'table.md', f'# Bilinear game\n\n{results.markdown(table(rows))}'.encode())
    draw(out / 'distances.png', rows)
    print(f'Done. The table is in {out}/table.md, the picture {out}/distances.png.')


if __name__ == '__main__':
    sys.exit(main())
