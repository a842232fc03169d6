"""The outputs of the experiment: frames of an animation, small multiples, a table and a page that explains them."""

import base64
import html
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from experiments.results import Values, table
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
    return _pixels(figure)


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
    return _pixels(figure)


class Study(NamedTuple):
    """One data set of the page.

    Attributes:
      title: the data set in words.
      protocol: how modes are counted, and how many seeds.
      results: recipe -> metric -> one value a seed.
      findings: what is seen, in plain words; paragraphs are separated by an empty line.
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
    """A self-contained HTML page: its pictures are inside it, and it needs neither a network nor scripts.

    Args:
      title: title of the page.
      question: what is asked, in plain words; paragraphs are separated by an empty line.
      studies: one section each.
    """
    body = [f'<h1>{html.escape(title)}</h1>', _paragraphs(question), _READING]
    for study in studies:
        body += [f'<h2>{html.escape(study.title)}</h2>', f'<p class="note">{html.escape(study.protocol)}</p>']
        body += [_table_html(study.results), _paragraphs(study.findings)]
        if study.overview is not None:
            data = io.BytesIO()
            Image.fromarray(study.overview).save(data, 'png', optimize=True)
            caption = f'Samples of the median seed of each recipe on {study.title}, after training.'
            body.append(_figure_html(data.getvalue(), 'png', caption, 'wide'))
        if study.animations:
            figures = [
                _figure_html(pathlib.Path(path).read_bytes(), 'gif', f'{recipe}: {caption}')
                for recipe, (path, caption) in study.animations.items()
            ]
            body.append(f'<div class="grid">{"".join(figures)}</div>')
    return _PAGE.format(title=html.escape(title), body='\n'.join(part for part in body if part))


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


def _pixels(figure: Any) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def _table_html(results: Values) -> str:
    header, *rows = ([html.escape(cell) for cell in row] for row in table(results))
    lines = [''.join(f'<th>{cell}</th>' for cell in header)]
    lines += [f'<th>{row[0]}</th>' + ''.join(f'<td>{cell}</td>' for cell in row[1:]) for row in rows]
    return '<div class="scroll"><table>' + ''.join(f'<tr>{line}</tr>' for line in lines) + '</table></div>'


def _paragraphs(text: str) -> str:
    return ''.join(f'<p>{html.escape(part)}</p>' for part in text.split('\n\n') if part.strip())


def _figure_html(data: bytes, kind: str, caption: str, style: str = '') -> str:
    source = f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
    caption = html.escape(caption)
    return f'<figure class="{style}"><img src="{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


_READING = f"""<h2>How to read this</h2>
<p>A generator that collapses makes good samples of a few kinds and none of the others. Here the kinds, called modes,
are known, so they can be counted. Every number is the mean over the seeds ± their standard deviation.</p>
<ul>
<li><b>Modes</b>: how many are captured, by one sample at least. All of them is best. A cloud spread over the whole
plane touches modes by chance, so look at the pictures and the next number too.</li>
<li><b>High quality</b>: the share of samples close to a mode. Samples on the way from one mode to another do not
count. The data's own share is a little below 1.</li>
<li><b>Reverse KL</b>: how unevenly the samples spread over the modes, in nats. 0 is even; all in one of 8 modes is
2.08. Where a seed has no sample that counts, it has no such number and is left out of the mean, which then says
so.</li>
</ul>
<p>In the animations, dots are generated points, and the violet glow behind them is stronger where more of them lie.
Rings are the centres of the data's modes. The ground is the discriminator's opinion at every place:
<span style="background:{_REAL}">&nbsp;blue&nbsp;</span> where it says real,
<span style="background:{_FAKE}">&nbsp;rose&nbsp;</span> where it says generated, pale where it cannot tell. The
generator climbs towards blue. A ring without dots is a missing mode; dots that hop from ring to ring are a generator
that the discriminator chases; a ground that is pale everywhere is a discriminator that is fooled.</p>"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.55 system-ui, sans-serif; color: #222; max-width: 960px; margin: 2.5rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }}
h2 {{ margin-top: 2.5rem; }}
p, ul {{ max-width: 46rem; }}
.note, figcaption {{ color: #666; font-size: 0.875rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.3rem 0.9rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }}
th:first-child {{ text-align: left; padding-left: 0; }}
tr + tr th {{ font-weight: 500; }}
figure {{ margin: 1rem 0; }}
img {{ width: 100%; height: auto; }}
.wide img {{ width: auto; max-width: 100%; }}
.grid {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 0.5rem 1.5rem; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
