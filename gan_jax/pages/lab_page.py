"""The lab: games in the plane over time, with samples, gradients and the discriminator, several runs side by side.

After GAN Lab (Kahng et al. 2019, https://arxiv.org/abs/1809.01587), but of runs that were trained, from the frames that
they have left.
"""

import base64
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_jax.errors import UserError
from gan_jax.pages import compare_page, run_page
from gan_jax.pages import document as html
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.charts import chart
from gan_jax.pages.health.course import PROBABILISTIC
from gan_jax.pages.workdir import Workdir
from gan_jax.records import files, plane
from gan_jax.records.plane import Frame

_MAX_FRAMES = 150  # of a run, so that a page stays in a few megabytes
_UNIT = 8192  # what 1 is in 16 bits
_LONG = 90  # the percentile of the gradients' lengths, over all frames, that is their scale
_HOW = (
    'Blue points: data. Orange points: samples of the generator as it is trained, without averaging, of the same '
    'latents in all frames. Background: the discriminator, blue where it takes points for real, orange where for '
    "generated. Arrows: the direction in which the generator's loss moves each sample, minus its gradient; the "
    'lengths are square roots of the norms of the gradients, on one scale for all frames of a run. The line in the '
    'charts is the time that is shown.'
)
_LAYERS = {'landscape': 'discriminator', 'real': 'data', 'pulls': 'gradients', 'samples': 'samples'}


def write(workdir: str | os.PathLike) -> pathlib.Path | None:
    """Writes `lab.html` into a run's directory, where it has frames of a game in the plane.

    Returns:
        The file, or None.

    Raises:
        UserError: the directory is not a run, or cannot be written.
    """
    if not plane.frame_files(workdir):
        return None
    run = workdirs.read(workdir)
    path = run.path / run_page.LAB
    files.replace(path, page([run]).encode())
    return path


def page(runs: Sequence[Workdir]) -> str:
    """The page as one HTML document; the runs' names differ.

    Raises:
        UserError: a run has no frames.
    """
    packed, charts, parts, troubles = [], {}, [], []
    for run in runs:
        frames = _frames(run, troubles)
        panels = ('loss', 'probability') if _has_probabilities(run) else ('loss',)
        own = {f'{run.name}/{panel}': one for panel, one in run_page.charts(run).items() if panel in panels}
        parts += [_figure(len(packed), run.name), chart(*own)]
        packed.append(_packed(run, frames))
        charts |= own
    if len(runs) > 1:  # each run with its charts below it
        parts = [
            f'<div class="column">{figure}{below}</div>' for figure, below in zip(parts[::2], parts[1::2], strict=True)
        ]
    stops = sorted({frame['at'] for one in packed for frame in one['frames']})
    body = [
        *(html.paragraph(f'{run.name}: {run_page.progress(run)}') for run in runs),
        *(html.paragraph(trouble, 'bad') for trouble in troubles),
        html.paragraph(_HOW, 'small'),
        _switches(),
        html.timed(stops, html.row(*parts)),
        html.section('Differences of the configs', *compare_page.differences(runs)) if len(runs) > 1 else '',
        html.data('lab', packed),
    ]
    title = 'GAN Lab: ' + ' and '.join(run.name for run in runs)
    return html.document(title, '\n'.join(part for part in body if part), charts=charts, scripts=('lab.js',))


def _frames(run: Workdir, troubles: list[str]) -> list[tuple[int, Frame]]:
    """A run's frames with their steps, evenly spaced where there are many; sentences on damaged ones go to the list."""
    found = []
    for step, path in html.evenly(plane.frame_files(run.path), _MAX_FRAMES):
        try:
            found.append((step, plane.load(path)))
        except UserError as error:
            troubles.append(str(error))
    if not found:
        raise UserError(
            f'{run.path} has no frames of a game in the plane: give a run on points, such as one of the recipe toy, '
            'that has reached its first samples.'
        )
    return found


def _figure(number: int, name: str) -> str:
    """Room for the picture of a run."""
    return (
        f'<figure class="plane" data-run="{number}">\n<h3>{html.escape(name)}</h3>\n'
        f'<canvas role="img" aria-label="{html.escape(name)} in the plane"></canvas>\n'
        '<div class="scale"><span></span><i></i><span></span></div>\n'
        '<figcaption></figcaption>\n<p class="small"></p>\n</figure>'
    )


def _switches() -> str:
    """A box for each layer of the pictures."""
    boxes = (
        f'<label><input type="checkbox" name="{layer}" checked> {label}</label>' for layer, label in _LAYERS.items()
    )
    return '<div class="switches">' + ' '.join(boxes) + '</div>'


def _packed(run: Workdir, frames: Sequence[tuple[int, Frame]]) -> dict[str, Any]:
    """A run as JSON values: arrays in base64, points in units of the plane's limit, gradients in units of the scale."""
    lengths = [np.linalg.norm(frame.pulls, axis=1) for _, frame in frames]
    every = np.concatenate(lengths)
    scale = float(np.percentile(np.nan_to_num(every, posinf=0), _LONG)) or 1.0
    reals: dict[str, int] = {}
    packed = []
    for (step, frame), length in zip(frames, lengths, strict=True):
        levels, low, high = _levels(frame.logits, _has_probabilities(run))
        kimg = run.kimg(step)
        packed.append(
            {
                'at': kimg,
                'caption': f'step {step:,}, {kimg:,.6g} thousand images, mean length of the gradients '
                f'{html.number(float(length.mean()))}',
                'real': reals.setdefault(_points(frame.real, frame.limit), len(reals)),
                'samples': _points(frame.samples, frame.limit),
                'pulls': _points(frame.pulls, scale),
                'levels': _base64(levels),
                'low': low,
                'high': high,
                'limit': frame.limit,
            }
        )
    return {'what': 'D' if _has_probabilities(run) else 'logit', 'reals': list(reals), 'frames': packed}


def _has_probabilities(run: Workdir) -> bool:
    """Whether the loss makes D(x), the sigmoid of a logit, a probability."""
    return run.config['loss']['name'] in PROBABILISTIC


def _levels(logits: np.ndarray, is_probability: bool) -> tuple[np.ndarray, float, float]:
    """A landscape in 8 bits, from the top left, and what 0 and 255 mean: probabilities or the logits themselves."""
    logits = np.nan_to_num(logits[::-1]).astype(np.float64)  # first, so that their range is finite
    if is_probability:
        return np.round(255 * (0.5 + 0.5 * np.tanh(logits / 2))).astype(np.uint8), 0.0, 1.0
    low, high = float(logits.min()), float(logits.max())
    return np.round(255 * (logits - low) / ((high - low) or 1.0)).astype(np.uint8), low, high


def _points(values: np.ndarray, unit: float) -> str:
    """Values in units from -4 to 4 as 16 bits each; what is not finite is 0."""
    scaled = np.nan_to_num(values.astype(np.float64) / unit * _UNIT, posinf=0, neginf=0)
    return _base64(np.clip(np.round(scaled), -32767, 32767).astype('<i2'))


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
