"""What does an adversary add to the error of pixels when images are enlarged? SRGAN and ESRGAN; see README.md.

python -m experiments.super_resolution                             # four arms, three seeds
python -m experiments.super_resolution --arms SRResNet SRGAN-MSE   # these alone
python -m experiments.super_resolution --full                      # the published recipes, on flowers, for a GPU
"""

import sys
from collections.abc import Sequence

import numpy as np

from experiments import results, sweep, translations
from experiments.sweep import Arm, Options
from gan_jax.data import to_float, to_uint8
from gan_jax.errors import exit_code
from gan_jax.evaluation.edge_f1 import mean_edge_f1
from gan_jax.evaluation.of_sets import luma_estimates
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.sliced_wasserstein import sliced_wasserstein
from gan_jax.layers.bicubic import ENLARGEMENTS, enlarged
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

TITLE = 'Images four times as large'
QUESTION = (
    'SRGAN and ESRGAN enlarge generated images four times. What does an adversary add to the error of pixels, and how '
    'good is interpolation, which needs no training?'
)
ALONE = {'game.adversary': '0.0'}  # in the last phase as well
LOSSES = {'SRResNet': ('srgan', ALONE), 'SRGAN-MSE': ('srgan', {}), 'RRDB': ('esrgan', ALONE), 'ESRGAN': ('esrgan', {})}
MEASURED = {'evaluate': 'luma', 'evaluate_every': '250 steps'}
PIXELS = {'game.pixels': '1.0', 'game.content': 'none'}  # which the small recipes have already
FLOWERS = {'evaluate': 'luma', 'data.split': 'train[:80%]', 'evaluation.split': 'train[80%:]'}
ARMS = {arm: Arm(f'configs/{recipe}.py', MEASURED | losses) for arm, (recipe, losses) in LOSSES.items()}
FULL = {
    arm: Arm(f'configs/{recipe}.py:tf_flowers', FLOWERS | PIXELS | losses) for arm, (recipe, losses) in LOSSES.items()
}
COLUMNS = {
    'psnr_y': 'PSNR',
    'ssim_y': 'SSIM',
    'edge_f1': 'edge F1',
    'patches': 'patch distance',
}
CURVES = {'eval/psnr_y': 'PSNR', 'eval/ssim_y': 'SSIM'}


def compare(options: Options, number: int) -> None:
    """Trains the arms and writes the results; arguments as in `main`."""
    arms = FULL if options.full else ARMS
    config = sweep.config_of(next(iter(arms.values())), options)
    held_out = load_data(config.data, config.evaluation.split)
    pairs = held_out.select(np.arange(min(number, len(held_out))), held_out.name)
    directories = sweep.train(arms, options)
    runs = results.read_all(directories)
    real, outputs = np.asarray(pairs.examples), translations.of_arms(directories, pairs.inputs)
    outputs |= {name: [images] for name, images in interpolated(pairs.inputs, len(real[0])).items()}
    measured = {arm: [measure(images, real) for images in seeds] for arm, seeds in outputs.items()}
    values = {
        arm: {column: [one[metric].value for one in seeds] for metric, column in COLUMNS.items()}
        for arm, seeds in measured.items()
    }
    rules = measured['bicubic'][0]
    protocols = {
        column: f'{len(pairs)} of {pairs.name} {pairs.split}; {rules[metric].rule}'
        for metric, column in COLUMNS.items()
    }
    shown = {arm: seeds[0] for arm, seeds in outputs.items() if seeds} | {'real': real}
    translations.publish(options, TITLE, QUESTION, values, runs, CURVES, shown, protocols)


def interpolated(inputs: np.ndarray, height: int) -> dict[str, np.ndarray]:
    """Small images uint8 [n, h, w, C], enlarged to a height by each interpolation, uint8."""
    small, factor = to_float(np.asarray(inputs)), height // inputs.shape[1]
    return {name: np.asarray(to_uint8(enlarged(name, small, factor))) for name in ENLARGEMENTS}


def measure(outputs: np.ndarray, real: np.ndarray) -> dict[str, Estimate]:
    """The metrics of outputs uint8 [n, H, W, C], made of small copies of the real images.

    'patches' is the sliced Wasserstein distance of the finest level, that of 7x7 pixels: small for outputs with the
    texture of the real images, at whatever place.
    """
    patches = next(iter(sliced_wasserstein(real, outputs).values()))
    return luma_estimates(real, outputs) | mean_edge_f1(outputs, real) | {'patches': patches}


def main(argv: Sequence[str] | None = None, *, number: int = 200) -> int:
    """Runs a command line, and measures at most `number` held-out pairs; returns the exit code."""
    options = sweep.parse('super_resolution', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, number))


if __name__ == '__main__':
    sys.exit(main())
