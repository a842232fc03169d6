"""The grids of chosen epochs side by side, and how often each digit is made."""

import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from experiments.results import save_figure
from gan_jax.records import report


def epoch(workdir: pathlib.Path, kimg: float) -> float:
    """How often a run has seen its data after so many thousand images."""
    return 1000 * kimg / json.loads((workdir / 'run.json').read_text())['data']['examples']


def grids(workdir: pathlib.Path, epochs: Sequence[int]) -> dict[int, pathlib.Path]:
    """{epoch: the grid of a run's samples nearest to it}, of those epochs that have one within a twentieth."""
    batch_size = json.loads((workdir / 'config.json').read_text())['batch_size']
    drawn = {epoch(workdir, int(path.stem) * batch_size / 1000): path for path in (workdir / 'samples').glob('*.png')}
    nearest = {wanted: min(drawn, key=lambda passed: abs(passed - wanted)) for wanted in epochs if drawn}
    return {wanted: drawn[passed] for wanted, passed in nearest.items() if abs(passed - wanted) < 0.05 * wanted}


def draw_epochs(path: pathlib.Path, workdirs: Mapping[str, pathlib.Path], epochs: Sequence[int]) -> None:
    """Draws a row of grids for each arm that has some, one for each of the epochs, as a PNG file."""
    found = {arm: drawn for arm, workdir in workdirs.items() if (drawn := grids(workdir, epochs))}
    columns = [wanted for wanted in epochs if any(wanted in row for row in found.values())]
    size = max(len(found), 1), max(len(columns), 1)
    figure = report.new_figure(3.2 * size[1], 3.5 * size[0])
    figure.set_layout_engine('constrained')
    all_axes = figure.subplots(*size, squeeze=False)
    for row, (arm, drawn) in zip(all_axes, found.items(), strict=False):
        for axes, wanted in zip(row, columns, strict=False):
            axes.set_axis_off()
            if wanted in drawn:
                axes.imshow(np.asarray(Image.open(drawn[wanted]).convert('L')), cmap='gray', vmin=0, vmax=255)
                axes.set_title(f'{arm}, epoch {wanted}', loc='left', fontsize=9)
    save_figure(path, figure)


def draw_shares(path: pathlib.Path, shares: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Draws the share of each digit, a bar for each arm with a dot for each seed, as a PNG file.

    Args:
        path: the file.
        shares: {arm: [seeds, digits]}.
    """
    figure = report.new_figure(10, 3.6)
    figure.set_layout_engine('constrained')
    axes = figure.subplots()
    width = 0.8 / len(shares)
    for i, (arm, rows) in enumerate(shares.items()):
        digits = np.arange(len(rows[0]))
        places = digits + (i - (len(shares) - 1) / 2) * width
        color = '0.75' if i == 0 else f'C{i - 1}'
        axes.bar(places, 100 * np.mean(rows, axis=0), 0.9 * width, color=color, label=arm)
        if len(rows) > 1:
            axes.scatter(np.tile(places, len(rows)), 100 * np.ravel(rows), s=8, color='0.2', linewidths=0, zorder=3)
    axes.set_xticks(digits)
    axes.set_ylabel('% of the samples', fontsize=9)
    axes.set_xlabel('digit that the classifier sees', fontsize=9)
    axes.grid(axis='y', color='0.92')
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    save_figure(path, figure)
