"""Trains the semi-supervised GAN on MNIST with 100 labels, and its classifier by other terms; see README.md.

python -m experiments.semi_supervised
"""

import argparse
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

from experiments import results, sweep
from experiments.semi_supervised import training
from experiments.semi_supervised.training import Recipe
from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.errors import exit_code
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.terms import joined
from gan_jax.terms.unlabelled import conditional_entropy, pseudo_labels, virtual_adversarial

QUESTION = (
    'A classifier of MNIST gets ten labels per class. How many of the 10,000 test digits does it misclassify if it '
    'sees only these images? How many if it also sees all 60,000 images without labels: as the discriminator of a '
    'GAN, by virtual adversarial training, or by its own pseudo-labels?'
)
ALONE = 'labels alone'
ARMS = {
    'semi-supervised': Recipe(),
    'VAT': Recipe(adversarial=False, terms=virtual_adversarial(1.0)),
    'VAT + entropy': Recipe(adversarial=False, terms=joined([virtual_adversarial(1.0), conditional_entropy(1.0)])),
    'pseudo-labels': Recipe(adversarial=False, terms=pseudo_labels(1.0, threshold=0.95)),
    'semi-supervised + VAT': Recipe(terms=virtual_adversarial(1.0)),
    ALONE: Recipe(epochs=5, adversarial=False),
}
PUBLISHED = 93.0  # errors, mean over ten draws of 100 labels: Salimans et al. 2016, table 1
PROTOCOL = 'misclassified test digits of 10,000, without noise, after the last epoch trained'


def write(directories: Mapping[str, Sequence[pathlib.Path]], out: pathlib.Path) -> None:
    """Writes the results of what the runs have recorded so far."""
    arms = results.read_all(directories)
    arms = {name: found for name, runs in arms.items() if (found := [run for run in runs if run.records])}
    values = {
        name: {
            'errors': [run.final('errors') for run in runs],
            'errors, averaged': [run.final('averaged_errors') for run in runs] if name != ALONE else [],
            'epochs': [run.records[-1]['kimg'] / 60 for run in runs],
        }
        for name, runs in arms.items()
    }
    protocols = {'errors': PROTOCOL, 'errors, averaged': f'{PROTOCOL}; parameters averaged at a rate of 1e-4'}
    title = 'MNIST with 100 labels'
    results.write(out, title, values, {'protocols': protocols})
    draw_curves(out / 'curves.png', arms)
    pictures = {'errors after every epoch, a line for each draw of labels': out / 'curves.png'}
    if samples := results.first_file(arms.get('semi-supervised', ()), 'samples.png'):
        pictures['samples of the first draw'] = out / 'samples.png'
        files.replace(out / 'samples.png', samples.read_bytes())
    results.page(out / 'page.html', title, QUESTION, values, pictures=pictures, protocols=protocols)
    print((out / 'table.md').read_text())


def draw_curves(path: pathlib.Path, arms: Mapping[str, Sequence[results.Finished]]) -> None:
    """Draws the errors of each run over the epochs, with the parameters of the epoch and with the averaged ones."""
    figure = report.new_figure(7, 4)
    axes = figure.subplots()
    for i, (name, runs) in enumerate(arms.items()):
        for metric, style, label in (('errors', '-', name), ('averaged_errors', '--', f'{name}, averaged')):
            for draw, run in enumerate(runs if metric == 'errors' or name != ALONE else ()):
                kimg, values = run.curve(f'eval/{metric}')
                axes.plot(kimg / 60, values, style, color=f'C{i}', linewidth=1.2, label=None if draw else label)
    axes.axhline(PUBLISHED, color='0.6', linewidth=0.8, label='published GAN, 300 epochs')
    report.scale_by_logarithms(axes)
    axes.set_xlabel('epochs')
    axes.set_ylabel('errors of 10,000')
    axes.legend(frameon=False, fontsize=8)
    results.save_figure(path, figure)


def kept(directory: pathlib.Path) -> list[pathlib.Path]:
    """The directories of an arm's draws that were trained before, by seed."""
    return sorted(directory.glob('draw-*'), key=lambda path: int(path.name.removeprefix('draw-')))


def compare(flags: argparse.Namespace, load: Callable[[str], Dataset], **changes) -> None:
    """Trains the arms and writes the results."""
    directories = {name: kept(flags.runs / sweep.slug(name)) for name in ARMS}
    if flags.epochs:
        train, test = load('train'), load('test')
        for name in flags.arms:
            directories[name] = [flags.runs / sweep.slug(name) / f'draw-{seed}' for seed in range(flags.draws)]
            recipe = ARMS[name]._replace(epochs=min(flags.epochs, ARMS[name].epochs), **changes)
            for seed, workdir in enumerate(directories[name]):
                print(f'== {name}: {workdir}', flush=True)
                training.train_draw(recipe, train, test, seed, workdir)
    write(directories, flags.out)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog='python -m experiments.semi_supervised', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        '--draws', type=sweep.positive, default=1, help='draws of labels; the first has seed 0 (default: 1)'
    )
    parser.add_argument(
        '--epochs', type=int, default=300, help='0: only write the results so far (default: 300, as published)'
    )
    parser.add_argument('--arms', nargs='+', choices=list(ARMS), default=list(ARMS)[::-1], help='default: all')
    parser.add_argument('--runs', type=files.user_path, default=pathlib.Path('runs/semi_supervised'))
    parser.add_argument('--out', type=files.user_path, default=sweep.ROOT / 'experiments/semi_supervised/results')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    flags = parse(argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(flags, lambda split: data.load('mnist', split=split)))


if __name__ == '__main__':
    sys.exit(main())
