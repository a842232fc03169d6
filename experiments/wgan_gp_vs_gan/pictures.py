"""The pictures of this experiment."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import results
from experiments.results import Finished
from gan_jax.records import report

_LOSSES = {'discriminator/loss': 'discriminator', 'generator/loss': 'generator'}


def losses(path: pathlib.Path, arms: Mapping[str, Sequence[Finished]]) -> None:
    """Draws side by side each arm's losses, and its FID over them on an axis of its own.

    Args:
        path: path of the PNG file.
        arms: the runs of each, one for each seed.
    """
    figure = report.new_figure(6.5 * len(arms), 4)
    figure.set_layout_engine('constrained')
    panels = figure.subplots(1, len(arms), squeeze=False)[0]
    for axes, (arm, runs) in zip(panels, arms.items(), strict=True):
        right = axes.twinx()
        for i, run in enumerate(runs):
            for j, (name, label) in enumerate(_LOSSES.items()):
                axes.plot(*run.curve(name), color=f'C{j}', linewidth=1, alpha=0.8, label=None if i else label)
            right.plot(*run.curve('eval/fid'), color='0.3', linestyle='--', linewidth=1.2)
        axes.set_title(arm, loc='left', fontsize=11)
        axes.set_xlabel('thousand images of the generator', color='0.3')
        axes.set_ylabel('loss')
        axes.grid(color='0.92')
        axes.legend(frameon=False, fontsize=9)
        right.set_ylabel('FID', color='0.3')
        report.scale_by_logarithms(right)
    results.save_figure(path, figure)


def samples(arms: Mapping[str, np.ndarray | None], columns: int) -> np.ndarray:
    """A grid of grids, uint8 [height, width, C]: an arm's images [n, H, W, C] each, grey where it has none."""
    grids = [None if images is None else report.image_grid(images, scale=2) for images in arms.values()]
    return results.side_by_side(grids, columns)
