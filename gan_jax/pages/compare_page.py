"""The page of several runs: their curves over each other, their samples side by side, in what they differ."""

from collections.abc import Sequence

from gan_jax import config as configs
from gan_jax.pages import document as html
from gan_jax.pages import run_page
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.metrics_table import metrics_table
from gan_jax.pages.workdir import Curve, Workdir
from gan_jax.records import report


def page(runs: Sequence[Workdir]) -> str:
    """The page as one HTML document; the runs' names differ."""
    curves = {run.name: workdirs.curves(run) for run in runs}
    charts = _charts(curves)
    films = html.films({run.name: run.frames() for run in runs})
    body = [
        html.table(('run', 'what', 'cost'), [(run.name, run_page.progress(run), run_page.cost(run)) for run in runs]),
        *(html.paragraph(trouble, 'bad') for run in runs for trouble in run.troubles),
        html.section('In what they differ', differences(runs)),
        html.section('Evaluations', metrics_table(runs)),
        html.section('Samples', films or html.paragraph('There are no samples yet.')),
        html.section(
            'Curves',
            html.paragraph(run_page.HINT, 'small') if charts else html.paragraph('There are no metrics yet.'),
            html.chart(*charts) if charts else '',
        ),
    ]
    title = f'Comparison of {len(runs)} runs'
    return html.document(title, '\n'.join(part for part in body if part), charts=charts)


def _charts(curves: dict[str, dict[str, Curve]]) -> dict[str, html.Chart]:
    """A chart for each metric, with a curve for each run that has it."""
    colors = {run: html.COLORS[i % len(html.COLORS)] for i, run in enumerate(curves)}
    charts = {}
    for panel, names in report.panels(curves.values()).items():
        for name in names:
            series = {run: found[name] for run, found in curves.items() if name in found}
            title, label = report.title_of(panel), report.label_of(name)
            title = title if name in (panel, f'eval/{panel}') else f'{title}: {label}'
            charts[name] = html.Chart(title, series, colors, **run_page.axis(panel))
    return charts


def differences(runs: Sequence[Workdir]) -> str:
    """A table of the keys in which a run's config differs from the first's."""
    first, *others = (run.config for run in runs)
    lines = [line for other in others for line in configs.differences(first, other)]
    keys = sorted({line.partition(' ')[0] for line in lines})
    if not keys:
        return html.paragraph('Their configs are the same.')
    flat = [workdirs.flat(run.config) for run in runs]
    rows = [(key, *(html.value(values[key]) if key in values else None for values in flat)) for key in keys]
    return html.table(('key', *(run.name for run in runs)), rows)
