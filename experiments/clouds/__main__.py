"""How well do l-GAN and r-GAN generate point clouds of furniture? See README.md.

python -m experiments.clouds              # three arms, three seeds
python -m experiments.clouds --arms l-GAN
python -m experiments.clouds --full       # the published networks, 2,048 points, for a GPU
python -m experiments.clouds --seeds 1 --config.duration='20 steps' --out /tmp/results --runs /tmp/runs
"""

import sys
from collections.abc import Sequence

import numpy as np

from experiments import results, sweep
from experiments.sweep import Arm, Options
from gan_jax.errors import exit_code
from gan_jax.evaluation.clouds import cloud_metrics
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

TITLE = 'Point clouds'
QUESTION = (
    'Are point clouds better if a GAN generates the codes of an autoencoder (l-GAN) than if it generates the points '
    '(r-GAN), and how far are both from training clouds?'
)
USUAL = {
    'loss.name': 'non_saturating',
    'penalties.gradient_penalty.weight': '0.0',
    'discriminator_steps': '1',
    'discriminator.slope': '0.2',
}
SMALL = {'data.size': '256', 'sample_every': '500 steps', 'checkpoint_every': '500 steps'}
RAW = 'configs/pointgan.py:raw'
ARMS = {
    'l-GAN': Arm('configs/pointgan.py', SMALL | {'evaluate_every': '500 steps'}),
    'r-GAN': Arm(RAW, SMALL | {'evaluate_every': '250 steps'}),
    'r-GAN, usual loss': Arm(RAW, SMALL | USUAL | {'duration': '5000 steps', 'evaluate_every': '1250 steps'}),
}
WHOLE = {'evaluate_every': '10000 steps'}
PUBLISHED = 'configs/pointgan.py:furniture_points'
FULL = {
    'l-GAN': Arm(PUBLISHED, WHOLE),
    'r-GAN': Arm(f'{PUBLISHED},raw', WHOLE),
    'r-GAN, usual loss': Arm(f'{PUBLISHED},raw', WHOLE | USUAL),
}
KNOWN, ONE, MIXED = 'training clouds', 'one training cloud', 'points of all training clouds'
COLUMNS = {'clouds_mmd': 'MMD', 'clouds_coverage': 'coverage', 'clouds_1nna': '1-NNA', 'clouds_jsd': 'JSD'}
CURVES = {f'eval/{metric}': name for metric, name in COLUMNS.items()}


def compare(options: Options) -> None:
    """Trains the arms and writes the results."""
    arms = FULL if options.full else ARMS
    config = sweep.config_of(arms['r-GAN'], options)
    runs = results.read_all(sweep.train(arms, options))
    values = {
        arm: {name: [run.final(metric) for run in seeds] for metric, name in COLUMNS.items()}
        for arm, seeds in runs.items()
    }
    splits = None, config.evaluation.split  # None: that of the training
    known, held_out = (np.asarray(load_data(config.data, split).examples) for split in splits)
    for row, clouds in without_training(known, config.evaluation.samples).items():
        found = cloud_metrics(held_out, clouds)
        values[row] = {name: [found[metric].value] for metric, name in COLUMNS.items()}
    protocols = results.protocols(runs)
    results.publish(
        options.out,
        TITLE,
        QUESTION,
        values,
        runs,
        CURVES,
        protocols={name: protocols[metric] for metric, name in COLUMNS.items() if metric in protocols},
        of_curves='Of 200 clouds of the test split and as many generated ones.',
    )


def without_training(known: np.ndarray, number: int) -> dict[str, np.ndarray]:
    """Sets of clouds [number, points, 3] that need no training, of training clouds [n, points, 3].

    They are training clouds; one of them, repeated; and clouds whose points are drawn from all training clouds.
    """
    rng = np.random.default_rng(0)
    chosen = known[rng.choice(len(known), number, replace=False)]
    points = known.reshape(-1, 3)
    mixed = points[rng.integers(0, len(points), (number, known.shape[1]))]
    return {KNOWN: chosen, ONE: np.repeat(chosen[:1], number, axis=0), MIXED: mixed}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    options = sweep.parse('clouds', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options))


if __name__ == '__main__':
    sys.exit(main())
