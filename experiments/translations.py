"""What trained translators make of the inputs of held-out examples, and the results of experiments on it."""

import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from experiments import results
from experiments.results import Finished, Values
from experiments.sweep import Options
from gan_jax.data import Dataset, to_float, to_uint8
from gan_jax.evaluation.record import Estimate
from gan_jax.records import report
from gan_jax.runtime import checkpoint
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.trained import load_run
from gan_jax.training.datasets import load_data

SEED = 1_000_000  # of the noise: not that of a training
SHOWN = 8  # examples in the picture
Made = list[np.ndarray | None]  # the translations of each seed; None: it diverged before its first checkpoint


def held_out(config: ConfigDict, number: int) -> Dataset:
    """The first pairs on which a config's runs are evaluated, at most `number`."""
    pairs = load_data(config.data, config.evaluation.split)
    return pairs.select(np.arange(min(number, len(pairs))), pairs.name)


def tabulated(measured: Mapping[str, Sequence[Mapping[str, Estimate] | None]], columns: Mapping[str, str]) -> Values:
    """The values of every row and seed by column.

    Args:
        measured: the metrics of each seed, by the name of the row; None for a seed without translations, whose values
            are NaN.
        columns: {name of the metric: name of the column}; a column has no values of seeds without the metric.
    """

    def values(seeds: Sequence[Mapping[str, Estimate] | None], metric: str) -> list[float]:
        return [math.nan if one is None else one[metric].value for one in seeds if one is None or metric in one]

    return {
        row: {column: values(seeds, metric) for metric, column in columns.items()} for row, seeds in measured.items()
    }


def protocols(pairs: Dataset, rules: Mapping[str, str]) -> dict[str, str]:
    """How each column was measured, from its rule and the pairs."""
    return {column: f'{len(pairs)} of {pairs.name} {pairs.split}; {rule}' for column, rule in rules.items()}


def of_arms(directories: Mapping[str, Sequence[pathlib.Path]], inputs: np.ndarray) -> dict[str, Made]:
    """The translations of each arm, by seed.

    Args:
        directories: the directories of each arm's runs, as `sweep.train` returns them.
        inputs: as for `of_run`.
    """
    return {arm: [of_run(workdir, inputs) for workdir in workdirs] for arm, workdirs in directories.items()}


def first_of_each(made: Mapping[str, Made]) -> dict[str, np.ndarray]:
    """The translations of each arm's first seed that has some, without arms of which none has."""
    found = {arm: next((images for images in seeds if images is not None), None) for arm, seeds in made.items()}
    return {arm: images for arm, images in found.items() if images is not None}


def of_run(workdir: pathlib.Path, inputs: np.ndarray, seed: int = SEED) -> np.ndarray | None:
    """What the last checkpoint of a run's directory makes of inputs, uint8 [n, H, W, D].

    Args:
        workdir: directory of the run; None is returned where it diverged before its first checkpoint.
        inputs: uint8 [n, H, W, 1]; a run on colours is given them as grey colours.
        seed: seed of the noise.
    """
    if checkpoint.peek(workdir / 'checkpoints') is None:
        return None
    made = load_run(workdir)
    images = in_channels(inputs, made.shapes[made.game.given][-1])
    noise = sampling.fixed_latents(made.game, len(images), seed)
    return np.asarray(to_uint8(sampling.generate(made.game, made.generator, noise, to_float(images))))


def in_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Grey images [n, H, W, 1] with that many equal channels."""
    return np.broadcast_to(images, (*images.shape[:3], channels))


def draw(path: pathlib.Path, columns: Mapping[str, np.ndarray]) -> str:
    """Draws the first examples, a row for each.

    Args:
        path: path of the PNG file.
        columns: {title: uint8 [n, H, W, C]}, such as inputs, outputs and targets.

    Returns:
        The caption of the picture.
    """
    rows = np.stack([np.asarray(images[:SHOWN]) for images in columns.values()], axis=1)
    report.save_png(path, report.image_grid(rows.reshape(-1, *rows.shape[2:]), len(columns)))
    return f'held-out examples, from left to right: {", ".join(columns)}'


def publish(
    options: Options,
    title: str,
    question: str,
    values: Values,
    arms: Mapping[str, Sequence[Finished]],
    names: Mapping[str, str],
    shown: Mapping[str, np.ndarray],
    protocols: Mapping[str, str],
    *,
    columns: int = 2,
) -> None:
    """Writes table, record, curves, `translations.png` and the page of an experiment, and prints the table.

    Args:
        options: of the command line; their `out` is the directory.
        title: title of the experiment.
        question: what it asks, in plain text.
        values: values of every row and seed.
        arms: the runs.
        names: {name of the metric: title of its curves}.
        shown: columns of the picture, as for `draw`.
        protocols: {column of the table: how it was measured}.
        columns: number of panels of curves side by side.
    """
    picture = options.out / 'translations.png'
    results.publish(
        options.out,
        title,
        question,
        values,
        arms,
        names,
        protocols=protocols,
        pictures={draw(picture, shown): picture},
        of_samples=None,
        columns=columns,
    )
