"""Charts of curves, drawn by a page's script: their data, and their placeholders."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# Of matplotlib's cycle, so that a curve has the same colour here and in the pictures.
COLORS = (
    '#1f77b4',
    '#ff7f0e',
    '#2ca02c',
    '#d62728',
    '#9467bd',
    '#8c564b',
    '#e377c2',
    '#7f7f7f',
    '#bcbd22',
    '#17becf',
)
AXES = {'kimg': 'images (thousands)', 'step': 'steps', 'hours': 'training time (hours)'}
_MAX_POINTS = 2000  # of a curve

Clock = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""What the thousands of images are on other axes: name of `AXES` -> (kimg in rising order, values there)."""


class Chart(NamedTuple):
    """Curves over one axis.

    Attributes:
        title: title of the chart.
        series: label -> (kimg in rising order, ys), as long as each other; a y that is None or not finite is a gap.
        colors: label -> CSS colour, for those that have one of their own.
        logarithmic: whether the y axis is; values that are not above 0 are gaps there.
        limits: limits of the y axis, or None for what the values need.
    """

    title: str
    series: Mapping[str, tuple[Sequence[float], Sequence[float | None]]]
    colors: Mapping[str, str] = {}
    logarithmic: bool = False
    limits: tuple[float, float] | None = None


def chart(*names: str) -> str:
    """Placeholders for some of a document's charts, side by side if there is space."""
    places = '\n'.join(f'<div class="chart" data-chart="{html.escape(name)}"></div>' for name in names)
    return f'<div class="charts">\n{places}\n</div>'


def controls(axes: Iterable[str]) -> str:
    """Controls of all charts of a document: the axis (one of these names of `AXES`), smoothing, and CSV."""
    options = ''.join(f'<option value="{axis}">{AXES[axis]}</option>' for axis in axes)
    return (
        '<div class="controls" id="chart-controls">\n'
        f'<label>Axis <select id="axis">{options}</select></label>\n'
        '<label>Smoothing <input id="smoothing" type="range" min="0" max="0.99" value="0" step="0.01"> '
        '<output>0</output></label>\n'
        '<label><input id="logarithmic" type="checkbox"> Logarithmic</label>\n'
        '<button type="button" id="csv">Download CSV</button>\n</div>\n'
    )


def pack_clock(clock: Clock) -> dict[str, list[list[float]]]:
    """A clock as JSON values."""
    return {axis: [_plain(xs), _plain(ys)] for axis, (xs, ys) in clock.items()}


def evenly(items: Sequence, most: int) -> list:
    """At most a number of the items, evenly spaced, including the first and the last."""
    places = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[place] for place in places]


def pack(one: Chart) -> dict[str, Any]:
    """A chart as JSON values: numbers of five digits, and null for what is not finite."""
    series = []
    for i, (label, (xs, ys)) in enumerate(one.series.items()):
        points = evenly(list(zip(xs, ys, strict=True)), _MAX_POINTS)
        series.append(
            {
                'label': label,
                'color': one.colors.get(label, COLORS[i % len(COLORS)]),
                'xs': [float(x) for x, _ in points],
                'ys': [_five_digits(y, above_zero=one.logarithmic) for _, y in points],
            }
        )
    return {'title': one.title, 'series': series, 'logarithmic': one.logarithmic, 'limits': one.limits}


def _plain(values: Sequence[float]) -> list[float]:
    return [float(value) for value in evenly(values, _MAX_POINTS)]


def _five_digits(value: float | None, above_zero: bool) -> float | None:
    if value is None or not math.isfinite(value) or (above_zero and value <= 0):
        return None
    return float(f'{value:.5g}')
