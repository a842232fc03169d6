"""Judges generated images by real ones, whatever made them.

python -m gan_jax.evaluate runs/dcgan-fashion_mnist                     # a run, by the data it was trained on
python -m gan_jax.evaluate runs/dcgan-fashion_mnist fashion_mnist@test
python -m gan_jax.evaluate samples.npz cifar10 --metrics fid,kid
python -m gan_jax.evaluate generated/ photographs/ --size 128 --extractor inception
python -m gan_jax.evaluate first.json second.json                       # two earlier results

Images are a run's directory, a directory of image files, an .npy file of images (uint8 [n, H, W, C]), an .npz file with
them as 'images' or 'arr_0' (and classes as 'labels' or 'arr_1'), or the name of a data set with its split: mnist,
mnist@test, 'cifar10@train[:1000]'.
"""

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from gan_jax import data, files, parallel
from gan_jax.checkpoint import Checkpoints
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation import archive
from gan_jax.evaluation.evaluator import Evaluator, draw_labels, table
from gan_jax.evaluation.features.find import GRAMMAR, find_extractor
from gan_jax.evaluation.gather import Samples, check_images
from gan_jax.evaluation.metrics import METRICS, check_names, check_of_generator
from gan_jax.evaluation.record import Record, differences
from gan_jax.layers.choices import require
from gan_jax.trained import is_run, load_run

DEFAULT_METRICS = ('fid', 'inception_score', 'kid', 'precision_recall', 'density_coverage')
NUM_SAMPLES = 10_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `python -m gan_jax.evaluate` and `--mode eval` have in common."""
    names = lambda text: tuple(filter(None, text.split(',')))  # noqa: E731
    parser.add_argument(
        '--metrics', type=names, default=DEFAULT_METRICS, metavar='A,B', help=f'of {", ".join(METRICS)}'
    )
    parser.add_argument('--extractor', default='auto', help=GRAMMAR)
    parser.add_argument('--bootstrap', type=int, default=0, metavar='N', help='resamples for an interval of each value')


def evaluate(
    fakes: str | os.PathLike,
    reals: str | os.PathLike | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    extractor: str = 'auto',
    num: int = NUM_SAMPLES,
    seed: int = 0,
    step: int | None = None,
    size: int | None = None,
    channels: int | None = None,
    bootstrap: int = 0,
    data_dir: str | None = None,
) -> list[Record]:
    """The metrics of images, or of a run's generator.

    Args:
        fakes: what is judged: the directory of a run or of images, an .npz or .npy file, or 'NAME@SPLIT'.
        reals: what to judge by, likewise; None: the data that the run was trained on.
        metrics: names from `gan_jax.evaluation.metrics.METRICS`.
        extractor: as in `gan_jax.evaluation.features.find.find_extractor`.
        num: samples of a run.
        seed: of their latents.
        step: of the run's checkpoint; None: the latest.
        size: to bring images of directories and data sets to; None: their own, or that of the run.
        channels: likewise.
        bootstrap: resamples of the fakes for an interval of each value; 0: none.
        data_dir: where TFDS data sets lie.

    Raises:
        UserError: there are no such images, the extractor's weights are missing, or a metric cannot be computed.
    """
    check_names(metrics)
    require(num >= 2, '--num', num, 'at least 2')
    require(0 <= seed < 2**32, '--seed', seed, f'a whole number from 0 to {2**32 - 1}')
    images = {'size': size, 'channels': channels, 'data_dir': data_dir}
    if not is_run(fakes):
        if reals is None:
            raise UserError(f'{fakes} is not the directory of a run, and no real images are named to judge it by.')
        return _judge(_load(fakes, **images), _load(reals, **images), metrics, extractor, bootstrap)
    run = load_run(pathlib.Path(fakes), step)
    if len(run.shape) != 3:
        raise UserError(f'{fakes} generates points, not images: metrics of images cannot be computed of it.')
    trained_on = run.config.data
    if reals in (None, trained_on.name):
        reals = f'{trained_on.name}@{trained_on.split}'
    if str(reals).split('@')[0] == trained_on.name:  # so that its decoded copy is found
        images |= {'size': trained_on.size, 'channels': trained_on.channels}
        images |= {'data_dir': data_dir or trained_on.directory, 'cache_dir': trained_on.cache}
    else:
        images |= {'size': run.shape[0] if run.shape[0] == run.shape[1] else None, 'channels': run.shape[2]}
    real = _load(reals, **images)
    check_of_generator(metrics, run.is_conditional)
    samples = Samples(run.game, run.generator, num, seed, None, f'{fakes} at step {run.step}')
    if run.is_conditional:
        samples = samples._replace(**_conditions(run.num_classes, real, num, seed))
    return _judge(samples, real, metrics, extractor, bootstrap, trained_on.cache)


def evaluate_workdir(workdir: pathlib.Path, *, step: int | str | None = None, seed: int = 0, **options: Any) -> None:
    """Evaluates a run and writes `evaluation/step<step>-seed<seed>.json` in its directory.

    What was measured there before, of another metric or by another protocol, is kept, and stands before the new values.

    Args:
        workdir: the run's directory.
        step: of a checkpoint; None: the latest; 'all': each of them, with a table over the steps.
        seed: of the latents.
        **options: of `evaluate`.

    Raises:
        UserError: as `evaluate`.
    """
    latest = load_run(workdir, None if step == 'all' else step).step
    steps = Checkpoints(workdir / 'checkpoints').all_steps() if step == 'all' else [latest]
    results = {}
    for number in steps:
        print(f'step {number}')
        results[number] = evaluate(workdir, step=number, seed=seed, **options)
        path = workdir / 'evaluation' / f'step{number:07d}-seed{seed}.json'
        earlier = _read(path) if path.exists() else []
        report(results[number], path, [one for one in earlier if all(differences(one, new) for new in results[number])])
    if len(steps) > 1:
        names = [record.metric for record in results[latest]]
        print('\n' + '  '.join(f'{name:>12}' for name in ('step', *names)))
        for number, records in results.items():
            print(
                f'{number:12}  ' + '  '.join(f'{record.value:{max(12, len(record.metric))}.6g}' for record in records)
            )


def report(records: Sequence[Record], path: pathlib.Path, earlier: Iterable[Record] = ()) -> None:
    """Prints records as a table and writes them as JSON, after earlier ones of the same file.

    Raises:
        UserError: the file cannot be written.
    """
    print(table(records))
    values = [record.to_json() for record in (*earlier, *records)]
    files.replace(path, (json.dumps(values, indent=2, allow_nan=False) + '\n').encode())
    print(f'\nWritten to {path}.')


def compare(first: pathlib.Path, second: pathlib.Path) -> str:
    """Two results of `report` side by side, and what keeps them from being compared.

    Raises:
        UserError: a file is no such result, or they have no metric in common.
    """
    one, other = ({record.metric: record for record in _read(path)} for path in (first, second))
    names = [name for name in one if name in other]
    if not names:
        raise UserError(f'{first} and {second} have no metric in common: {", ".join(one)}; {", ".join(other)}.')
    lines = []
    for name in names:
        lines.append(f'{name:24}  {one[name].value:12.6g}  {other[name].value:12.6g}')
        lines += [f'{"":24}  not comparable: {difference}' for difference in differences(one[name], other[name])]
    return '\n'.join(lines)


def _conditions(num_classes: int, real: data.Dataset, num: int, seed: int) -> dict[str, Any]:
    """Classes as often as in the reals, where those have the generator's classes; else all equally often."""
    if real.labels is not None and real.num_classes == num_classes and np.min(real.labels) >= 0:
        return {'conditions': draw_labels(real, num, seed)}
    return {'conditions': np.arange(num, dtype=np.int32) % num_classes, 'labels': 'all equally often'}


def _judge(
    fakes: Samples | data.Dataset,
    real: data.Dataset,
    metrics: Sequence[str],
    extractor: str,
    bootstrap: int,
    cache_dir: str | None = None,
) -> list[Record]:
    check_images(real)
    layout = parallel.make_layout(jax.device_count())
    found = find_extractor(extractor, real.name, real.shape)
    return Evaluator(metrics, found, real, layout, cache_dir, bootstrap).evaluate(fakes)


def _load(
    spec: str | os.PathLike,
    *,
    size: int | None,
    channels: int | None,
    data_dir: str | None,
    cache_dir: str | None = None,
) -> data.Dataset:
    path = pathlib.Path(spec)
    if path.suffix in archive.SUFFIXES:
        return archive.load_archive(path)
    if path.is_dir():
        return data.load(f'folder:{spec}', size=size, channels=channels)
    name, _, split = str(spec).partition('@')
    options = {'size': size, 'channels': channels, 'data_dir': data_dir, 'cache_dir': cache_dir}
    return data.load(name, split=split or 'train', **options)


def _read(path: pathlib.Path) -> list[Record]:
    try:
        return [Record(**values) for values in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f'{path} is not the result of an evaluation ({error}).') from error


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.evaluate', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'fakes', metavar='GENERATED', help='a run, a directory of images, an .npz or .npy file or NAME[@SPLIT]'
    )
    parser.add_argument('reals', metavar='REAL', nargs='?', help='likewise (default: what the run was trained on)')
    add_options(parser)
    parser.add_argument('--num', type=int, default=NUM_SAMPLES, help='samples of a run')
    parser.add_argument('--seed', type=int, default=0, help='seed of their latents')
    parser.add_argument('--step', type=int, help="of a run's checkpoint (default: the latest)")
    parser.add_argument('--size', type=int, help='pixels to bring images of directories and data sets to')
    parser.add_argument('--channels', type=int, choices=(1, 3))
    parser.add_argument('--data_dir', help='where TFDS data sets lie (default: TFDS_DATA_DIR)')
    parser.add_argument('--output', type=pathlib.Path, default='evaluation.json', metavar='JSON')
    options = vars(parser.parse_args(argv))

    def run() -> None:
        parallel.enable_compilation_cache()
        fakes, reals, output = options.pop('fakes'), options.pop('reals'), options.pop('output')
        if fakes.endswith('.json') and reals is not None:
            print(compare(pathlib.Path(fakes), pathlib.Path(reals)))
        else:
            report(evaluate(fakes, reals, **options), output)

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
