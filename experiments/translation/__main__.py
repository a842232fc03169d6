"""What does an adversarial loss add to L1 when images are generated from edges? pix2pix and its parts; see README.md.

python -m experiments.translation
python -m experiments.translation --setting flowers
"""

import math
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from experiments import results, sweep, translations
from gan_jax.data import Dataset
from gan_jax.errors import exit_code
from gan_jax.evaluation.edge_f1 import mean_edge_f1
from gan_jax.evaluation.l1 import l1
from gan_jax.evaluation.psnr import psnr
from gan_jax.evaluation.ssim import ssim
from gan_jax.records import report
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

QUESTION = (
    'Images are generated from their edges. What does an adversarial loss add to the mean absolute difference (L1) '
    'between output and target? What does it cost? How close does CycleGAN come without pairs?'
)
SETTINGS = {
    'digits': {'evaluation.split': 'test', 'duration': '1000 steps'},
    'flowers': {
        'data.name': 'edges:tf_flowers',
        'data.split': 'train[:80%]',
        'data.flip': 'True',
        'evaluation.split': 'train[80%:]',
        'duration': '1200 steps',
    },
}
SMALL = {
    'batch_size': '4',
    'log_every': '100 steps',
    'sample_every': '1000 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '500 steps',
}
WHOLE = {
    'data.size': '256',
    'generator.width': '64',
    'discriminator.width': '64',
    'discriminator.receptive_field': '70',
    'batch_size': '1',
    'duration': '200 epochs',
    'sample_every': '10 epochs',
    'checkpoint_every': '10 epochs',
    'evaluate_every': '10 epochs',
}
PAIRED = {'evaluate': 'l1,psnr,ssim,edge_f1'}
UNPAIRED = 'CycleGAN, unpaired'
COPIED, MEDIAN = 'input copied', 'median target'  # without training; the second is what L1 alone does without inputs
DOMAINS = ('edges', 'images')
ARMS = {
    'L1 + adversary': sweep.Arm('configs/pix2pix.py', PAIRED),
    'L1 only': sweep.Arm('configs/pix2pix.py', PAIRED | {'game.adversary': '0.0'}),
    'adversary only': sweep.Arm('configs/pix2pix.py', PAIRED | {'game.l1': '0.0'}),
    UNPAIRED: sweep.Arm('configs/cyclegan.py'),
}
CURVES = {
    'eval/l1': 'L1',
    'eval/psnr': 'PSNR',
    'eval/ssim': 'SSIM',
    'eval/edge_f1': 'edge F1',
    'generator/l1': 'L1 in training, of [-1, 1]',
}
RULES = {
    'L1': 'share of white, all pixels and channels',
    'PSNR': 'dB, peak 255, mean over pairs; infinite for an output that equals its target',
    'SSIM': 'as gan_jax.evaluation.ssim, mean over pairs',
    'edge F1': 'as gan_jax.evaluation.edge_f1: edges of the output against those of the target, which are the input',
    'by chance': 'the edge F1 of each output against the target of another pair',
}


def compare(options: sweep.Options, number: int) -> None:
    """Trains the arms and writes the results; arguments as in `main`."""
    arms = arms_of(options)
    config = sweep.config_of(next(iter(arms.values())), options)
    pairs = translations.held_out(config, number)
    known = load_data(config.data)
    if UNPAIRED in arms:
        write_domains(known, options.runs)
    directories = sweep.train(arms, options)
    runs = results.read_all(directories)
    outputs = translations.of_arms(directories, pairs.inputs)
    outputs[COPIED] = [translations.in_channels(pairs.inputs, pairs.shape[-1])]
    outputs[MEDIAN] = [np.broadcast_to(np.median(known.examples, axis=0).astype(np.uint8), pairs.examples.shape)]
    targets = np.asarray(pairs.examples)
    measured = {arm: [measure(images, targets) for images in seeds] for arm, seeds in outputs.items()}
    values = {arm: {name: [one[name] for one in seeds] for name in RULES} for arm, seeds in measured.items()}

    protocols = translations.protocols(pairs, RULES)
    paired = {arm: some for arm, some in runs.items() if arm != UNPAIRED}
    trained = {arm: seeds for arm, seeds in outputs.items() if arm in ARMS}
    shown = {'input': outputs[COPIED][0], **translations.first_of_each(trained), 'target': targets}
    title = f'Images from their edges: {options.setting}'
    translations.publish(options, title, QUESTION, values, paired, CURVES, shown, protocols)


def arms_of(options: sweep.Options) -> dict[str, sweep.Arm]:
    """The arms with the overrides of the setting; the unpaired one reads what `write_domains` writes."""
    common = SETTINGS[options.setting] | (WHOLE if options.full else SMALL)
    arms = {name: arm._replace(overrides={**common, **arm.overrides}) for name, arm in ARMS.items()}
    if UNPAIRED in arms:
        folders = ','.join(f'folder:{options.runs.absolute() / domain}' for domain in DOMAINS)
        arms[UNPAIRED].overrides.update({'data.name': f'unpaired:{folders}', 'data.split': 'train'})
        del arms[UNPAIRED].overrides['evaluation.split']
    return arms


def write_domains(pairs: Dataset, directory: pathlib.Path) -> None:
    """Writes the inputs of every other pair and the targets of the others as folders of images of equal channels."""
    inputs = translations.in_channels(pairs.inputs, pairs.shape[-1])
    for start, (domain, images) in enumerate(zip(DOMAINS, (inputs, pairs.examples), strict=True)):
        (directory / domain).mkdir(parents=True, exist_ok=True)
        for i in range(start, len(images), 2):
            report.save_png(directory / domain / f'{i:05d}.png', np.asarray(images[i]))


def measure(outputs: np.ndarray | None, targets: np.ndarray) -> dict[str, float]:
    """The means over pairs of outputs uint8 [n, H, W, C] and their targets, by the names in `RULES`.

    All are NaN where there are no outputs.
    """
    if outputs is None:
        return dict.fromkeys(RULES, math.nan)
    edges = mean_edge_f1(outputs, targets)
    return {
        'L1': float(l1(outputs, targets).mean()),
        'PSNR': float(psnr(outputs, targets).mean()),
        'SSIM': float(ssim(outputs, targets).mean()),
        'edge F1': edges['edge_f1'].value,
        'by chance': edges['edge_f1_chance'].value,
    }


def main(argv: Sequence[str] | None = None, *, number: int = 1000) -> int:
    """Runs a command line, and measures at most `number` held-out pairs; returns the exit code."""
    options = sweep.parse('translation', __doc__, argv, settings=tuple(SETTINGS))
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, number))


if __name__ == '__main__':
    sys.exit(main())
