"""Trains a classifier for a domain without labels in three ways, over patches of flowers; see README.md.

python -m experiments.domains
python -m experiments.domains --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import results, sweep
from experiments.results import Finished
from experiments.sweep import Arm, Options
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

TITLE = 'Domain adaptation: MNIST to MNIST over patches of flowers, a stand-in for MNIST-M'
QUESTION = (
    'A classifier has the labels of MNIST and sees, without labels, digits that are blended with patches of flowers. '
    'It is tested on such digits. How much of the gap between learning from MNIST alone and learning from labels of '
    'the target does DANN close?'
)
RECIPE = 'configs/dann.py:mnist+tf_flowers'
SHORT = {'duration': '2000 steps', 'evaluate_every': '500 steps'}
SOURCE, TARGET = 'source only', 'target only'
FULL = {
    name: Arm(RECIPE, {'game.learns_from': domains})
    for name, domains in {SOURCE: 'source', 'DANN': 'both', TARGET: 'target'}.items()
}
ARMS = {name: Arm(RECIPE, {**arm.overrides, **SHORT}) for name, arm in FULL.items()}
CURVES = {
    'eval/class_error': 'error on target test images',
    'generator/class_error': 'error on the training images',
    'discriminator/domain_error': 'error of the domain classifier',
}


def accuracies(arms: Mapping[str, Sequence[Finished]]) -> dict[str, dict[str, list[float]]]:
    """The table: accuracies on target test images at the last step, and the share of the gap that an arm closes.

    The gap is between mean accuracies, over the seeds that have one.
    """
    found = {name: [1 - run.final('class_error') for run in runs] for name, runs in arms.items()}
    low, high = (
        float(np.mean([value for value in found[name] if not math.isnan(value)] or math.nan))
        for name in (SOURCE, TARGET)
    )
    return {
        name: {'accuracy': values}
        | ({} if name in (SOURCE, TARGET) else {'share of the gap': [(value - low) / (high - low) for value in values]})
        for name, values in found.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('domains', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    arms = results.read_all(sweep.train(FULL if options.full else ARMS, options))
    protocols = results.protocols(arms) | {
        'accuracy': '1 - class_error on target test images, at the last step',
        'share of the gap': 'of the mean accuracies of source only and target only',
    }
    results.publish(
        options.out,
        TITLE,
        QUESTION,
        accuracies(arms),
        arms,
        CURVES,
        protocols=protocols,
        of_curves='Errors over thousands of images of each domain.',
        of_samples='{}, first seed: images and the gradients of their classes.',
        columns=3,
    )


if __name__ == '__main__':
    sys.exit(main())
