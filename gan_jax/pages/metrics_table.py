"""Final and best values of metrics, of one run or of several, and whether they may be compared."""

import dataclasses
from collections.abc import Callable, Sequence

from gan_jax.evaluation import record
from gan_jax.evaluation.metrics import BEST
from gan_jax.pages import document as html
from gan_jax.pages import workdir as workdirs
from gan_jax.pages.workdir import Workdir


def metrics_table(runs: Sequence[Workdir]) -> str:
    """A table with a line for each metric and run; nothing where nothing was evaluated.

    The best run's line is emphasised where the runs were measured by one protocol.
    """
    curves = [workdirs.curves(run) for run in runs]
    names = dict.fromkeys(name for found in curves for name in found if name.startswith('eval/'))
    differences = _differences(runs)
    apart = {metric for metrics in differences.values() for metric in metrics}
    rows, emphasised = [], []
    for metric, name in ((name.removeprefix('eval/'), name) for name in names):
        lines = [(run.name, *summary(run, name)) for run, found in zip(runs, curves, strict=True) if name in found]
        if len(lines) > 1 and metric not in apart and (better := _better(metric)):
            emphasised.append(len(rows) + lines.index(better(lines, key=lambda line: line[3])))
        rows += [(metric, *line) for line in lines]
    if not rows:
        return ''
    if len(runs) > 1:
        table = html.table(('metric', 'run', 'final', 'at step', 'best', 'at step'), rows, emphasised)
        warnings = [html.paragraph(f'{", ".join(metrics)}: {why}', 'bad') for why, metrics in differences.items()]
        return '\n'.join([table, *warnings])
    protocols = [f'{metric}: {one.describe()}' for metric, one in workdirs.protocols(runs[0]).items()]
    return '\n'.join(
        [
            html.table(('metric', 'final', 'at step', 'best', 'at step'), [(line[0], *line[2:]) for line in rows]),
            html.folded('How they were measured', *(html.paragraph(line, 'small') for line in protocols)),
        ]
    )


def evaluated_table(run: Workdir) -> str:
    """A table of what `--mode eval` has measured, a line for each value; nothing where it has measured nothing."""
    lines = [(step, seed, one) for step, seed, records in run.evaluated for one in records]
    if not lines:
        return ''
    rows = [(one.metric, one.value, one.error, one.number, step, seed) for step, seed, one in lines]
    protocols = dict.fromkeys(f'{one.metric}: {one.describe()}' for _, _, one in lines)
    return '\n'.join(
        [
            '<h3>By --mode eval</h3>',
            html.table(('metric', 'value', 'error', 'samples', 'at step', 'seed'), rows),
            html.folded('How they were measured', *(html.paragraph(line, 'small') for line in protocols)),
        ]
    )


def summary(run: Workdir, name: str) -> tuple[float, int, float | None, int | None]:
    """A metric's last value and its step, its best and its step; no best where real images have the best one."""
    values = [(entry[name], entry['step']) for entry in run.metrics if entry.get(name) is not None]
    better = _better(name.removeprefix('eval/'))
    return *values[-1], *(better(values, key=lambda pair: pair[0]) if better else (None, None))


def _better(metric: str) -> Callable | None:
    """`min` or `max`; None if neither the smallest nor the largest value is best."""
    return {'min': min, 'max': max}.get(BEST.get(metric))


def _differences(runs: Sequence[Workdir]) -> dict[str, list[str]]:
    """Why some metrics of two runs must not be compared: {sentence: metrics}. Runs may differ in their seed."""
    measured: dict[str, list[tuple[str, record.Record]]] = {}
    for run in runs:
        for metric, one in workdirs.protocols(run).items():
            seedless = dataclasses.replace(one, protocol={**one.protocol, 'seed': None})
            measured.setdefault(metric, []).append((run.name, seedless))
    sentences: dict[str, list[str]] = {}
    for metric, ((first, reference), *others) in measured.items():
        for name, one in others:
            if reasons := record.differences(reference, one):
                sentence = f'{first} and {name} are not comparable: {"; ".join(reasons)}.'
                sentences.setdefault(sentence, []).append(metric)
    return sentences
