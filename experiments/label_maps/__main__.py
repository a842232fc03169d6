"""What do the adversary and feature matching add when images are generated from label maps? See README.md.

python -m experiments.label_maps              # three arms, three seeds
python -m experiments.label_maps --arms SPADE 'L1 only'
python -m experiments.label_maps --full       # the published widths, at 64x64, for a GPU
python -m experiments.label_maps --seeds 1 --config.duration='20 steps' --out /tmp/results --runs /tmp/runs
"""

import sys
from collections.abc import Sequence

import numpy as np

from experiments import results, sweep, translations
from experiments.sweep import Arm, Options
from gan_jax.data import Dataset, to_float, to_uint8
from gan_jax.errors import exit_code
from gan_jax.evaluation.baselines import ERRORS, outputs_without_training
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.segmentation import segmentation
from gan_jax.games.spade import coloured
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

TITLE = 'Images from label maps'
QUESTION = (
    'SPADE generates images from label maps. What do its adversary and feature matching add to the mean absolute '
    'difference (L1) between output and real image? How good are outputs that need no training?'
)
LOSSES = {
    'SPADE': {},
    'no feature matching': {'game.features': '0.0'},
    'L1 only': {'game.features': '0.0', 'game.adversary': '0.0', 'game.l1': '1.0'},
}
MEASURED = {'evaluate': 'segmentation,l1', 'evaluation.split': 'test', 'evaluation.samples': '1000'}
SMALL = {
    'duration': '1000 steps',
    'sample_every': '500 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '250 steps',
}
WHOLE = {'data.size': '64', 'evaluate_every': '5000 steps'}
ARMS = {name: Arm('configs/spade.py', MEASURED | SMALL | losses) for name, losses in LOSSES.items()}
FULL = {name: Arm('configs/spade.py:scenes', MEASURED | WHOLE | losses) for name, losses in LOSSES.items()}
NEAREST, MEAN, REAL = 'nearest training map', 'mean colour of each class', 'real images'  # without training
COLUMNS = {
    'miou': 'mIoU',
    'pixel_accuracy': 'pixel accuracy',
    'segmenter_fid': 'segmenter FID',
    'l1': 'L1',
    'psnr': 'PSNR',
    'ssim': 'SSIM',
}
CURVES = {f'eval/{metric}': COLUMNS[metric] for metric in ('miou', 'pixel_accuracy', 'segmenter_fid', 'l1')}


def compare(options: Options, number: int) -> None:
    """Trains the arms and writes the results; arguments as in `main`."""
    arms = FULL if options.full else ARMS
    config = sweep.config_of(next(iter(arms.values())), options)
    known, pairs = load_data(config.data), translations.held_out(config, number)
    directories = sweep.train(arms, options)
    runs = results.read_all(directories)
    outputs = translations.of_arms(directories, pairs.inputs)
    outputs |= {name: [images] for name, images in baselines(pairs, known).items()}
    measured = {
        arm: [None if images is None else measure(images, pairs, known) for images in seeds]
        for arm, seeds in outputs.items()
    }
    measured[REAL] = [reference(pairs, known)]
    values = translations.tabulated(measured, COLUMNS)

    rules = {COLUMNS[metric]: estimate.rule for metric, estimate in measured[NEAREST][0].items()}
    protocols = translations.protocols(pairs, rules)
    maps = np.asarray(to_uint8(coloured(to_float(pairs.inputs), pairs.num_classes)))
    shown = {'map': maps, **translations.first_of_each(outputs), 'real': pairs.examples}
    translations.publish(options, TITLE, QUESTION, values, runs, CURVES, shown, protocols)


def baselines(pairs: Dataset, known: Dataset) -> dict[str, np.ndarray]:
    """What needs no training for the maps of held-out pairs, uint8 [n, H, W, C], from the training pairs `known`."""
    made = outputs_without_training(np.asarray(pairs.inputs), known, are_maps=True)
    return {NEAREST: made['nearest'], MEAN: made['mean']}


def measure(outputs: np.ndarray, pairs: Dataset, known: Dataset) -> dict[str, Estimate]:
    """The metrics of outputs uint8 [n, H, W, C] for the maps of held-out pairs; the segmenter learns from `known`."""
    real = np.asarray(pairs.examples)
    errors = {name: error(real, outputs) for name, (error, _) in ERRORS.items()}
    return segmentation(real, outputs, np.asarray(pairs.inputs), known) | errors


def reference(pairs: Dataset, known: Dataset) -> dict[str, Estimate]:
    """What the segmenter reaches on the real images, from which all distances are 0 by definition."""
    real = np.asarray(pairs.examples)
    found = segmentation(real, real, np.asarray(pairs.inputs), known)
    return {metric: found[metric] for metric in ('miou', 'pixel_accuracy')}


def main(argv: Sequence[str] | None = None, *, number: int = 1000) -> int:
    """Runs a command line, and measures at most `number` held-out pairs; returns the exit code."""
    options = sweep.parse('label_maps', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, number))


if __name__ == '__main__':
    sys.exit(main())
