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
from gan_jax.errors import exit_code
from gan_jax.evaluation.baselines import interpolations
from gan_jax.evaluation.edge_f1 import mean_edge_f1
from gan_jax.evaluation.of_sets import luma_estimates
from gan_jax.evaluation.record import Estimate
from gan_jax.evaluation.sliced_wasserstein import sliced_wasserstein
from gan_jax.runtime import parallel

TITLE = 'Images four times as large'
QUESTION = (
    'What does an adversary add to the error of pixels when images are enlarged, and how good is interpolation, '
    'which needs no training?'
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
    pairs = translations.held_out(config, number)
    directories = sweep.train(arms, options)
    runs = results.read_all(directories)
    real, outputs = np.asarray(pairs.examples), translations.of_arms(directories, pairs.inputs)
    enlarged = interpolations(np.asarray(pairs.inputs), real.shape[1] // pairs.inputs.shape[1])
    outputs |= {name: [images] for name, images in enlarged.items()}
    measured = {
        arm: [None if images is None else measure(images, real) for images in seeds] for arm, seeds in outputs.items()
    }
    values = translations.tabulated(measured, COLUMNS)

    rules = {column: measured['bicubic'][0][metric].rule for metric, column in COLUMNS.items()}
    protocols = translations.protocols(pairs, rules)
    shown = {**translations.first_of_each(outputs), 'real': real}
    translations.publish(options, TITLE, QUESTION, values, runs, CURVES, shown, protocols)


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
