"""The page of a run: its config, its training, its samples."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from gan_jax.errors import UserError
from gan_jax.examples.kinds import kind_of
from gan_jax.pages import document as html
from gan_jax.pages import health, history
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.charts import COLORS, Chart, chart, controls
from gan_jax.pages.metrics_table import evaluated_table, metrics_table
from gan_jax.pages.workdir import Workdir
from gan_jax.records import files, report
from gan_jax.training import phases

NAME = 'report.html'
LAB = 'lab.html'  # of a game in the plane, beside it
_FROM_CLASS_TO_CLASS = 'Each row interpolates from one class to the next, with the same latent.'
HINT = (
    'Hover over a chart to read its values, drag to zoom all charts, double-click to see all again, click a title to '
    'enlarge.'
)
_CYCLE = {f'C{i}': color for i, color in enumerate(COLORS)}


def write(workdir: str | os.PathLike, *, stopped: bool = False) -> pathlib.Path:
    """Writes `report.html` into a run's directory, from the contents of the directory only.

    Args:
        workdir: the directory.
        stopped: whether its training is about to end, although the run's lock is still held.

    Returns:
        The file.

    Raises:
        UserError: the directory is not a run, or cannot be written.
    """
    run = workdirs.read(workdir)
    path = run.path / NAME
    files.replace(path, page(run, stopped=stopped).encode())
    return path


def page(run: Workdir, *, stopped: bool = False) -> str:
    """The page as one HTML document; `stopped` as in `write`."""
    shown, clock = charts(run), workdirs.clock(run)
    body = [
        html.paragraph(progress(run)),
        *history.sentences(run, stopped=stopped),
        _lab(run),
        *(html.paragraph(trouble, 'bad') for trouble in run.troubles),
        html.section('Health', *_findings(run)),
        html.section('Samples', *_samples(run)),
        html.section(
            'Curves',
            html.paragraph(HINT, 'small') if shown else html.paragraph('There are no metrics yet.'),
            controls(['kimg', *clock]) + chart(*shown) if shown else '',
        ),
        html.section('Evaluations', metrics_table([run]), evaluated_table(run)),
        html.section('Neighbours and interpolation', _neighbours_and_interpolation(run)),
        html.section('What was trained', *_facts(run)),
    ]
    return html.document(run.name, '\n'.join(part for part in body if part), charts=shown, clocks={'': clock})


def progress(run: Workdir) -> str:
    """The model, the data and the progress of a run."""
    total, data = run.total, run.facts['data']
    size = 'x'.join(map(str, data['shape'])) if kind_of(data['shape']).view else 'points in the plane'
    if run.config.get('game', {}).get('name', 'adversarial') == 'adversarial':
        size += f', conditional on {len(run.classes)} classes' if run.classes else ', unconditional'
    how = 'finished' if run.step >= total else f'{100 * run.step // total} % of the run'
    return (
        f'{run.config["model"]} on {data["examples"]:,} examples of {data["name"]} ({size}): step {run.step:,} of '
        f'{total:,}, {how}.'
    )


def _lab(run: Workdir) -> str:
    """A link to the lab, where the run has one."""
    if not (run.path / LAB).exists():
        return ''
    return f'<p><a href="{LAB}">The game in the plane over time: samples, gradients and the discriminator</a></p>'


def _findings(run: Workdir) -> list[str]:
    try:
        found = health.findings(run.path)
    except (UserError, OSError, ValueError):  # records or pictures are damaged
        return []
    return [
        f'<div class="finding {html.escape(one.severity)}">\n'
        + html.paragraph(one.sentence)
        + (html.paragraph(one.evidence) if one.evidence else '')
        + (html.paragraph(f'Usual remedies: {one.remedies}.') if one.remedies else '')
        + '\n</div>'
        for one in found
    ]


def _samples(run: Workdir) -> list[str]:
    if not run.samples:
        return [html.paragraph('There are no samples yet.')]
    caption = report.caption_of(run.samples[-1][1])
    rows = run.classes[: run.config['samples']]
    films = html.row(
        html.films({'generated': run.frames()}, {'generated': rows}), _picture_of(run, 'real.png', rows=rows)
    )
    return [html.paragraph(caption), films] if caption else [films]


def _neighbours_and_interpolation(run: Workdir) -> str:
    between = _picture_of(run, 'interpolation.png', _FROM_CLASS_TO_CLASS, run.classes)
    found = [_picture_of(run, 'neighbours.png'), between]
    return html.row(*found) if any(found) else ''


def _picture_of(run: Workdir, name: str, caption: str = '', rows: Sequence[str] = ()) -> str:
    """A picture of the directory where there is one, with the caption that it carries or else this one."""
    path = run.path / name
    if not path.exists():
        return ''
    try:
        return html.picture(path, report.caption_of(path) or caption, rows)
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for a damaged file, and `picture`
        return html.paragraph(f'{path} is not a complete picture and is skipped: delete it.', 'bad')


def charts(run: Workdir) -> dict[str, Chart]:
    """The charts of a run's metrics by the names of their panels."""
    curves, drawn = workdirs.curves(run), {}
    for panel, names in report.panels([curves]).items():
        alone = names in ([panel], [f'eval/{panel}'])
        labels = {report.title_of(panel) if alone else report.label_of(name): name for name in names}
        colors = {label: _CYCLE[report.COLORS[label]] for label in labels if label in report.COLORS}
        drawn[panel] = Chart(
            report.title_of(panel),
            {label: curves[name] for label, name in labels.items()},
            colors,
            **axis(panel),
        )
    return drawn


def axis(panel: str) -> dict[str, Any]:
    """How the y axis of a panel's chart is."""
    if panel == 'gradient_norm':
        return {'logarithmic': True}
    return {'limits': (0.0, 1.0)} if panel in ('probability', 'accuracy') else {}


def _facts(run: Workdir) -> list[str]:
    data, devices = run.facts['data'], run.facts['devices']
    rows: list[tuple[str, Any]] = [
        ('data', f'{data["name"]}, split {data["split"]}, fingerprint {data["fingerprint"][:8]}'),
        ('hardware', f'{devices["number"]} x {devices["kind"]} ({devices["mode"]})'),
        ('versions', ', '.join(f'{name} {version}' for name, version in run.facts['versions'].items())),
        ('cost so far', cost(run)),
        *history.facts(run),
    ]
    if len(run.phases) > 1:
        rows[1:1] = [(f'phase {number}', words) for number, words in enumerate(_phases(run), 1)]
    if promise := run.facts.get('privacy'):
        rows[1:1] = [('privacy', _privacy(promise))]
    networks = run.facts.get('networks', {})
    rows[1:1] = [(name, f'{network["parameters"]:,} parameters') for name, network in networks.items()]
    return [
        html.table(('', ''), rows),
        *(
            html.folded(f'Parameters of the {name}', html.table(('parameter', 'shape'), network['shapes'].items()))
            for name, network in networks.items()
        ),
        _config(run.config),
    ]


def _privacy(promise: dict[str, Any]) -> str:
    """What a private run promises."""
    if promise['epsilon'] is None:
        return 'none: the gradients have no noise'
    return (
        f'epsilon {promise["epsilon"]:.4g} at delta {promise["delta"]:.3g} after all {promise["steps"]:,} steps of the '
        f'discriminator, for {promise["neighbours"]}: noise multiplier {promise["noise_multiplier"]:.4g}, sampling '
        f'rate {promise["sampling_rate"]:.4g}, {promise["accountant"]}; it does not cover this page, whose curves and '
        'values are computed from the data'
    )


def _phases(run: Workdir) -> list[str]:
    """What each phase trains on, and for how long: 'to step 375, on 4x4x1 digits, batches of 32'."""
    shapes = ['x'.join(map(str, phase['data']['shape'])) for phase in run.facts['phases']]
    return [
        f'to step {phases.end(phase):,}, on {shape} {phase.data.name}, batches of {phase.batch_size}'
        for phase, shape in zip(run.phases, shapes, strict=True)
    ]


def cost(run: Workdir) -> str:
    """The images and the time that a run has taken."""
    images = f'{1000 * run.kimg(run.step):,.0f} images'
    if not run.timing:
        return images
    speeds = sorted(record['images_per_second'] for record in run.timing if 'images_per_second' in record)
    speed = f' ({speeds[len(speeds) // 2]:,.0f} images/s while training)' if speeds else ''
    peaks = [record['memory_gib'] for record in run.timing if 'memory_gib' in record]
    memory = f', {max(peaks):.2g} GiB of memory at the peak' if peaks else ''
    return f'{images} in {workdirs.seconds(run):,.0f} s of wall clock{speed}{memory}'


def _config(config: dict[str, Any]) -> str:
    changed = workdirs.changed(config)
    values = workdirs.flat(config)
    emphasised = [i for i, key in enumerate(values) if key in changed]
    rows = [(key, html.value(value)) for key, value in values.items()]
    return html.folded(
        f'The config: {len(changed)} of {len(values)} keys differ from the defaults',
        html.table(('key', 'value'), rows, emphasised),
    )
