"""Computes every metric of sets of images: real ones, deliberately damaged copies, a run's samples; see README.md.

python -m experiments.damaged_copies --run runs/dcgan-fashion_mnist
python -m experiments.damaged_copies --data digits --num 400 --metrics fid,kid
"""

import argparse
import dataclasses
import json
import pathlib
import sys

import jax
import numpy as np

from experiments.damaged_copies.damages import DAMAGES
from experiments.results import markdown
from gan_jax import data
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation.evaluator import Evaluator
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.evaluation.metrics import BEST, METRICS
from gan_jax.evaluation.record import Record
from gan_jax.examples.kinds import IMAGES
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.sampling.trained import load_run

HERE = pathlib.Path(__file__).parent
NEED_MORE = ('lpips', 'mmd')  # weights, a fixed bandwidth
EVERYTHING = tuple(
    name
    for name, metric in METRICS.items()
    if metric.kind is IMAGES and metric.sees_sets and not metric.paired and name not in NEED_MORE
)
SHOWN = 8  # images of each set in the picture


def evaluate(evaluators: dict[str, Evaluator], fakes: data.Dataset | GeneratorSamples) -> list[Record]:
    """All metrics that can be computed of a set; a set without labels has no metrics of classes."""
    records = []
    for evaluator in evaluators.values():
        evaluation = evaluator.evaluate(fakes)
        records += evaluation.records
        for failed in evaluation.failures:
            print(f'  {failed.metric}: {failed.failure}')
    return records


def table(results: dict[str, list[Record]]) -> str:
    """Markdown: a row for each metric, a column for each set."""
    names = list(dict.fromkeys(record.metric for records in results.values() for record in records))
    better = {'min': '↓', 'max': '↑', 'real': ''}
    values = {subject: {record.metric: record.value for record in records} for subject, records in results.items()}
    rows = [['metric', *results]]
    for name in names:
        cells = (f'{column[name]:.4g}' if name in column else '-' for column in values.values())
        rows.append([f'{name} {better[BEST.get(name, "min")]}'.strip(), *cells])
    return markdown(rows)


def picture(sets: dict[str, data.Dataset]) -> np.ndarray:
    """A row of images of each set, the same places in all."""
    return report.image_grid(np.concatenate([one.examples[:SHOWN] for one in sets.values()]), SHOWN)


def run(options: argparse.Namespace) -> None:
    """Evaluates all sets and writes table, records and picture."""
    made = load_run(options.run) if options.run else None
    if made is not None and made.game.given:
        raise UserError(f'{options.run} is conditional, but only samples of latents alone are evaluated: omit --run.')
    train = data.load(options.data, split='train')
    test = data.load(options.data, split=options.split)
    if len(test) < options.num or len(train) < 2 * options.num:
        raise UserError(f'--num is {options.num}, but there are only {len(train)} and {len(test)} images: lower it.')
    rows = np.random.default_rng(0).permutation(len(test))[: options.num]
    test = dataclasses.replace(
        test,
        split=f'{options.num} of {test.split}',
        examples=np.asarray(test.examples[rows]),
        labels=test.labels[rows],
        fingerprint=f'{test.fingerprint} {options.num}',
    )
    reals = dataclasses.replace(
        train,
        split=f'train[:{options.num}]',
        examples=train.examples[: options.num],
        labels=train.labels[: options.num],
        fingerprint=f'{train.fingerprint} {options.num}',
    )
    layout = parallel.make_layout(jax.device_count())
    extractor = find_extractor(options.extractor, options.data, reals.shape)
    evaluators = {name: Evaluator([name], extractor, reals, layout) for name in options.metrics}
    sets = {name: damage(test, train) for name, damage in DAMAGES.items()}
    results = {}
    for name, one in sets.items():
        print(name)
        results[name] = evaluate(evaluators, one)
    if made is not None:
        print(f'{options.run} at step {made.step}')
        samples = GeneratorSamples(made.game, made.generator, options.num, 0, None, f'step {made.step}')
        results['GAN'] = evaluate(evaluators, samples)
    print(table(results))
    records = {name: [record.to_json() for record in records] for name, records in results.items()}
    files.replace(options.out / 'table.md', table(results).encode())
    files.replace(options.out / 'results.json', (json.dumps(records, indent=1) + '\n').encode())
    report.save_png(options.out / 'sets.png', picture(sets))
    print(f'Written to {options.out}.')


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default='fashion_mnist')
    parser.add_argument('--split', default='test', help='of the images to damage')
    parser.add_argument('--num', type=int, default=5000, help='of real images, and of images in each set')
    parser.add_argument('--run', type=files.user_path, help='a run whose samples are evaluated too')
    parser.add_argument('--extractor', default='classifier')
    parser.add_argument('--metrics', type=lambda text: tuple(text.split(',')), default=EVERYTHING)
    parser.add_argument('--out', type=files.user_path, default=HERE / 'results')
    options = parser.parse_args(argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: run(options))


if __name__ == '__main__':
    sys.exit(main())
