"""What does a GAN gain by being told the class? A DCGAN without labels, and with them in two ways; see README.md.

python -m experiments.conditional
"""

import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from experiments import classes, results, sweep
from experiments.conditional import measures
from gan_jax import files, parallel
from gan_jax.errors import exit_code
from gan_jax.evaluation.modes import label_modes

QUESTION = (
    'What does a DCGAN gain by being told the class? Does it make what it is asked for, are its images better or more '
    'varied, and where do the classes lie in the latent space of one that is told nothing?'
)
SMALL = {
    'generator.width': '32',
    'discriminator.width': '32',
    'duration': '1500 steps',
    'samples': '100',
    'sample_every': '500 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '250 steps',
    'evaluation.samples': '5000',
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
PROJECTION = {'generator.conditioning': 'normalization', 'discriminator.conditioning': 'projection'}
ARMS = {
    'unconditional': sweep.Arm('configs/dcgan.py:fashion_mnist', SMALL | PLAIN),
    'concatenation': sweep.Arm('configs/cgan.py:fashion_mnist', SMALL | TOLD),
    'projection': sweep.Arm('configs/cgan.py:fashion_mnist', SMALL | TOLD | PROJECTION),
}
FULL = {
    'unconditional': sweep.Arm('configs/dcgan.py:fashion_mnist', WHOLE | PLAIN),
    'concatenation': sweep.Arm('configs/cgan.py:fashion_mnist', WHOLE | TOLD),
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
    directories = sweep.train(FULL if options.full else ARMS, options)
    arms = {arm: [results.read(workdir) for workdir in workdirs] for arm, workdirs in directories.items()}
    seen = {
        arm: [classes.of_samples(workdir, samples) for workdir in workdirs] for arm, workdirs in directories.items()
    }
    reals = classes.of_reals(directories['unconditional'][0], 'test')
    count = 1 + max(int(labels.max()) for labels in (*reals, *(run.shown for runs in seen.values() for run in runs)))

    values = results.final_and_best(arms, ['fid'])
    for arm, columns in values.items():
        for metric in ('precision', 'recall', 'intra_fid'):
            columns[metric] = [run.final(metric) for run in arms[arm]]
        columns['asked class recognised'] = [measures.recognised(run) for run in seen[arm]]
        frequencies = np.bincount(reals[0], minlength=count)
        columns['KL of classes'] = [label_modes(run.shown, count, frequencies).reverse_kl for run in seen[arm]]
        probes = [measures.probe(run.latents, run.shown) for run in seen[arm]]
        columns['class read from z'] = [probe.accuracy for probe in probes]
        columns['by guessing'] = [probe.guess for probe in probes]

    told = {arm: runs for arm, runs in seen.items() if runs[0].asked is not None}
    confusions = {'real test images': [measures.confusion(*reals, count)]}
    confusions |= {arm: [measures.confusion(run.asked, run.shown, count) for run in runs] for arm, runs in told.items()}
    names = measures.class_names(options.overrides.get('data.name', 'fashion_mnist'), count)
    by_class = {
        name: {arm: [table[i, i] for table in tables] for arm, tables in confusions.items()}
        for i, name in enumerate(names)
    }
    protocols = results.protocols(arms)
    extractor = protocols['fid'].split(';')[0]
    protocols['asked class recognised'] = f'share of {samples} samples, as many of each class; {extractor}'
    protocols['KL of classes'] = f'of the classes in {samples} samples from those in the test set, in nats; {extractor}'
    protocols['class read from z'] = (
        f'accuracy of a logistic regression from z to the class that the classifier sees in G(z): fitted on '
        f'{samples * 4 // 5} latents, tested on the other {samples - samples * 4 // 5}; by guessing: the share of the '
        f'commonest class among these; {extractor}'
    )

    out, title = options.out, 'Conditional against unconditional'
    facts = {'seeds': options.seeds, 'protocols': protocols, 'recognised by class': by_class}
    results.write(out, title, values, facts)
    files.replace(out / 'classes.md', results.markdown(results.table(by_class, 'class')).encode())
    results.curves(out / 'curves.png', arms, CURVES)
    measures.draw_confusions(out / 'confusion.png', confusions, names)
    pictures = {
        'curves, thin lines are seeds': out / 'curves.png',
        'asked class (rows) and the class that the classifier sees (columns), mean over the seeds': out
        / 'confusion.png',
        **_copied(directories, 'samples', 'samples of seed 0', out),
        **_copied({arm: directories[arm] for arm in told}, 'interpolation', 'from each class to the next', out),
    }
    results.page(
        out / 'page.html', title, QUESTION, values, arms=arms, names=CURVES, pictures=pictures, protocols=protocols
    )
    print((out / 'table.md').read_text())


def _copied(
    directories: dict[str, list[pathlib.Path]], name: str, caption: str, out: pathlib.Path
) -> dict[str, pathlib.Path]:
    """{caption: file} of the first seeds' pictures of a name, copied to the results."""
    copies = {}
    for arm, (first, *_) in directories.items():
        copies[f'{arm}: {caption}'] = path = out / f'{name}-{sweep.slug(arm)}.png'
        files.replace(path, (first / f'{name}.png').read_bytes())
    return copies


def main(argv: Sequence[str] | None = None, *, samples: int = SAMPLES) -> int:
    """Runs a command line, and looks at `samples` samples of each run; returns the exit code."""
    options = sweep.parse('conditional', __doc__, argv)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options, samples))


if __name__ == '__main__':
    sys.exit(main())
