"""Trains f-AnoGAN without each digit in turn, and measures how well it detects that digit; see README.md.

python -m experiments.anomaly              # the embedded digits, three seeds
python -m experiments.anomaly --full       # MNIST, as long as the config
python -m experiments.anomaly --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments import results, sweep
from experiments.anomaly.search import searched_auroc
from experiments.sweep import Arm, Options
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

QUESTION = (
    'A GAN is trained on all digits but one. How well does the anomaly score of f-AnoGAN distinguish test images of '
    'that digit from those of the others? How well do pixels alone, the search of AnoGAN and the nearest training '
    'image?'
)
METRICS = ('auroc', 'auroc_image', 'auroc_neighbour')
SEARCHED = '500 steps of Adam on the latents of each image, with the networks of the same run'
CURVES = {'eval/auroc': 'AUROC of the score', 'eval/auroc_image': 'AUROC of the image residual'}


def _arms(recipe: str) -> dict[str, Arm]:
    return {f'without {digit}': Arm(recipe, {'data.left_out': str(digit)}) for digit in range(10)}


ARMS, FULL = _arms('configs/anogan.py'), _arms('configs/anogan.py:mnist')


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('anomaly', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def tabulate(
    arms: Mapping[str, Sequence[results.Finished]], searched: Callable[[pathlib.Path], float] = searched_auroc
) -> dict[str, dict[str, list[float]]]:
    """The values of each arm and seed, and of each seed the mean over the arms.

    Args:
        arms: the runs.
        searched: a run's directory -> the area by AnoGAN's search.
    """
    values = {
        arm: {
            **{metric: [run.final(metric) for run in runs] for metric in METRICS},
            'auroc_search': [searched(run.workdir) for run in runs],
        }
        for arm, runs in arms.items()
    }
    columns = next(iter(values.values()))
    return {**values, 'mean': {one: np.mean([row[one] for row in values.values()], axis=0).tolist() for one in columns}}


def _run(options: Options) -> None:
    arms = results.read_all(sweep.train(FULL if options.full else ARMS, options))
    values = tabulate(arms)
    protocols = results.protocols(arms) | {'auroc_search': SEARCHED}
    results.publish(
        options.out,
        'Detection of a digit that was left out',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        of_curves='Both scores while the encoder learns.',
        of_samples=None,
    )


if __name__ == '__main__':
    sys.exit(main())
