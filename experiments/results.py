"""The results of an experiment: a table of values over the seeds, curves with their spread, and their files."""

import functools
import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import ArrayLike
from PIL import Image

from experiments.sweep import slug
from gan_jax.evaluation.metrics import BEST
from gan_jax.pages import document
from gan_jax.pages.charts import Chart, chart
from gan_jax.records import files, report
from gan_jax.records.description import read_divergence
from gan_jax.records.metrics import evaluations_of, metrics_of

Values = Mapping[str, Mapping[str, Sequence[float]]]  # {arm: {column: a value for each seed}}
Published = Mapping[str, Mapping[str, str]]  # {arm: {column: a figure as a paper prints it}}
Curve = tuple[np.ndarray, np.ndarray]  # thousands of images, values
_COLORS = 10  # of Matplotlib's cycle


class Finished(NamedTuple):
    """What a run recorded.

    Attributes:
        workdir: its directory.
        records: records of metrics.jsonl.
        protocols: {metric: the protocol of its values, as one line}.
        divergence: why it was given up as diverged, or None.
    """

    workdir: pathlib.Path
    records: list[dict[str, Any]]
    protocols: dict[str, str]
    divergence: str | None = None

    def curve(self, name: str) -> Curve:
        """A metric, such as 'eval/fid', over thousands of images; empty where it was not recorded."""
        points = [(record['kimg'], record[name]) for record in self.records if record.get(name) is not None]
        kimg, values = np.array(points, float).reshape(-1, 2).T
        return kimg, values

    def at(self, name: str, kimg: ArrayLike) -> np.ndarray:
        """The values of a metric that were recorded nearest to so many thousand images; NaN where there are none."""
        places, values = self.curve(name)
        if not len(places):
            return np.full(np.shape(kimg), np.nan)
        return values[np.abs(places - np.asarray(kimg)[..., None]).argmin(axis=-1)]

    def final(self, metric: str) -> float:
        """The last value of an evaluation metric; NaN where there is none."""
        values = self.curve(f'eval/{metric}')[1]
        return float(values[-1]) if len(values) else math.nan

    def best(self, metric: str) -> float:
        """Its best value on the way; NaN where there is none, the last where no direction is best."""
        values = self.curve(f'eval/{metric}')[1]
        if not len(values) or BEST.get(metric) not in ('min', 'max'):
            return self.final(metric)
        return float(getattr(values, BEST[metric])())


def read(workdir: pathlib.Path) -> Finished:
    """What a run's directory holds."""
    protocols = {}
    for record in evaluations_of(workdir).read():
        if 'failure' not in record:
            facts = {**record['protocol'], 'seed': "the run's own"}
            protocols[record['metric']] = '; '.join(f'{name}={value}' for name, value in facts.items())
    return Finished(workdir, metrics_of(workdir).read(), protocols, read_divergence(workdir))


def read_all(directories: Mapping[str, Sequence[pathlib.Path]]) -> dict[str, list[Finished]]:
    """What the directories of each arm hold, as `sweep.train` returns them."""
    return {arm: [read(workdir) for workdir in workdirs] for arm, workdirs in directories.items()}


def final_and_best(arms: Mapping[str, Sequence[Finished]], metrics: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Two columns for every metric that some run recorded: its last value, and its best on the way."""
    everyone = [run for runs in arms.values() for run in runs]
    recorded = [metric for metric in metrics if any(len(run.curve(f'eval/{metric}')[0]) for run in everyone)]
    return {
        arm: {
            column: values
            for metric in recorded
            for column, values in (
                (metric, [run.final(metric) for run in runs]),
                (f'best {metric}', [run.best(metric) for run in runs]),
            )
        }
        for arm, runs in arms.items()
    }


def protocols(arms: Mapping[str, Sequence[Finished]]) -> dict[str, str]:
    """{metric: protocol} of all runs; facts in which arms differ follow with the arms that they belong to."""
    found: dict[str, dict[str, list[str]]] = {}
    for arm, runs in arms.items():
        for metric, text in (pair for run in runs for pair in run.protocols.items()):
            found.setdefault(metric, {}).setdefault(text, []).append(arm)
    return {metric: _joined(texts) for metric, texts in found.items()}


def divergences(arms: Mapping[str, Sequence[Finished]]) -> dict[str, str]:
    """{arm and seed: why it has no later values}, of the runs that diverged."""
    return {
        f'{arm}, seed {seed}': f'stopped, because {run.divergence}; its values are the last ones before'
        for arm, runs in arms.items()
        for seed, run in enumerate(runs)
        if run.divergence is not None
    }


def extractor(protocols: Mapping[str, str], config: ConfigDict) -> str:
    """The feature extractor as the protocol of the FID names it, or as the config does where there is none."""
    return protocols.get('fid', f'extractor={config.evaluation.extractor}').split(';')[0]


def table(values: Values, what: str = 'recipe', published: Published = MappingProxyType({})) -> list[list[str]]:
    """A row for each arm under a header: means with deviations over the seeds that have a number.

    The published figures follow in further columns, which are empty where there are none.
    """
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    columns = [_column([row.get(name, ()) for row in values.values()]) for name in names]
    quoted = list(dict.fromkeys(name for row in published.values() for name in row))
    names += quoted
    columns += [[published.get(arm, {}).get(name, '') for arm in values] for name in quoted]
    return [
        list(row)
        for row in zip(
            [what, *values], *([name, *cells] for name, cells in zip(names, columns, strict=True)), strict=True
        )
    ]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table with its header first."""
    header, *body = rows
    lines = [header, ['---', *['---:'] * (len(header) - 1)], *body]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines) + '\n'


def curves(
    path: pathlib.Path, arms: Mapping[str, Sequence[Finished]], names: Mapping[str, str], *, columns: int = 2
) -> None:
    """Draws metrics over thousands of images: a panel for each, a line for each arm, thin lines for its seeds.

    A metric that no arm has gets no panel, except where no arm has any of them. With more arms than colours, seeds are
    not drawn, and the eleventh and later arms have dashed lines.

    Args:
        path: path of the PNG file.
        arms: the runs of each.
        names: {name of the metric: title of its panel}.
        columns: panels side by side.
    """
    panels = _panels(arms, names)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    crowded = len(arms) > _COLORS
    figure = report.new_figure(5.5 * columns, (4.3 if crowded else 3.3) * rows)
    figure.set_layout_engine('constrained')
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, drawn_of) in zip(all_axes, panels.items(), strict=False):
        for i, (arm, drawn) in enumerate(drawn_of.items()):
            for kimg, values in () if crowded else drawn:
                axes.plot(kimg, values, color=f'C{i}', alpha=0.25, linewidth=0.8)
            if drawn:
                style = '-' if i < _COLORS else '--'
                axes.plot(*_mean(drawn), style, color=f'C{i}', linewidth=1.7, label=arm)
        axes.set_title(names[name], loc='left', fontsize=10)
        axes.set_xlabel('thousand images', color='0.3', fontsize=9)
        axes.grid(color='0.92')
        axes.spines[['top', 'right']].set_visible(False)
        axes.tick_params(labelsize=8)
    for axes in all_axes[len(panels) :]:
        axes.remove()
    lines = {line.get_label(): line for axes in all_axes for line in axes.lines}
    legend = {arm: lines[arm] for arm in arms if arm in lines}  # an arm may lack the metric of the first panel
    if crowded:
        figure.legend(legend.values(), legend.keys(), loc='outside lower center', ncols=6, frameon=False)
    elif legend:
        all_axes[0].legend(legend.values(), legend.keys(), frameon=False, fontsize=8)
    save_figure(path, figure)


def first_file(runs: Iterable[Finished], name: str) -> pathlib.Path | None:
    """The file of a name, such as 'samples.png', of the first seed that has one; a run that diverged may lack it."""
    return next((path for run in runs if (path := run.workdir / name).exists()), None)


def copy_pictures(
    arms: Mapping[str, Sequence[Finished]], name: str, out: pathlib.Path, pattern: str = '{}.png'
) -> dict[str, pathlib.Path]:
    """{arm: file} of each arm's picture of a name, such as 'samples.png', by the first seed that left one.

    Args:
        arms: the runs of each.
        name: name of the file in a run's directory.
        out: the directory that the pictures are copied to.
        pattern: pattern of their names there, with {} for the arm.
    """
    copies = {}
    for arm, runs in arms.items():
        if picture := first_file(runs, name):
            copies[arm] = out / pattern.format(slug(arm))
            files.replace(copies[arm], picture.read_bytes())
    return copies


def read_picture(path: pathlib.Path) -> np.ndarray:
    """A picture as uint8 [height, width, C]; a grey one has one channel."""
    return np.atleast_3d(np.asarray(Image.open(path)))


def side_by_side(grids: Sequence[np.ndarray | None], columns: int) -> np.ndarray:
    """A grid of grids, uint8 [height, width, C], of as many [h, w, C]: grey where there is none."""
    there = [grid for grid in grids if grid is not None]
    empty = np.full_like(there[0], 128) if there else np.full((64, 64, 1), 128, np.uint8)
    shown = np.stack([empty if grid is None else grid for grid in grids])
    return report.image_grid(shown, columns, padding=12, scale=1)


def pixels(figure: Any) -> np.ndarray:
    """A figure of `report.new_figure` as uint8 [height, width, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save_figure(path: pathlib.Path, figure: Any) -> None:
    """Writes a figure of `report.new_figure` as PNG."""
    report.save_png(path, pixels(figure))


def to_json(values: Values) -> dict[str, dict[str, list[float | None]]]:
    """Values as JSON, which has no NaN and no infinity: None in their place."""
    return {
        arm: {
            name: [value if math.isfinite(value) else None for value in map(float, row)]
            for name, row in columns.items()
        }
        for arm, columns in values.items()
    }


def write(
    out: pathlib.Path,
    title: str,
    values: Values,
    facts: Mapping[str, Any],
    published: Published = MappingProxyType({}),
) -> None:
    """Writes `results.json` (every seed's values beside `facts`) and `table.md`.

    Args:
        out: the directory.
        title: title of the table.
        values: values of every arm and seed.
        facts: JSON values for the record; its 'protocols' {metric: text} are quoted under the table.
        published: figures of a paper, for the table.
    """
    record = {'title': title, 'jax': jax.__version__, **facts, 'values': to_json(values)}
    files.replace(out / 'results.json', (json.dumps(record, indent=1) + '\n').encode())
    quoted = ''.join(f'- {name}: {text}\n' for name, text in facts.get('protocols', {}).items())
    heading = f'# {title}\n\nMean ± standard deviation over the seeds.\n\n'
    files.replace(out / 'table.md', f'{heading}{markdown(table(values, published=published))}\n{quoted}'.encode())


def page(
    path: pathlib.Path,
    title: str,
    question: str,
    values: Values,
    *,
    arms: Mapping[str, Sequence[Finished]] | None = None,
    names: Mapping[str, str] | None = None,
    pictures: Mapping[str, pathlib.Path] | None = None,
    protocols: Mapping[str, str] | None = None,
    published: Published = MappingProxyType({}),
) -> None:
    """Writes an HTML page that needs nothing beside itself.

    Args:
        path: path of the file.
        title: title of the experiment.
        question: what it asks, in plain text.
        values: values of the table.
        arms: the runs behind it, for curves to hover and zoom: a mean over the seeds for each arm.
        names: {name of the metric: title of its curves}.
        pictures: {caption: file}.
        protocols: {metric: how it was measured}.
        published: figures of a paper, for the table.
    """
    header, *rows = table(values, published=published)
    charts = {
        name: Chart(names[name], {arm: _mean(drawn) for arm, drawn in drawn_of.items() if drawn})
        for name, drawn_of in _panels(arms or {}, names or {}).items()
    }
    body = [
        document.section('Question', document.paragraph(question)),
        document.section(
            'Results',
            document.table(header, rows),
            document.paragraph('Mean ± standard deviation over the seeds.', 'small'),
            *(document.paragraph(f'{metric}: {text}', 'small') for metric, text in (protocols or {}).items()),
        ),
        document.section('Curves over thousands of images', chart(*charts)) if charts else '',
        document.section('Pictures', *(document.picture(file, caption) for caption, file in (pictures or {}).items())),
    ]
    files.replace(path, document.document(title, '\n'.join(body), charts=charts).encode())


def publish(
    out: pathlib.Path,
    title: str,
    question: str,
    values: Values,
    arms: Mapping[str, Sequence[Finished]],
    names: Mapping[str, str],
    *,
    protocols: Mapping[str, str],
    published: Published = MappingProxyType({}),
    facts: Mapping[str, Any] | None = None,
    of_curves: str = 'Curves of all arms; thin lines are seeds.',
    pictures: Mapping[str, pathlib.Path] = MappingProxyType({}),
    of_samples: str | None = '{}, first seed.',
    columns: int = 2,
) -> None:
    """Writes table, record, curves, each arm's samples and the page of an experiment, and prints the table.

    Args:
        out: the directory.
        title: title of the experiment.
        question: what it asks, in plain text.
        values: values of every arm and seed.
        arms: the runs.
        names: {name of the metric: title of its curves}.
        protocols: {metric: how it was measured}; the runs that diverged are added.
        published: figures of a paper, for the table.
        facts: further JSON values for the record.
        of_curves: caption of the curves.
        pictures: {caption: file} of further pictures.
        of_samples: caption of an arm's samples, with {} for the arm; None: they are not shown.
        columns: number of panels of curves side by side.
    """
    protocols = {**protocols, **divergences(arms)}
    seeds = max(map(len, arms.values()))
    write(out, title, values, {'seeds': seeds, 'protocols': protocols, **(facts or {})}, published)
    curves(out / 'curves.png', arms, names, columns=columns)
    shown = {of_curves: out / 'curves.png', **pictures}
    if of_samples is not None:
        shown |= {of_samples.format(arm): path for arm, path in copy_pictures(arms, 'samples.png', out).items()}
    options = {'arms': arms, 'names': names, 'pictures': shown, 'protocols': protocols, 'published': published}
    page(out / 'page.html', title, question, values, **options)
    print(f'{(out / "table.md").read_text()}\nDone. Open {out}/page.html; the table is in {out}/table.md.')


def _joined(protocols: Mapping[str, Sequence[str]]) -> str:
    """One text of {protocol: its arms}."""
    first, *others = (text.split('; ') for text in protocols)
    common = [fact for fact in first if all(fact in facts for facts in others)]
    if not others:
        return '; '.join(common)
    own = ['; '.join(fact for fact in text.split('; ') if fact not in common) for text in protocols]
    arms = [', '.join(dict.fromkeys(of)) for of in protocols.values()]
    return '; '.join([*common, ' / '.join(f'{facts} ({of})' for facts, of in zip(own, arms, strict=True))])


def _panels(arms: Mapping[str, Sequence[Finished]], names: Mapping[str, str]) -> dict[str, dict[str, list[Curve]]]:
    """{metric: {arm: curves of its seeds}} for the metrics that an arm has; for all of them if no arm has any."""
    panels = {name: {arm: _drawn(runs, name) for arm, runs in arms.items()} for name in names}
    return {name: drawn_of for name, drawn_of in panels.items() if any(drawn_of.values())} or panels


def _drawn(runs: Sequence[Finished], name: str) -> list[Curve]:
    return [curve for run in runs if len((curve := run.curve(name))[0])]


def _mean(curves: Sequence[Curve]) -> Curve:
    """The mean of curves over the images at which each of them has a value."""
    common = functools.reduce(np.intersect1d, [kimg for kimg, _ in curves])
    return common, np.mean([values[np.isin(kimg, common)] for kimg, values in curves], axis=0)


def _column(rows: Sequence[Sequence[float]]) -> list[str]:
    """Means with deviations: one digit after the point for counts, else three that count."""
    finite = [[value for value in values if math.isfinite(value)] for values in rows]
    whole = all(float(value).is_integer() for values in finite for value in values)
    return [_mean_and_deviation(some, len(values), whole) for some, values in zip(finite, rows, strict=True)]


def _mean_and_deviation(values: Sequence[float], seeds: int, whole: bool) -> str:
    if not values:
        return 'none'
    mean = float(np.mean(values))
    if whole:
        style = '.1f'
    elif 0 < abs(mean) < 1e-3:
        style = '.2e'
    else:
        style = f'.{max(2 - math.floor(math.log10(abs(mean) or 0.1)), 0)}f'
    deviation = f' ± {np.std(values, ddof=1):{style}}' if len(values) > 1 else ''
    return f'{mean:{style}}{deviation}' + (f' ({len(values)} of {seeds} seeds)' if len(values) < seeds else '')
