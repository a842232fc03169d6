"""Which unpaired translators keep the digit, and which make several colours of one input? See README.md.

python -m experiments.multimodal              # three arms, three seeds
python -m experiments.multimodal --arms MUNIT CycleGAN
python -m experiments.multimodal --full       # the published widths, at 64x64, for a GPU
python -m experiments.multimodal --seeds 1 --config.duration='20 steps' --out /tmp/results --runs /tmp/runs
"""

import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from experiments import results, sweep, translations
from experiments.results import Finished
from experiments.sweep import Arm, Options
from gan_jax.data import Dataset
from gan_jax.data.coloured import in_any_colour
from gan_jax.errors import exit_code
from gan_jax.evaluate import evaluate
from gan_jax.evaluation.features.extractor import Extractor, look
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.translated import INPUTS, PAIRS, class_accuracy, pixel_distance
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

Draw = Callable[[int], np.ndarray]  # seed -> translations of the inputs, uint8 [n, H, W, 3]

TITLE = 'Grey digits in colours, without pairs'
QUESTION = (
    'Grey digits are translated into coloured ones without pairs. A digit can have any colour, so one input has many '
    'right outputs. Do MUNIT, UNIT and CycleGAN keep the digit? How different are several outputs for one input? How '
    'good are outputs that need no training?'
)
DATA = 'unpaired:digits,coloured:digits'
MUNIT = 'MUNIT'
RECIPES = {MUNIT: 'configs/munit.py', 'UNIT': 'configs/unit.py', 'CycleGAN': 'configs/cyclegan.py'}
MEASURED = {
    'evaluate': 'content_accuracy,fid',
    'evaluation.split': 'test',
    'evaluation.samples': '297',
    'evaluation.extractor': 'classifier:coloured:digits',
}
SEVERAL = {MUNIT: {'evaluate': 'content_accuracy,fid,diversity'}}  # the others make one output for an input
SMALL = {
    'data.name': DATA,
    'data.size': '16',
    'batch_size': '16',
    'duration': '3000 steps',
    'sample_every': '500 steps',
    'checkpoint_every': '500 steps',
    'evaluate_every': '500 steps',
}
WHOLE = {'data.flip': 'False', 'data.size': '64', 'duration': '200 kimg', 'evaluate_every': '10000 steps'}
ARMS = {name: Arm(recipe, MEASURED | SMALL | SEVERAL.get(name, {})) for name, recipe in RECIPES.items()}
FULL = {name: Arm(f'{recipe}:{DATA}', MEASURED | WHOLE | SEVERAL.get(name, {})) for name, recipe in RECIPES.items()}
COPIED, COLOURED, TRAINING = 'input copied', 'coloured as the data', 'training images'  # without training
COLUMNS = {'content_accuracy': 'content accuracy', 'fid': 'FID', 'diversity': 'diversity'}
CURVES = {f'eval/{metric}': column for metric, column in COLUMNS.items()}
STYLES = 3  # of MUNIT in the picture


def compare(options: Options) -> None:
    """Trains the arms and writes the results."""
    arms = FULL if options.full else ARMS
    config = sweep.config_of(next(iter(arms.values())), options)
    known, real = load_data(config.data), load_data(config.data, config.evaluation.split)
    extractor = find_extractor(config.evaluation.extractor, real.name, real.shape)
    directories = sweep.train(arms, options)
    runs = results.read_all(directories)
    grey = real.groups['a']
    inputs, classes = (np.asarray(array[: config.evaluation.samples]) for array in (grey.examples, grey.labels))
    draws = baselines(inputs, np.asarray(known.examples))
    values = {arm: finals(arm, some) for arm, some in runs.items()}
    values |= {name: measure(draw, classes, real, extractor) for name, draw in draws.items()}

    measured = results.protocols(runs)
    protocols = {column: measured[metric] for metric, column in COLUMNS.items() if metric in measured}
    shown = {'input': draws[COPIED](0), **translated(directories, inputs[: translations.SHOWN])}
    shown |= {name: draws[name](0) for name in (COLOURED, TRAINING)}
    translations.publish(options, TITLE, QUESTION, values, runs, CURVES, shown, protocols, columns=3)


def finals(arm: str, runs: Sequence[Finished]) -> dict[str, list[float]]:
    """The metrics of an arm's runs at their last step; the diversity of a translator without styles is 0."""
    values = {column: [run.final(metric) for run in runs] for metric, column in COLUMNS.items()}
    return values if arm in SEVERAL else values | {COLUMNS['diversity']: [0.0] * len(runs)}


def baselines(inputs: np.ndarray, known: np.ndarray) -> dict[str, Draw]:
    """How translations of inputs uint8 [n, H, W, 1] are drawn without training, from the training images `known`."""

    def of_training(seed: int) -> np.ndarray:
        return known[np.random.default_rng(seed).integers(len(known), size=len(inputs))]

    return {
        COPIED: lambda seed: translations.in_channels(inputs, known.shape[-1]),
        COLOURED: lambda seed: in_any_colour(inputs, f'experiment {seed}'),  # another seed than that of the data
        TRAINING: of_training,
    }


def measure(draw: Draw, classes: np.ndarray, real: Dataset, extractor: Extractor) -> dict[str, list[float]]:
    """The metrics of translations without training, as the runs have them."""
    images = draw(0)
    logits = np.asarray(look(extractor, jnp.asarray(images)).logits)
    pairs = [pixel_distance(draw(i)[:INPUTS], draw(PAIRS + i)[:INPUTS]) for i in range(PAIRS)]
    return {
        COLUMNS['content_accuracy']: [class_accuracy(logits, classes, 'input').value],
        COLUMNS['fid']: [record.value for record in evaluate(images, real, 'fid', extractor=extractor).records],
        COLUMNS['diversity']: [float(np.mean(pairs))],
    }


def translated(directories: Mapping[str, Sequence[pathlib.Path]], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of the picture: what the first seed of each arm makes of inputs, MUNIT with several styles."""
    columns = {}
    for arm, (workdir, *_) in directories.items():
        for i in range(STYLES if arm in SEVERAL else 1):
            images = translations.of_run(workdir, inputs, translations.SEED + i)
            if images is not None:
                columns[f'{arm}, style {i + 1}' if arm in SEVERAL else arm] = images
    return columns


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('multimodal', __doc__, argv, some_arms=True)
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options))


if __name__ == '__main__':
    sys.exit(main())
