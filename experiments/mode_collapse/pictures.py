"""The outputs of the experiment: frames of an animation, small multiples, a table and a page that explains them."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from experiments.results import Values, pixels, table
from gan_jax.pages import document
from gan_jax.records.report import new_figure

_FAKE, _NEUTRAL, _REAL = '#f4b6a6', '#fbfaf8', '#a9cbe8'
_INK, _GLOW = '#2b1a3d', '#6a2c91'
_LEVELS = 15  # of the landscape: few enough for the eye to follow a contour and for a GIF to stay small
_BINS, _BLUR = 120, 2.5  # of the density along each axis, and the standard deviation of its blur in bins


def density_frame(
    points: np.ndarray, landscape: np.ndarray | None, limit: float, title: str, centres: np.ndarray
) -> np.ndarray:
    """Draws generated points over the discriminator's landscape.

    The points lie over a violet glow, their blurred density: a mode that has more than its share glows strongly, one
    that has less is faint.

    Args:
      points: [n, 2], from the generator; those outside the frame are not seen.
      landscape: logits [size, size] of being real at `gan_jax.sampling.plane.landscape_grid(limit, size)`, drawn as
        sigmoid(logit): rose where the discriminator says generated, pale where it cannot tell, blue where it says real.
        A critic's values are no logits: bring them to a scale of about one first. None leaves the ground white.
      limit: both axes go from -limit to limit.
      title: one line of at most about 40 letters.
      centres: [modes, 2], the centres of the data's modes, drawn as small rings.

    Returns:
      uint8 [500, 460, 3], an even size for a GIF.
    """
    figure = new_figure(4.6, 5.0)
    axes = figure.add_axes((0.02, 0.065, 0.96, 0.96 * 4.6 / 5.0))
    _draw(axes, points, landscape, limit, centres)
    figure.text(0.02, 0.9745, title, fontsize=10.5, va='center', color='0.15')
    _legend(figure, landscape is not None)
    return pixels(figure)


def median_seed(values: Sequence[float]) -> int:
    """The index of the median of one value a seed, of the lower one if there are two, and of the first among equals."""
    return int(np.argsort(values, kind='stable')[(len(values) - 1) // 2])


def overview(
    samples: Mapping[str, np.ndarray],
    real: np.ndarray,
    limit: float,
    centres: np.ndarray,
    notes: Mapping[str, str] | None = None,
    columns: int = 4,
) -> np.ndarray:
    """Small multiples: the samples of each recipe over the data.

    Args:
      samples: points [n, 2] by recipe, those of the `median_seed` after training.
      real: [m, 2], from the data; at most 2000 of them are drawn.
      limit: both axes go from -limit to limit.
      centres: [modes, 2], the centres of the data's modes.
      notes: a few words for each recipe, such as its modes and share of high quality, drawn below its name.
      columns: panels side by side.

    Returns:
      uint8 [height, width, 3], 230 pixels wide and 250 high a panel, and one more for the data itself.
    """
    some = real[:: math.ceil(len(real) / 2000)]
    panels = {'data': some, **samples}
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(2.3 * columns, 2.65 * rows)
    width, height = 1 / columns, 1 / rows
    for i, (name, points) in enumerate(panels.items()):
        left, bottom = (i % columns + 0.04) * width, 1 - (i // columns + 0.98) * height
        axes = figure.add_axes((left, bottom, 0.92 * width, 0.92 * height * 2.3 / 2.65))
        _draw(axes, points, None, limit, centres)
        figure.text(left, bottom + 0.91 * height, name, fontsize=9, va='center', color='0.15', weight='bold')
        note = (notes or {}).get(name, '')
        figure.text(left, bottom + 0.84 * height, note, fontsize=8, va='center', color='0.4')
    return pixels(figure)


class Study(NamedTuple):
    """One data set of the page.

    Attributes:
      title: the data set in words.
      protocol: how modes are counted, and how many seeds.
      results: recipe -> metric -> one value a seed.
      findings: what is seen, in plain text.
      overview: uint8 [height, width, 3] from `overview`, or None.
      animations: recipe -> (the name of a GIF file, a caption).
    """

    title: str
    protocol: str
    results: Values
    findings: str = ''
    overview: np.ndarray | None = None
    animations: Mapping[str, tuple[str | os.PathLike, str]] = {}


def page(title: str, question: str, studies: Sequence[Study]) -> str:
    """A self-contained HTML page: its pictures are inside it, and it needs no network.

    Args:
      title: title of the page.
      question: what is asked, in plain text.
      studies: one section each.
    """
    sections = [
        document.section('Question', document.paragraph(question)),
        document.section('How to read this', *map(document.paragraph, _READING)),
    ]
    for study in studies:
        header, *rows = table(study.results)
        parts = [document.paragraph(study.protocol, 'small'), document.table(header, rows)]
        if study.findings:
            parts.append(document.paragraph(study.findings))
        if study.overview is not None:
            data = io.BytesIO()
            Image.fromarray(study.overview).save(data, 'png')
            caption = f'Samples of the median seed of each recipe on {study.title}, after training.'
            parts.append(document.picture(data.getvalue(), caption))
        figures = [
            document.picture(path, f'{recipe}: {caption}') for recipe, (path, caption) in study.animations.items()
        ]
        sections.append(document.section(study.title, *parts, document.row(*figures) if figures else ''))
    return document.document(title, '\n'.join(sections))


def _draw(axes: Any, points: np.ndarray, landscape: np.ndarray | None, limit: float, centres: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    ground = {'origin': 'lower', 'extent': (-limit, limit, -limit, limit), 'interpolation': 'bilinear'}
    if landscape is not None:
        probability = 0.5 * (1 + np.tanh(0.5 * np.asarray(landscape, np.float64)))
        colors = LinearSegmentedColormap.from_list('real', [_FAKE, _NEUTRAL, _REAL], _LEVELS)
        axes.imshow(probability, cmap=colors, vmin=0, vmax=1, **ground)
    glow = np.empty((_BINS, _BINS, 4))
    glow[..., :3] = to_rgb(_GLOW)
    glow[..., 3] = 0.75 * (1 - np.exp(-_density(points, limit) * len(centres)))
    axes.imshow(glow, **ground)
    axes.scatter(*centres.T, s=90, facecolors='none', edgecolors='0.45', linewidths=0.8)
    inside = points[(np.abs(points) < limit).all(axis=1)]
    axes.scatter(*inside.T, s=3, color=_INK, alpha=0.3, linewidths=0)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal', xticks=[], yticks=[])
    axes.spines[:].set_color('0.8')


def _density(points: np.ndarray, limit: float) -> np.ndarray:
    """[bins, bins], row by row from below; 1 in the middle of a place where all points are."""
    edges = np.linspace(-limit, limit, _BINS + 1)
    histogram = np.histogram2d(points[:, 1], points[:, 0], bins=(edges, edges))[0] / len(points)
    bins = np.arange(_BINS)
    blur = np.exp(-0.5 * ((bins[:, None] - bins) / _BLUR) ** 2)
    return blur @ histogram @ blur


def _legend(figure: Any, with_landscape: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], linestyle='', marker='o', markersize=4, color=_INK, markeredgewidth=0, label='generated'),
        Line2D([], [], linestyle='', marker='o', markersize=7, color='none', markeredgecolor='0.45', label='modes'),
    ]
    if with_landscape:
        handles += [
            Patch(color=_REAL, label='judged real'),
            Patch(color=_FAKE, label='judged generated'),
        ]
    figure.legend(
        handles=handles,
        loc='lower center',
        bbox_to_anchor=(0.5, 0.004),
        ncols=len(handles),
        frameon=False,
        fontsize=8.5,
        labelcolor='0.3',
        handletextpad=0.3,
        columnspacing=1.4,
        handlelength=1.2,
        borderpad=0,
        borderaxespad=0.6,
    )


_READING = (
    'A generator that collapses generates good samples of a few kinds and none of the others. The kinds of these data, '
    'called modes, are known, so they can be counted. Every number is the mean ± standard deviation over the seeds.',
    'modes: how many modes have at least one sample. All of them is best. A cloud over the whole plane has samples at '
    'many modes by chance, so look at the pictures and at high quality too.',
    'high quality: the share of samples close to a mode. Samples between two modes do not count. The share of the data '
    'themselves is a little below 1.',
    'reverse KL: how unevenly the samples are distributed over the modes, in nats. It is 0 if they are even, and 2.08 '
    'if all are in one of 8 modes. A seed whose samples are at no mode has no such value and is left out of the mean; '
    'the table then gives the number of seeds.',
    'In the animations, dots are generated points, and the violet glow is stronger where there are more of them. Rings '
    "are the centres of the modes. The background is the discriminator's output: blue where it says real, rose where "
    'it says generated, pale where it cannot tell. A ring without dots is a missing mode. Dots that move from ring to '
    'ring are samples of a generator that has collapsed and evades its discriminator.',
)
