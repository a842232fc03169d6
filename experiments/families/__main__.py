"""Trains every family of networks at a laptop's size, and DCGAN for comparison; see README.md.

python -m experiments.families              # nine arms, three seeds
python -m experiments.families --arms DCGAN GAT
python -m experiments.families --full       # the published recipes on CIFAR-10, for GPUs
python -m experiments.families --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import math
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import cost, results, sweep
from experiments.results import Finished
from experiments.sweep import Arm, Options
from gan_jax import config as configs
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

QUESTION = (
    'How do residual, attention, grouped and transformer networks compare with DCGAN on Fashion-MNIST, each with its '
    "own recipe at a laptop's size: after the same number of images, and in the same time?"
)
DCGAN = 'DCGAN'
METRICS = ('fid', 'kid')
CURVES = {'eval/fid': 'FID', 'eval/kid': 'KID'}


def _lasting(steps: int) -> dict[str, str]:
    """So many steps of 64 images, evaluated every 400 steps."""
    return {
        'batch_size': '64',
        'samples': '100',
        'duration': f'{steps} steps',
        'log_every': '20 steps',
        'evaluate_every': '400 steps',
        'sample_every': '400 steps',
        'checkpoint_every': '400 steps',
        'evaluate': "('fid', 'kid')",
        'evaluation.samples': '5000',
        'evaluation.extractor': 'classifier',
        'evaluation.split': 'test',
    }


def _schedules(recipe: str, steps: int) -> str:
    """A recipe's schedules, over a training of so many steps instead of its own."""
    config = configs.load(f'{sweep.ROOT}/{recipe}')
    return repr(tuple(text.replace(config.duration, f'{steps} steps') for text in config.schedules))


SHORT = _lasting(800)
ARMS = {
    DCGAN: Arm('configs/dcgan.py:fashion_mnist', _lasting(6400)),
    'SNGAN, residual': Arm('configs/sngan_resnet.py:small', SHORT),
    'cGAN-PD': Arm('configs/cgan_pd.py:small', SHORT),
    'WGAN-GP, residual': Arm('configs/wgan_gp_resnet.py:small', SHORT),
    'SAGAN': Arm('configs/sagan.py:small', SHORT),
    'BigGAN': Arm('configs/biggan.py:small', SHORT),
    'BigGAN-deep': Arm('configs/biggan_deep.py:small', SHORT),
    'R3GAN': Arm('configs/r3gan.py:small', SHORT | {'schedules': _schedules('configs/r3gan.py:small', 800)}),
    'GAT': Arm('configs/gat.py:small', SHORT),
}
PUBLISHED = {'evaluate': 'fid,kid', 'evaluation.extractor': 'inception', 'evaluation.samples': '50000'}
# DCGAN takes as many steps of the generator as the residual networks without attention.
FULL = {DCGAN: Arm('configs/dcgan.py:cifar10', PUBLISHED | {'duration': '100000 steps'})} | {
    name: Arm(f'configs/{recipe}.py:cifar10', PUBLISHED)
    for name, recipe in {
        'SNGAN, residual': 'sngan_resnet',
        'cGAN-PD': 'cgan_pd',
        'WGAN-GP, residual': 'wgan_gp_resnet',
        'SAGAN': 'sagan',
        'BigGAN': 'biggan',
        'BigGAN-deep': 'biggan_deep',
        'R3GAN': 'r3gan',
        'GAT': 'gat',
    }.items()
}


def tabulate(
    arms: Mapping[str, Sequence[Finished]], kimg: Mapping[str, float], seconds: Mapping[str, float]
) -> dict[str, dict[str, list[float]]]:
    """The table: each arm at its end, and DCGAN after as many images and after as much time.

    Args:
        arms: the runs of each; without those of DCGAN, it is not in the table.
        kimg: thousands of images that each arm's generator makes in training.
        seconds: that a thousand of these take.
    """
    values = {}
    for arm, runs in arms.items():
        values[arm] = {'thousand images': [kimg[arm]], 'minutes': [kimg[arm] * seconds[arm] / 60]}
        for metric in METRICS:
            values[arm][metric] = [at(run, metric, kimg[arm]) for run in runs]
        if arm == DCGAN or DCGAN not in arms:
            continue
        for metric in METRICS:
            for what, place in (('images', kimg[arm]), ('time', kimg[arm] * seconds[arm] / seconds[DCGAN])):
                values[arm][f'DCGAN: {metric}, equal {what}'] = [at(run, metric, place) for run in arms[DCGAN]]
    return values


def at(run: Finished, metric: str, kimg: float) -> float:
    """A metric after so many thousand images, interpolated between evaluations; NaN outside of them."""
    places, values = run.curve(f'eval/{metric}')
    return float(np.interp(kimg, places, values, math.nan, math.nan)) if len(places) else math.nan


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('families', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    recipes = FULL if options.full else ARMS
    arms = results.read_all(sweep.train(recipes, options))
    configs_of = {name: sweep.config_of(recipes[name], options) for name in arms}
    steps = cost.seconds_per_step(options.runs / 'cost.json', configs_of)
    seconds = {name: steps[name] * 1000 / config.batch_size for name, config in configs_of.items()}
    values = tabulate(arms, {name: sweep.kimg(config) for name, config in configs_of.items()}, seconds)
    protocols = results.protocols(arms) | {
        'thousand images': 'that the generator makes in training',
        'minutes': 'of training, without evaluations',
    }
    results.publish(
        options.out,
        "Families of networks at a laptop's size",
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        facts={'seconds of a thousand images': seconds},
        of_curves='Metrics of all arms, over thousands of images.',
        of_samples='{}, first seed, at its end.',
    )


if __name__ == '__main__':
    sys.exit(main())
