"""Trains the papers' GANs on mixtures of Gaussians and counts modes as they do; see README.md.

python -m experiments.mixtures                                  # the ring: GAN, PacGAN2, PacGAN3 and PacGAN4, 20 epochs
python -m experiments.mixtures --setting grid                   # or unrolled
python -m experiments.mixtures --setting ring --full --seeds 10 # the published 400 epochs and ten trials
python -m experiments.mixtures --arms GAN PacGAN2               # these alone
"""

import math
import sys
from collections.abc import Sequence

from experiments import results, sweep
from experiments.mixtures.arms import tables
from experiments.results import Finished
from experiments.sweep import Options
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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('mixtures', __doc__, argv, settings=tuple(tables(full=False)))
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    table = tables(options.full)[options.setting]
    arms = results.read_all(sweep.train(table.arms, options))
    values = {}
    for arm, runs in arms.items():
        found = [last(run) for run in runs]
        values[arm] = {column: [one[column] for one in found] for column in METRICS}
    results.publish(
        options.out,
        table.title,
        table.question,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms),
        published=table.published,
        of_curves='Over thousands of points; a step of PacGAN takes as many times 100 as its name says.',
        columns=3,
    )


if __name__ == '__main__':
    sys.exit(main())
