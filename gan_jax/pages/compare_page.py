"""The page of several runs: their differences, metrics, samples side by side, and curves over each other."""

import itertools
from collections.abc import Sequence

from gan_jax.config import json_values
from gan_jax.pages import diversity, history, run_page
from gan_jax.pages import document as html
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.charts import AXES, COLORS, Chart, chart, controls
from gan_jax.pages.metrics_table import metrics_table
from gan_jax.pages.workdir import Curve, Workdir
from gan_jax.records import provenance, report

# Sections of a config in the order in which they matter for what a run becomes; the others go between.
_FIRST = (
    'data',
    'game',
    'model',
    'loss',
    'penalties',
    'generator',
    'discriminator',
    'augment',
    'batch_size',
    'duration',
)
_LAST = ('samples', 'sample_every', 'checkpoint_every', 'log_every', 'seed')


def page(runs: Sequence[Workdir]) -> str:
    """The page as one HTML document; the runs' names differ."""
    curves = {run.name: workdirs.curves(run) for run in runs}
    clocks = {run.name: workdirs.clock(run) for run in runs}
    axes = [axis for axis in AXES if axis == 'kimg' or all(axis in clock for clock in clocks.values())]
    drawn = _charts(curves)
    films = html.films(
        {run.name: run.frames() for run in runs},
        {run.name: run.classes[: run.config['samples']] for run in runs},
        _shares(runs),
    )
    body = [
        *(html.paragraph(sentence, 'bad') for sentence in other_data(runs)),
        *(html.paragraph(trouble, 'bad') for run in runs for trouble in run.troubles),
        html.table(
            ('run', 'what', 'cost'),
            [(run.name, f'{run_page.progress(run)} {history.divergence(run)}', run_page.cost(run)) for run in runs],
        ),
        html.section('Evaluations', metrics_table(runs)),
        html.section('Samples', films or html.paragraph('There are no samples yet.')),
        html.section('Differences of the configs', *differences(runs)),
        html.section(
            'Curves',
            html.paragraph(run_page.HINT, 'small') if drawn else html.paragraph('There are no metrics yet.'),
            controls(axes) + chart(*drawn) if drawn else '',
        ),
    ]
    title = f'Comparison of {len(runs)} runs'
    return html.document(title, '\n'.join(part for part in body if part), charts=drawn, clocks=clocks)


def other_data(runs: Sequence[Workdir]) -> list[str]:
    """A sentence for each run that was trained on different data than the first."""
    first, *others = runs
    found = []
    for run in others:
        one, other = first.facts['data'], run.facts['data']
        if changed := provenance.differences(one, other):
            changed = [line for line in changed if not line.startswith('class_names')] or ['names of classes']
            if one['name'] != other['name']:
                changed.insert(0, f'name ({one["name"]} -> {other["name"]})')
            found.append(
                f'{first.name} and {run.name} were trained on different data: {", ".join(changed)}. Their samples and '
                'losses are not comparable.'
            )
    return found


def _charts(curves: dict[str, dict[str, Curve]]) -> dict[str, Chart]:
    """A chart for each metric, with a curve for each run that has it; evaluations first."""
    colors = {run: COLORS[i % len(COLORS)] for i, run in enumerate(curves)}
    names = [(panel, name) for panel, names in report.panels(curves.values()).items() for name in names]
    drawn = {}
    for panel, name in sorted(names, key=lambda pair: not pair[1].startswith('eval/')):
        series = {run: found[name] for run, found in curves.items() if name in found}
        title, label = report.title_of(panel), report.label_of(name)
        title = title if name in (panel, f'eval/{panel}') else f'{title}: {label}'
        drawn[name] = Chart(title, series, colors, **run_page.axis(panel))
    return drawn


def _shares(runs: Sequence[Workdir]) -> dict[str, float]:
    """The part of its place that each run's film fills, so that all examples are equally wide; {} if unknown."""
    columns = {}
    for run in runs:
        data, number = run.facts['data'], run.config['samples']
        if len(data['shape']) != 3 or (run.samples and report.caption_of(run.samples[-1][1])):
            return {}
        columns[run.name] = diversity.columns(tuple(data['shape']), number, len(run.classes) or None)
    most = max(columns.values())
    return {name: number / most for name, number in columns.items()}


def differences(runs: Sequence[Workdir]) -> list[str]:
    """A table of the keys in which configs differ, the most important first; keys that some lack are folded."""
    keys = {
        line.partition(' ')[0]
        for one, other in itertools.pairwise(runs)
        for line in json_values.differences(one.config, other.config)
    }
    if not keys:
        return [html.paragraph('Their configs are the same.')]
    flat, header = [workdirs.flat(run.config) for run in runs], ('key', *(run.name for run in runs))
    rows = [[key, *(html.value(values[key]) if key in values else None for values in flat)] for key in keys]
    rows.sort(key=lambda row: _rank(row[0]))
    some = [row for row in rows if None in row]
    tables = [html.table(header, [row for row in rows if None not in row])]
    return tables + (
        [html.folded(f'{len(some)} keys that not all of them have', html.table(header, some))] if some else []
    )


def _rank(key: str) -> tuple[int, str]:
    section = key.partition('.')[0]
    if section in _LAST:
        return len(_FIRST) + 1, key
    return _FIRST.index(section) if section in _FIRST else len(_FIRST), key
