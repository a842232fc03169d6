"""Trains the papers' GANs, and remedies, on mixtures of Gaussians and counts modes as the papers do; see README.md.

python -m experiments.mixtures                                  # the ring: GAN, PacGAN2, PacGAN3 and PacGAN4, 20 epochs
python -m experiments.mixtures --setting grid                   # or unrolled, remedies, remedies-grid
python -m experiments.mixtures --setting ring --full --seeds 10 # the published 400 epochs and ten trials
python -m experiments.mixtures --arms GAN PacGAN2               # these alone
"""

import math
import sys
from collections.abc import Mapping, Sequence

from experiments import results, sweep
from experiments.mixtures import remedies
from experiments.mixtures.arms import tables
from experiments.results import Finished
from experiments.sweep import Arm, Options
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

METRICS = {'modes': 'mixture_modes', 'high quality': 'mixture_quality', 'reverse KL': 'mixture_divergence'}
CURVES = {
    'eval/mixture_modes': 'modes captured',
    'eval/mixture_quality': 'share of high quality',
    'eval/mixture_divergence': 'reverse KL, nats',
}


def last(run: Finished) -> dict[str, float]:
    """The values of the last evaluation; NaN where it has none, as a divergence of no samples."""
    evaluated = [record for record in run.records if 'eval/mixture_modes' in record]
    record = evaluated[-1] if evaluated else {}
    return {column: record.get(f'eval/{metric}', math.nan) for column, metric in METRICS.items()}


def rise(run: Finished) -> float:
    """How much the share of high quality of the last fifth of the evaluations is above that of the fifth before."""
    values = run.curve('eval/mixture_quality')[1]
    fifth = len(values) // 5
    return float(values[-fifth:].mean() - values[-2 * fifth : -fifth].mean()) if fifth else math.nan


def score(run: Finished, num_modes: int) -> float:
    """The score of a setting: share of the modes times share of high quality, over the last fifth."""
    modes, quality = (run.curve(f'eval/{metric}')[1] for metric in ('mixture_modes', 'mixture_quality'))
    late = -max(len(modes) // 5, 1)
    return float((modes[late:] * quality[late:]).mean() / num_modes) if len(modes) else -math.inf


def choose(arms: Mapping[str, Sequence[Arm]], options: Options) -> dict[str, Arm]:
    """The best setting of every arm after a short training of each with another seed; the first among equals.

    Args:
        arms: the settings of each.
        options: those of the experiment.

    Raises:
        UserError, InterruptedRunError: as `sweep.train`.
    """
    chosen = {name: settings[0] for name, settings in arms.items()}
    trials = {
        f'{name}, setting {i}': (name, setting)
        for name, settings in arms.items()
        if len(settings) > 1 and (not options.arms or name in options.arms)
        for i, setting in enumerate(settings)
    }
    alone = options._replace(seeds=1, runs=options.runs / 'tuning', arms=())
    found = results.read_all(sweep.train({key: remedies.trial(arm) for key, (_, arm) in trials.items()}, alone))
    best = {}
    for key, (name, setting) in trials.items():
        num_modes = len(MIXTURES[sweep.config_of(setting, options).data.name].centres)
        value = score(found[key][0], num_modes)
        if value > best.get(name, -math.inf):
            best[name], chosen[name] = value, setting
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('mixtures', __doc__, argv, settings=tuple(tables(full=False)), some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    table = tables(options.full)[options.setting]
    chosen = choose(table.arms, options)
    arms = results.read_all(sweep.train(chosen, options))
    values, published = {}, dict(table.published)
    for arm, runs in arms.items():
        found = [last(run) for run in runs]
        values[arm] = {column: [one[column] for one in found] for column in METRICS}
        if len(table.arms[arm]) > 1:
            values[arm]['rise of quality'] = [rise(run) for run in runs]
            published[arm] = {'setting': remedies.differences(chosen[arm], table.arms[arm])}
    results.publish(
        options.out,
        table.title,
        table.question,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms) | ({'paper': table.source} if table.source else {}),
        published=published,
        of_curves='Metrics over thousands of generated points; a step of PacGAN has 100 packs of them.',
        columns=3,
    )


if __name__ == '__main__':
    sys.exit(main())
