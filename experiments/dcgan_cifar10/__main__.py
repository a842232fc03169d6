"""How good does the DCGAN recipe get on CIFAR-10, and is its last step its best? See README.md.

python -m experiments.dcgan_cifar10                            # three seeds, four passes through the data
python -m experiments.dcgan_cifar10 --setting long --seeds 1   # twenty passes
python -m experiments.dcgan_cifar10 --setting source --seeds 1 # four, with the source's channels
"""

import math
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from experiments import results, sweep
from gan_jax import data
from gan_jax.errors import exit_code
from gan_jax.evaluation.evaluator import Evaluator, choose_extractor
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.sampling import samples as sampling
from gan_jax.training import run

QUESTION = (
    'How good are samples of the DCGAN recipe on CIFAR-10, how steadily do they improve, and is the last step the '
    'best one?'
)
SMALL = {
    'generator.width': '32',
    'discriminator.width': '32',
    'duration': '3200 steps',
    'sample_every': '400 steps',
    'checkpoint_every': '400 steps',
    'evaluate': 'fid,inception_score,kid,precision_recall',
    'evaluate_every': '400 steps',
    'evaluation.samples': '10000',
    'evaluation.split': 'train[:10000]',
    'evaluation.extractor': 'classifier',
    'checkpoints.best_metric': 'eval/fid',
}
ARMS = {'DCGAN': sweep.Arm('configs/dcgan.py:cifar10', SMALL)}
LONG = {
    'DCGAN': sweep.Arm('configs/dcgan.py:cifar10', SMALL | {'duration': '16000 steps', 'evaluate_every': '800 steps'})
}
WIDE = SMALL | {'generator.widths': '(1024, 512, 256)', 'discriminator.widths': '(64, 128, 256)'}
SOURCE = {'DCGAN': sweep.Arm('configs/dcgan.py:cifar10', WIDE)}
WHOLE = WIDE | {
    'duration': '5000 kimg',
    'sample_every': '250 kimg',
    'checkpoint_every': '250 kimg',
    'evaluate_every': '250 kimg',
    'evaluation.extractor': 'auto',
}
FULL = {
    'DCGAN': sweep.Arm('configs/dcgan.py:cifar10', WHOLE),
    'DCGAN without smoothing': sweep.Arm('configs/dcgan.py:cifar10', WHOLE | {'loss.real_label': '1.0'}),
}
SETTINGS = {'short': ARMS, 'long': LONG, 'source': SOURCE}
METRICS = ('fid', 'inception_score', 'kid', 'precision', 'recall')
CURVES = {
    'eval/fid': 'FID',
    'eval/inception_score': 'Inception score',
    'eval/kid': 'KID',
    'eval/precision': 'Precision',
    'eval/recall': 'Recall',
    'discriminator/loss': 'Loss of the discriminator',
    'generator/loss': 'Loss of the generator',
    'discriminator/real_probability': 'D(real)',
    'discriminator/fake_probability': 'D(fake)',
}


def watch(options: sweep.Options) -> None:
    """Trains the arms and writes the results."""
    recipes = FULL if options.full else SETTINGS[options.setting]
    directories = sweep.train(recipes, options)
    arms = results.read_all(directories)
    config = sweep.config_of(next(iter(recipes.values())), options)
    reals = run.load_data(config.data, f'test[:{config.evaluation.samples}]')

    values = {}
    for arm, runs in arms.items():
        best = [best_evaluation(one) for one in runs]
        values[arm] = {
            'fid': [one.final('fid') for one in runs],
            'best fid': [one.best('fid') for one in runs],
            'best at kimg': [record['kimg'] if record else math.nan for record in best],
            **{metric: [one.final(metric) for one in runs] for metric in METRICS[1:]},
        }
    values['real images'] = {metric: [value] for metric, value in evaluate(config, reals).items()}

    out = options.out
    report.save_png(out / 'real.png', sampling.picture(reals.examples[: config.samples].astype(np.float32) / 127.5 - 1))
    pictures = {'real images': out / 'real.png'}
    for arm, runs in arms.items():
        for name, grid in best_and_final_grid(runs[0]).items():
            path = out / f'{name}-{sweep.slug(arm)}.png'
            files.replace(path, grid.read_bytes())
            pictures[f'{arm}: seed 0 at step {int(grid.stem)}, the {name} one'] = path
    results.publish(
        out,
        'DCGAN on CIFAR-10',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=results.protocols(arms),
        facts={'real images': reals.split},
        pictures=pictures,
        of_samples=None,
    )


def best_evaluation(one: results.Finished) -> dict[str, float] | None:
    """The record of a run's smallest FID; None if it has none."""
    judged = [record for record in one.records if record.get('eval/fid') is not None]
    return min(judged, key=lambda record: record['eval/fid'], default=None)


def best_and_final_grid(one: results.Finished) -> dict[str, pathlib.Path]:
    """A run's pictures of samples that it has: the 'best', nearest to its smallest FID, and the 'final' one."""
    grids = sorted((one.workdir / 'samples').glob('*.png'))
    best = best_evaluation(one)
    found = {'best': min(grids, key=lambda path: abs(int(path.stem) - best['step']))} if best and grids else {}
    return found | ({'final': grids[-1]} if grids else {})


def evaluate(config: ConfigDict, reals: data.Dataset) -> dict[str, float]:
    """The metrics of real images that were not trained on, taken for generated ones: what a perfect generator gets."""
    options = config.evaluation
    against = run.load_data(config.data, options.split)
    labelled = reals.labels is not None
    extractor = choose_extractor(config.evaluate, options.extractor, reals.name, reals.shape, labelled=labelled)
    layout = parallel.make_layout(config.batch_size, num_devices=1)
    evaluator = Evaluator(config.evaluate, extractor, against, layout, config.data.cache)
    return {record.metric: record.value for record in evaluator.evaluate(reals).records}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('dcgan_cifar10', __doc__, argv, settings=tuple(SETTINGS))
    parallel.enable_compilation_cache()
    return exit_code(lambda: watch(options))


if __name__ == '__main__':
    sys.exit(main())
