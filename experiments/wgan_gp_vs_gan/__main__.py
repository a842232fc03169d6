"""Trains GAN and WGAN-GP with the same networks: as published, with other learning rates, and without normalisation.

python -m experiments.wgan_gp_vs_gan                  # eight arms, three seeds; see README.md
python -m experiments.wgan_gp_vs_gan --setting long   # the published rates, seventeen times as long
python -m experiments.wgan_gp_vs_gan --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import math
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import classes, cost, results, sweep
from experiments.results import Finished
from experiments.sweep import Arm, Options
from experiments.wgan_gp_vs_gan import pictures
from gan_jax.errors import exit_code
from gan_jax.evaluation.modes import label_modes
from gan_jax.evaluation.ms_ssim import ms_ssim_diversity
from gan_jax.game import Pair
from gan_jax.records import report
from gan_jax.records.description import DIVERGED
from gan_jax.runtime import parallel
from gan_jax.training import run

QUESTION = (
    'With the same data and the same networks, is WGAN-GP better than the non-saturating GAN? Does the loss of its '
    "critic follow sample quality while the GAN's losses do not? Is it robust to a learning rate ten times higher or "
    'lower, and to networks without batch norm?'
)
GAN, WGAN = 'GAN', 'WGAN-GP'
METRICS = ('fid', 'precision', 'recall', 'inception_score')
CURVES = {'eval/fid': 'FID', 'eval/precision': 'precision', 'eval/recall': 'recall'}
CLASSES, SAMPLES, PAIRS = 10, 2000, 2000

_BARE = {'normalization': 'none', 'initializer': 'he'}  # DCGAN's small weights rely on normalisation
_SMALL = {
    'data.size': '16',
    'batch_size': '32',
    'generator.width': '16',
    'discriminator.width': '16',
    'ema.half_life_kimg': '0.0',  # losses and metrics then belong to the same generator
    'evaluate': "('fid', 'precision_recall')",
    'evaluation.samples': '10000',
    'evaluation.extractor': 'classifier',
    'evaluation.split': 'test',
}
_PUBLISHED = {
    'evaluate': "('fid', 'precision_recall', 'inception_score')",
    'evaluation.samples': '10000',
    'evaluation.extractor': 'inception',
    'duration': '200000 steps',
    'log_every': '100 steps',
    'evaluate_every': '10000 steps',
    'sample_every': '10000 steps',
    'checkpoint_every': '10000 steps',
}


def _lasting(steps: int, evaluations: int = 10) -> dict[str, str]:
    """So many steps with evaluations at equal distances."""
    each = f'{steps // evaluations} steps'
    return {
        'duration': f'{steps} steps',
        'log_every': f'{steps // evaluations // 4} steps',
        'evaluate_every': each,
        'sample_every': each,
        'checkpoint_every': each,
    }


def _arms(data: str, of_gan: Mapping[str, str], of_wgan: Mapping[str, str]) -> dict[str, Arm]:
    bare = {f'{player}.{key}': value for player in Pair._fields for key, value in _BARE.items()}
    arms = {}
    for name, recipe, options, rate in (
        (GAN, f'configs/dcgan.py:{data}', {**of_gan, 'loss.real_label': '1.0'}, 2e-4),
        (WGAN, f'configs/wgan_gp.py:{data}', of_wgan, 1e-4),
    ):
        changes = {'': {}, ', rate x 10': _rates(10 * rate), ', rate / 10': _rates(rate / 10), ', no norm': bare}
        arms |= {name + what: Arm(recipe, {**options, **change}) for what, change in changes.items()}
    return arms


def _rates(rate: float) -> dict[str, str]:
    return {f'{player}_optimizer.learning_rate': f'{rate:g}' for player in Pair._fields}


# As many real images for both: a critic makes five steps for one of its generator.
ARMS = _arms('mnist', _SMALL | _lasting(3000), _SMALL | _lasting(600))
LONG = {
    name: arm
    for name, arm in _arms('mnist', _SMALL | _lasting(50_000, 20), _SMALL | _lasting(10_000, 20)).items()
    if 'rate' not in name
}
FULL = _arms('cifar10', _PUBLISHED, _PUBLISHED)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; NaN where there are fewer than three values, or all are the same."""
    from scipy.stats import spearmanr

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(spearmanr(first, second).statistic)


def follows(one: Finished, name: str) -> float:
    """The rank correlation of a run's loss, taken where it was evaluated, with the FID there."""
    kimg, fid = one.curve('eval/fid')
    return rank_correlation(one.at(name, kimg), fid)


def last_samples(workdir: pathlib.Path) -> tuple[dict[str, float], np.ndarray | None]:
    """Measures of the last generator's samples, and some of them; NaN and None if there is no checkpoint."""
    made = classes.of_samples(workdir, SAMPLES)
    if made is None:
        return dict.fromkeys(('digits', 'reverse KL', 'MS-SSIM'), math.nan), None
    modes = label_modes(made.shown, CLASSES)
    ms_ssim = ms_ssim_diversity(made.images, pairs=PAIRS).value
    return {'digits': modes.captured, 'reverse KL': modes.reverse_kl, 'MS-SSIM': ms_ssim}, made.images[:25]


def columns(arms: Mapping[str, Sequence[Finished]], rounds: float) -> dict[str, dict[str, list[float]]]:
    """The columns of the table that need no samples.

    Args:
        arms: the runs of each.
        rounds: thousands of images that WGAN-GP's generator makes in training.
    """
    values = results.final_and_best(arms, METRICS)
    for arm, runs in arms.items():
        values[arm] |= {
            'fid, equal updates': [float(one.at('eval/fid', rounds)) for one in runs],
            'FID ~ -loss of D': [-follows(one, 'discriminator/loss') for one in runs],
            'FID ~ loss of G': [follows(one, 'generator/loss') for one in runs],
            'diverged': [float((one.workdir / DIVERGED).exists()) for one in runs],
        }
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('wgan_gp_vs_gan', __doc__, argv, settings=('short', 'long'))
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    recipes = FULL if options.full else LONG if options.setting == 'long' else ARMS
    both = {name: sweep.config_of(recipes[name], options) for name in (GAN, WGAN)}
    shape = run.load_data(both[GAN].data).shape
    classifier = classes.find_classifier(both[GAN], shape)  # a missing one is noticed before the training
    arms = results.read_all(sweep.train(recipes, options))
    seconds = cost.seconds_per_step(options.runs / 'cost.json', both)
    values, samples = columns(arms, sweep.kimg(both[WGAN])), {}
    for arm, runs in arms.items():
        seen, images = zip(*(last_samples(one.workdir) for one in runs), strict=True)
        values[arm] |= {name: [one[name] for one in seen] for name in seen[0]}
        samples[arm] = next((some for some in images if some is not None), None)
    out, protocols = options.out, results.protocols(arms)
    of_samples = f'{SAMPLES} samples of the last generator'
    protocols |= {'digits and reverse KL': f'{of_samples}, named by {classifier.name}'}
    protocols |= {'MS-SSIM': f'{of_samples}, {PAIRS} pairs'}
    pictures.losses(out / 'losses.png', {name: arms[name] for name in (GAN, WGAN)})
    report.save_png(out / 'samples.png', pictures.samples(samples, columns=len(arms) // 2))
    results.publish(
        out,
        'WGAN-GP against GAN',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        facts={'seconds of a step of the generator': seconds},
        of_curves='Metrics of all arms; a thousand images are those of steps of the generator.',
        pictures={
            'Losses (left axes) and FID (right axes, dashed) of each seed.': out / 'losses.png',
            f'Samples of the first seed that left a generator: {", ".join(arms)}.': out / 'samples.png',
        },
        of_samples=None,
    )


if __name__ == '__main__':
    sys.exit(main())
