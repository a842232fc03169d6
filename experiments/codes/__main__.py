"""Trains InfoGAN and BiGAN on MNIST as published, and measures what their codes say of the digits; see README.md.

python -m experiments.codes              # both arms, three seeds
python -m experiments.codes --arms InfoGAN
python -m experiments.codes --seeds 1 --config.duration='100 steps' --out /tmp/results --runs /tmp/runs
"""

import sys
from collections.abc import Sequence

from experiments import results, sweep
from experiments.sweep import Arm, Options
from gan_jax.errors import exit_code
from gan_jax.runtime import parallel

QUESTION = (
    'Without labels, InfoGAN learns a code of ten categories, and BiGAN an encoder of images. How well do the '
    'categories agree with the ten digits, and how well do nearest neighbours classify in the features of the encoder?'
)
METRICS = ('class_error', 'code_accuracy', 'reconstruction')
CURVES = {'eval/class_error': "error of InfoGAN's category", 'eval/code_accuracy': "accuracy in BiGAN's features"}
ARMS = {'InfoGAN': Arm('configs/infogan.py:mnist'), 'BiGAN': Arm('configs/bigan.py:mnist')}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('codes', __doc__, argv, some_arms=True, has_full=False)
    parallel.enable_compilation_cache()
    return exit_code(lambda: _run(options))


def _run(options: Options) -> None:
    arms = results.read_all(sweep.train(ARMS, options))
    values = {arm: {metric: [run.final(metric) for run in runs] for metric in METRICS} for arm, runs in arms.items()}
    results.publish(
        options.out,
        'What codes say of the digits',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms),
        of_curves='Both figures while training, over thousands of images.',
    )


if __name__ == '__main__':
    sys.exit(main())
