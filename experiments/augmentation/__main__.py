"""Do the images of a GAN help a classifier that has few labelled images? See README.md.

python -m experiments.augmentation                            # the embedded digits
python -m experiments.augmentation --setting fashion_mnist
"""

import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments import results, sweep
from experiments.augmentation.generation import generated
from experiments.semi_supervised.training import draw_labels
from experiments.sweep import Arm, Options
from gan_jax.config import json_values
from gan_jax.data import Dataset
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation.classification_accuracy import classification_accuracy_score
from gan_jax.evaluation.features.classifier_training import Recipe, find_recipe
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.training.datasets import load_data

QUESTION = (
    'A classifier gets 10, 50 or 100 labelled images a class. A conditional GAN gets the same images and nothing '
    'else. How well does the classifier learn from the real images, from generated ones, and from both, in as many '
    'steps?'
)
BUDGETS = (10, 50, 100)  # labelled images of each class
REAL, GENERATED, BOTH, CEILING = 'real', 'generated (CAS)', 'real + generated', 'as many different real images'


class Setting(NamedTuple):
    """What is compared on.

    Attributes:
        gan: recipe of the GAN.
        number: number of images in an epoch of every classifier.
        recipe: recipe of the classifiers.
    """

    gan: Arm
    number: int
    recipe: Recipe


FEW = {
    'augment.name': 'diffaugment',
    'augment.policy': "('translation', 'cutout')",
    'data.split': 'train',
    'log_every': '100 steps',
}
SMALL = FEW | {'generator.width': '32', 'discriminator.width': '32'}
SETTINGS = {
    'digits': Setting(
        Arm('configs/cgan.py', SMALL | {'duration': '1000 steps'}), 1500, find_recipe('digits')._replace(epochs=20)
    ),
    'fashion_mnist': Setting(
        Arm('configs/cgan.py:fashion_mnist', SMALL | {'duration': '2000 steps'}), 4000, find_recipe('fashion_mnist')
    ),
}
FULL = {
    'digits': Setting(Arm('configs/cgan.py', FEW | {'duration': '10000 steps'}), 1500, find_recipe('digits')),
    'fashion_mnist': Setting(
        Arm('configs/cgan.py:fashion_mnist', FEW | {'duration': '20000 steps'}),
        50_000,
        find_recipe('fashion_mnist', full=True),
    ),
}
Labelled = tuple[np.ndarray, np.ndarray]  # images uint8 [n, H, W, C] and their classes int [n]


def training_sets(few: Labelled, made: Labelled, number: int) -> dict[str, Labelled]:
    """The training images of each arm, `number` each: equally many make equally many steps.

    Few images are repeated. Of the last arm's images one half is real, the other generated.

    Args:
        few: real images.
        made: at least `number` generated ones.
        number: even.
    """

    def repeated(some: Labelled, count: int) -> Labelled:
        chosen = np.resize(np.arange(len(some[1])), count)
        return some[0][chosen], some[1][chosen]

    halves = repeated(few, number // 2), repeated(made, number - number // 2)
    both = tuple(np.concatenate(parts) for parts in zip(*halves, strict=True))
    return {REAL: repeated(few, number), GENERATED: repeated(made, number), BOTH: both}


def kept(path: pathlib.Path, name: str, compute: Callable[[], float]) -> float:
    """A number by name in a JSON file, computed only if it is not there yet."""
    known = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = compute()
        files.replace(path, (json.dumps(known, indent=1) + '\n').encode())
        print(f'{name}: {known[name]:.4f}', flush=True)
    return known[name]


def check_recipe(runs: pathlib.Path, recipe: Mapping[str, Any]) -> None:
    """Keeps the recipe of all samples and scores in a directory, or compares it with the one that is kept there.

    Raises:
        UserError: the directory has samples and scores of another recipe.
    """
    path, recipe = runs / 'recipe.json', json.loads(json.dumps(recipe))
    if path.exists() and json.loads(path.read_text()) != recipe:
        raise UserError(f'{runs} has samples and scores of another recipe: choose another --runs.')
    files.replace(path, (json.dumps(recipe, indent=1) + '\n').encode())


def compare(options: Options) -> None:
    """Trains GANs and classifiers, or what of them is not done yet, and writes the results."""
    setting = (FULL if options.full else SETTINGS)[options.setting]
    config = sweep.config_of(setting.gan, options._replace(seeds=1))
    train, test = (load_data(config.data, split) for split in ('train', 'test'))
    number = min(setting.number, len(train))
    recipe = {'gan': json_values.to_json(config), 'classifier': setting.recipe._asdict(), 'images': number}
    check_recipe(options.runs, recipe)
    values = {arm: {f'{budget} a class': [] for budget in BUDGETS} for arm in (REAL, GENERATED, BOTH, CEILING)}
    pictures = {}
    for seed in range(options.seeds):

        def score(name: str, images: np.ndarray, labels: np.ndarray, seed: int = seed) -> float:
            def trained() -> float:
                real = test.examples, test.labels, test.num_classes
                return classification_accuracy_score(images, labels, *real, recipe=setting.recipe, seed=seed).value

            return kept(options.runs / f'scores-{seed}.json', name, trained)

        order = np.random.default_rng(seed).permutation(len(train))[:number]
        best = score(CEILING, train.examples[order], train.labels[order])
        for budget in BUDGETS:
            title, few = f'{budget} a class', few_of(train, budget, seed)
            made = generated(config, few, seed, number, options.runs / f'samples-{budget}-{seed}.npz')
            for arm, labelled in training_sets((few.examples, few.labels), made, number).items():
                values[arm][title].append(score(f'{title}, {arm}', *labelled))
            values[CEILING][title].append(best)
            if seed == 0:
                pictures[f'{title}: real above generated, first seed'] = path = options.out / f'samples-{budget}.png'
                draw_pairs(path, few, made)
    write(options, setting, values, pictures, number, len(test))


def few_of(train: Dataset, budget: int, seed: int) -> Dataset:
    """`budget` images of each class, drawn with a seed."""
    return train.select(draw_labels(np.asarray(train.labels), budget, seed), f'{train.name}, {budget} a class')


def draw_pairs(path: pathlib.Path, few: Dataset, made: Labelled) -> None:
    """Draws five real and, below, five generated images of each class, a class in a column."""
    rows = [
        np.stack([images[labels == label][i] for label in range(few.num_classes)])
        for images, labels in ((few.examples, few.labels), made)
        for i in range(5)
    ]
    report.save_png(path, report.image_grid(np.concatenate(rows), few.num_classes))


def draw_budgets(path: pathlib.Path, values: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draws the mean accuracy of each arm over the budgets, with a point for each seed."""
    figure = report.new_figure(6, 4)
    axes = figure.subplots()
    for i, (arm, columns) in enumerate(values.items()):
        axes.plot(BUDGETS, [np.mean(seeds) for seeds in columns.values()], color=f'C{i}', label=arm)
        for budget, seeds in zip(BUDGETS, columns.values(), strict=True):
            axes.plot([budget] * len(seeds), seeds, '.', color=f'C{i}')
    axes.set_xscale('log')
    axes.set_xticks(BUDGETS, map(str, BUDGETS))
    axes.set_xlabel('labelled images of each class')
    axes.set_ylabel('accuracy on test images')
    axes.legend(frameon=False, fontsize=8)
    results.save_figure(path, figure)


def write(
    options: Options,
    setting: Setting,
    values: Mapping[str, Mapping[str, Sequence[float]]],
    pictures: Mapping[str, pathlib.Path],
    number: int,
    tested: int,
) -> None:
    """Writes table, record, pictures and page."""
    recipe = ', '.join(f'{name} {value}' for name, value in setting.recipe._asdict().items())
    protocols = {
        'accuracy': f'of a classifier after its last epoch, on {tested} test images; {number} images an epoch in every '
        f'arm; {recipe}',
        'GAN': 'conditional, trained on the labelled images of the budget and nothing else',
    }
    out, title = options.out, f'A classifier with few labels of {options.setting}, and a GAN with the same'
    results.write(out, title, values, {'seeds': options.seeds, 'protocols': protocols})
    draw_budgets(out / 'budgets.png', values)
    pictures = {'accuracy over the budget': out / 'budgets.png', **pictures}
    results.page(out / 'page.html', title, QUESTION, values, pictures=pictures, protocols=protocols)
    print((out / 'table.md').read_text())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    options = sweep.parse('augmentation', __doc__, argv, settings=tuple(SETTINGS))
    parallel.enable_compilation_cache()
    return exit_code(lambda: compare(options))


if __name__ == '__main__':
    sys.exit(main())
