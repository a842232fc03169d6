"""Which digits does the fully connected GAN generate, how evenly, and what does collapse look like? See README.md.

python -m experiments.mnist_gan
"""

import math
import sys
from collections.abc import Sequence

import numpy as np

from experiments import classes, results, sweep
from experiments.mnist_gan import pictures
from gan_jax.errors import exit_code
from gan_jax.evaluation.modes import ModeReport, label_modes
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

QUESTION = (
    'Which of the ten digits does the classic fully connected GAN generate, how evenly, and what does collapse look '
    'like?'
)
EPOCH = 469  # steps of 128 through 60,000 images
RECIPE = {
    'log_every': '67 steps',  # a seventh of an epoch
    'sample_every': f'{EPOCH} steps',
    'checkpoint_every': f'{EPOCH} steps',
    'evaluate_every': f'{2 * EPOCH} steps',
    'evaluate': 'fid,inception_score',
    'evaluation.samples': '10000',
    'evaluation.split': 'test',
    'evaluation.extractor': 'classifier',
    'ema.half_life_kimg': '0.0',  # the generator itself, not an average that would hide what it does
}
FAST = {
    'discriminator.dropout': '0.0',
    'generator_optimizer.learning_rate': '2e-3',
    'discriminator_optimizer.learning_rate': '2e-3',
}
DEFAULTS = {  # of Adam, Kingma and Ba 2015
    'discriminator.dropout': '0.0',
    'generator_optimizer.learning_rate': '1e-3',
    'discriminator_optimizer.learning_rate': '1e-3',
    'generator_optimizer.b1': '0.9',
    'discriminator_optimizer.b1': '0.9',
}
SHORT = RECIPE | {'duration': f'{2 * EPOCH} steps'}
ARMS = {
    'recipe': sweep.Arm('configs/mlp.py:mnist', RECIPE | {'duration': f'{100 * EPOCH} steps'}),
    'ten times the rate': sweep.Arm('configs/mlp.py:mnist', SHORT | FAST),
    "Adam's defaults": sweep.Arm('configs/mlp.py:mnist', SHORT | DEFAULTS),
}
WHOLE = RECIPE | {'duration': f'{200 * EPOCH} steps', 'evaluation.samples': '50000', 'evaluation.split': 'train'}
FULL = {
    'recipe': sweep.Arm('configs/mlp.py:mnist', WHOLE),
    'ten times the rate': sweep.Arm('configs/mlp.py:mnist', WHOLE | FAST),
    "Adam's defaults": sweep.Arm('configs/mlp.py:mnist', WHOLE | DEFAULTS),
}
EPOCHS = (1, 2, 5, 10, 25, 50, 100, 200)  # whose grids are shown, as far as a run goes
SAMPLES = 10_000
LEAST_SHARE = 0.01  # of a digit that counts as made
CURVES = {
    'eval/fid': 'FID',
    'eval/inception_score': "Inception score by the digits' classifier",
    'discriminator/loss': 'Loss of the discriminator',
    'generator/loss': 'Loss of the generator',
    'discriminator/real_probability': 'D(real)',
    'discriminator/fake_probability': 'D(fake)',
}


def compare(options: sweep.Options, samples: int) -> None:
    """Trains the arms and writes the results."""
    recipes = FULL if options.full else ARMS
    configs = {arm: sweep.config_of(recipe, options) for arm, recipe in recipes.items()}
    directories = sweep.train(recipes, options)
    arms = results.read_all(directories)
    shown = {
        arm: [classes.of_samples(workdir, samples) for workdir in workdirs] for arm, workdirs in directories.items()
    }
    reals = np.bincount(load_data(configs['recipe'].data, 'test').labels)

    values = {}
    shortest = min(map(sweep.kimg, configs.values()))
    together = round(pictures.epoch(directories['recipe'][0], kimg=shortest))
    for arm, runs in arms.items():
        values[arm] = columns = {f'fid, epoch {together}': [float(run.at('eval/fid', shortest)) for run in runs]}
        for metric in ('fid', 'inception_score'):
            columns[metric] = [run.final(metric) for run in runs]
        columns |= columns_of_digits(shown[arm], reals)
    counts = {arm: [np.bincount(one.shown, minlength=len(reals)) for one in some if one] for arm, some in shown.items()}
    shares = {
        'test images': [reals / reals.sum()],
        **{arm: [count / samples for count in some] for arm, some in counts.items() if some},
    }

    protocols = results.protocols(arms)
    extractor = results.extractor(protocols, configs['recipe'])
    protocols['digits made'] = f'those that are at least {LEAST_SHARE:.0%} of {samples} samples; {extractor}'
    protocols['commonest digit'] = f'its share of these samples; {extractor}'
    protocols['KL of digits'] = f'of the digits in these samples from those in the test set, in nats; {extractor}'

    out = options.out
    facts = {
        'epochs': {
            arm: round(pictures.epoch(workdirs[0], kimg=sweep.kimg(configs[arm])), 2)
            for arm, workdirs in directories.items()
        },
        'shares': {arm: [row.tolist() for row in rows] for arm, rows in shares.items()},
    }
    pictures.draw_shares(out / 'digits.png', shares)
    pictures.draw_epochs(out / 'epochs.png', {arm: workdirs[0] for arm, workdirs in directories.items()}, EPOCHS)
    results.publish(
        out,
        'The fully connected GAN on MNIST',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        facts=facts,
        pictures={
            'samples of seed 0 after so many epochs, the same latents throughout an arm': out / 'epochs.png',
            'share of each digit: bars are means over the seeds, dots the seeds': out / 'digits.png',
        },
        of_samples=None,
    )


def columns_of_digits(seeds: Sequence[classes.Shown | None], reals: np.ndarray) -> dict[str, list[float]]:
    """Which digits each seed shows and how evenly, beside how many of each there are among the real images."""

    def modes(one: classes.Shown) -> ModeReport:
        return label_modes(one.shown, len(reals), reals, math.ceil(LEAST_SHARE * len(one.shown)))

    return {
        'digits made': classes.of_each(lambda one: modes(one).captured, seeds),
        'commonest digit': classes.of_each(lambda one: modes(one).counts.max() / len(one.shown), seeds),
        'KL of digits': classes.of_each(lambda one: modes(one).reverse_kl, seeds),
    }


def main(argv: Sequence[str] | None = None, *, samples: int = SAMPLES) -> int:
    """Runs a command line, and names the digits in `samples` samples of each run; returns the exit code."""
    options = sweep.parse('mnist_gan', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, samples))


if __name__ == '__main__':
    sys.exit(main())
