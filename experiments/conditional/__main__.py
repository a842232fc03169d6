"""What does class conditioning improve? A DCGAN without labels, and with three kinds of conditioning; see README.md.

python -m experiments.conditional
"""

import math
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from experiments import classes, results, sweep
from experiments.conditional import measures
from gan_jax.errors import exit_code
from gan_jax.evaluation.modes import label_modes
from gan_jax.records import files
from gan_jax.runtime import parallel
from gan_jax.training.run import load_data

QUESTION = (
    'What does class conditioning improve in a DCGAN? Does it generate the requested class? Are its images better or '
    'more diverse? Where are the classes in the latent space of an unconditional DCGAN?'
)
SMALL = {
    'generator.width': '32',
    'discriminator.width': '32',
    'duration': '1500 steps',
    'samples': '100',
    'sample_every': '500 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '250 steps',
    'evaluation.samples': '10000',
    'evaluation.split': 'test',
    'evaluation.extractor': 'classifier',
}
WHOLE = {
    'duration': '3000 kimg',
    'samples': '100',
    'sample_every': '150 kimg',
    'checkpoint_every': '150 kimg',
    'evaluate_every': '150 kimg',
    'evaluation.extractor': 'classifier',
}
PLAIN = {'evaluate': 'fid,precision_recall'}
TOLD = {'evaluate': 'fid,precision_recall,intra_fid'}
EMBEDDING = {'discriminator.conditioning': 'concatenate', 'discriminator.embedding_size': '50'}
PROJECTION = {'generator.conditioning': 'normalization', 'discriminator.conditioning': 'projection'}
ARMS = {
    'unconditional': sweep.Arm('configs/dcgan.py:fashion_mnist', SMALL | PLAIN),
    'concatenation': sweep.Arm('configs/cgan.py:fashion_mnist', SMALL | TOLD),
    'embedding on the features': sweep.Arm('configs/cgan.py:fashion_mnist', SMALL | TOLD | EMBEDDING),
    'projection': sweep.Arm('configs/cgan.py:fashion_mnist', SMALL | TOLD | PROJECTION),
}
FULL = {
    'unconditional': sweep.Arm('configs/dcgan.py:fashion_mnist', WHOLE | PLAIN),
    'concatenation': sweep.Arm('configs/cgan.py:fashion_mnist', WHOLE | TOLD),
    'embedding on the features': sweep.Arm('configs/cgan.py:fashion_mnist', WHOLE | TOLD | EMBEDDING),
    'projection': sweep.Arm('configs/cgan.py:fashion_mnist', WHOLE | TOLD | PROJECTION),
    'projection, SNGAN': sweep.Arm('configs/projection.py:fashion_mnist', WHOLE | TOLD),
}
SAMPLES = 10_000
CURVES = {
    'eval/fid': 'FID',
    'eval/intra_fid': 'FID within classes',
    'eval/precision': 'Precision',
    'eval/recall': 'Recall',
}


def compare(options: sweep.Options, samples: int) -> None:
    """Trains the arms and writes the results."""
    recipes = FULL if options.full else ARMS
    config = sweep.config_of(recipes['unconditional'], options)
    directories = sweep.train(recipes, options)
    arms = results.read_all(directories)
    seen = {
        arm: [classes.of_samples(workdir, samples) for workdir in workdirs] for arm, workdirs in directories.items()
    }
    reals = classes.of_reals(config, 'test')
    shown = [one.shown for seeds in seen.values() for one in seeds if one]
    count = 1 + max(int(labels.max()) for labels in (*reals, *shown))

    values = results.final_and_best(arms, ['fid'])
    for arm, columns in values.items():
        for metric in ('precision', 'recall', 'intra_fid'):
            columns[metric] = [run.final(metric) for run in arms[arm]]
        values[arm] |= columns_of_classes(seen[arm], np.bincount(reals[0], minlength=count))

    asked = {arm: [one for one in seeds if one and one.asked is not None] for arm, seeds in seen.items()}
    told = {arm: seeds for arm, seeds in asked.items() if seeds}
    confusions = {'real test images': [measures.confusion(*reals, count)]}
    confusions |= {
        arm: [measures.confusion(one.asked, one.shown, count) for one in seeds] for arm, seeds in told.items()
    }
    names = load_data(config.data).class_names or tuple(map(str, range(count)))
    by_class = {
        name: {arm: [table[i, i] for table in tables] for arm, tables in confusions.items()}
        for i, name in enumerate(names)
    }
    protocols = results.protocols(arms)
    extractor = results.extractor(protocols, config)
    protocols['asked class recognised'] = f'share of {samples} samples, as many of each class; {extractor}'
    protocols['KL of classes'] = f'of the classes in {samples} samples from those in the test set, in nats; {extractor}'
    protocols['class read from z'] = (
        f'accuracy of a logistic regression from z to the class that the classifier sees in G(z): fitted on '
        f'{samples * 4 // 5} latents, tested on the other {samples - samples * 4 // 5}; by guessing: the share of the '
        f'commonest class among these; {extractor}'
    )

    out = options.out
    files.replace(out / 'classes.md', results.markdown(results.table(by_class, 'class')).encode())
    confusion = out / 'confusion.png'
    measures.draw_confusions(confusion, confusions, names)
    pictures = {
        'asked class (rows) and the class that the classifier sees (columns), mean over the seeds': confusion,
        **_copied(arms, 'samples', 'samples of the first seed that left some', out),
        **_copied({arm: arms[arm] for arm in told}, 'interpolation', 'from each class to the next', out),
    }
    results.publish(
        out,
        'Conditional against unconditional',
        QUESTION,
        values,
        arms,
        CURVES,
        protocols=protocols,
        facts={'recognised by class': by_class},
        pictures=pictures,
        of_samples=None,
    )


def columns_of_classes(seeds: Sequence[classes.Shown | None], frequencies: np.ndarray) -> dict[str, list[float]]:
    """What each seed's samples say of classes, whose `frequencies` in the data are given."""

    def divergence(one: classes.Shown) -> float:
        return label_modes(one.shown, len(frequencies), frequencies).reverse_kl

    probes = [measures.probe(one.latents, one.shown) if one else measures.Probe(math.nan, math.nan) for one in seeds]
    return {
        'asked class recognised': classes.of_each(measures.recognised, seeds),
        'KL of classes': classes.of_each(divergence, seeds),
        'class read from z': [probe.accuracy for probe in probes],
        'by guessing': [probe.guess for probe in probes],
    }


def _copied(
    arms: dict[str, list[results.Finished]], name: str, caption: str, out: pathlib.Path
) -> dict[str, pathlib.Path]:
    """{caption: file} of each arm's picture of a name."""
    copies = results.copy_pictures(arms, f'{name}.png', out, f'{name}-{{}}.png')
    return {f'{arm}: {caption}': path for arm, path in copies.items()}


def main(argv: Sequence[str] | None = None, *, samples: int = SAMPLES) -> int:
    """Runs a command line, and looks at `samples` samples of each run; returns the exit code."""
    options = sweep.parse('conditional', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, samples))


if __name__ == '__main__':
    sys.exit(main())
