"""Trains DP-GAN on MNIST at several epsilons; see README.md.

python -m experiments.privacy
"""

import math
import sys
from collections.abc import Sequence

import numpy as np

from experiments import results, sweep
from gan_jax.errors import exit_code
from gan_jax.evaluation.classification_accuracy import classification_accuracy_score
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

QUESTION = (
    'How well is a classifier trained on the samples of a differentially private generator of MNIST, and does the '
    'discriminator recognise its training images, at several epsilons?'
)
TITLE = 'DP-GAN on MNIST'
EPSILONS = ('1', '3', '10', 'infinity')
ARMS = {
    f'epsilon {epsilon}': sweep.Arm(
        'configs/dpgan.py:mnist', {'game.epsilon': '0.0' if epsilon == 'infinity' else epsilon}
    )
    for epsilon in EPSILONS
}
PUBLISHED = {'duration': '20000 steps', 'evaluation.samples': '60000'}  # a hundred thousand noisy steps
FULL = {name: sweep.Arm(arm.recipe, {**arm.overrides, **PUBLISHED}) for name, arm in ARMS.items()}
REAL = 'real images'


def compare(options: sweep.Options) -> None:
    """Trains the arms and writes the results."""
    recipes = FULL if options.full else ARMS
    arms = results.read_all(sweep.train(recipes, options))
    values = {
        name: {
            'epsilon': [_last_epsilon(run) for run in runs],
            'accuracy': [run.final('classification_accuracy') for run in runs],
            'membership attack': [run.final('membership') for run in runs],
        }
        for name, runs in arms.items()
    }
    config = sweep.config_of(next(iter(recipes.values())), options)
    train, test = load_data(config.data), load_data(config.data, config.evaluation.split)
    number = min(config.evaluation.samples, len(train))
    of_real = np.asarray(train.examples[:number]), np.asarray(train.labels[:number])
    score = classification_accuracy_score(*of_real, test.examples, test.labels, train.num_classes)
    values[REAL] = {'accuracy': [score.value]}
    found, columns = results.protocols(arms), {'classification_accuracy': 'accuracy', 'membership': 'membership attack'}
    protocols = {column: found[metric] for metric, column in columns.items() if metric in found}
    protocols |= results.divergences(arms)
    results.write(options.out, TITLE, values, {'seeds': options.seeds, 'protocols': protocols})
    pictures = results.copy_pictures(arms, 'samples.png', options.out)
    results.page(options.out / 'page.html', TITLE, QUESTION, values, pictures=pictures, protocols=protocols)
    print((options.out / 'table.md').read_text())


def _last_epsilon(run: results.Finished) -> float:
    """That of the last record; infinite for a run without noise, which records none."""
    values = run.curve('privacy/epsilon')[1]
    return float(values[-1]) if len(values) else math.inf


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('privacy', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options))


if __name__ == '__main__':
    sys.exit(main())
