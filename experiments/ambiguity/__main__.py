"""Does CAN make images between classes, or only worse ones? Against AC-GAN, DCGAN and noise; see README.md.

python -m experiments.ambiguity
python -m experiments.ambiguity --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import sys
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from experiments import results, sweep
from experiments.sweep import Arm, Options
from gan_jax.data import Dataset
from gan_jax.errors import exit_code
from gan_jax.evaluate import evaluate
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

QUESTION = (
    'CAN rewards images that pass for real and belong to no class. How ambiguous are its images to a classifier that '
    'had no part in the training, and how far are they from real ones?'
)
METRICS = ('fid', 'class_entropy', 'precision', 'recall')
CURVES = {'eval/class_entropy': 'entropy of the classes', 'eval/fid': 'FID'}
COMMON = {
    'loss.real_label': '0.9',
    'discriminator.dropout': '0.0',
    'samples': '100',
    'log_every': '50 steps',
    'evaluate': 'fid,class_entropy,precision_recall',
    'evaluation.extractor': 'classifier',
    'evaluation.split': 'test',
}
SHORT = {
    'generator.width': '32',
    'discriminator.width': '32',
    'duration': '1500 steps',
    'sample_every': '500 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '250 steps',
    'evaluation.samples': '5000',
}
LONG = {
    'duration': '3000 kimg',
    'sample_every': '150 kimg',
    'checkpoint_every': '150 kimg',
    'evaluate_every': '150 kimg',
}


def _arms(common: dict[str, str]) -> dict[str, Arm]:
    """All arms: the networks of DCGAN, with the same optimisers and numbers of steps."""
    return {
        'DCGAN': Arm('configs/dcgan.py:fashion_mnist', common),
        'AC-GAN': Arm('configs/acgan.py:fashion_mnist', common),
        'CAN': Arm('configs/can.py:fashion_mnist', common),
        'CAN, uniform target': Arm('configs/can.py:fashion_mnist', common | {'game.target': 'uniform'}),
    }


ARMS, FULL = _arms(COMMON | SHORT), _arms(COMMON | LONG)


def references(real: Dataset, number: int) -> dict[str, np.ndarray]:
    """Images without a generator, by name, uint8 [number, H, W, C]: real ones, means of two, and noise.

    Args:
        real: labelled images.
        number: number of each.
    """
    random = np.random.default_rng(0)
    first = random.integers(0, len(real), number)
    others = [random.choice(np.flatnonzero(real.labels != label)) for label in real.labels[first]]
    images = np.asarray(real.examples)
    return {
        'real training images': images[first],
        'mean of two classes': ((images[first].astype(np.uint16) + images[others]) // 2).astype(np.uint8),
        'uniform noise': random.integers(0, 256, images[first].shape, dtype=np.uint8),
    }


def measured(images: np.ndarray, real: Dataset, config: ConfigDict) -> dict[str, list[float]]:
    """The metrics of images as the runs have them."""
    found = evaluate(images, real, tuple(config.evaluate), extractor=config.evaluation.extractor)
    return {record.metric: [record.value] for record in found.records}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('ambiguity', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    recipes = FULL if options.full else ARMS
    arms = results.read_all(sweep.train(recipes, options))
    values = {arm: {metric: [run.final(metric) for run in runs] for metric in METRICS} for arm, runs in arms.items()}
    config = sweep.config_of(next(iter(recipes.values())), options)
    real = load_data(config.data, config.evaluation.split)
    for name, images in references(load_data(config.data), config.evaluation.samples).items():
        values[name] = measured(images, real, config)
    results.publish(
        options.out,
        'CAN, with classes as stand-ins for styles',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms),
    )


if __name__ == '__main__':
    sys.exit(main())
