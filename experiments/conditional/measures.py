"""Measures whether samples have the requested classes, and how the classes lie in the latent space."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from experiments.classes import Shown
from experiments.results import save_figure
from gan_jax.records import report


class Probe(NamedTuple):
    """The accuracy of a linear classifier of latents.

    Attributes:
        accuracy: on latents that it was not fitted to.
        guess: the share of the commonest class among these.
    """

    accuracy: float
    guess: float


def probe(latents: np.ndarray, labels: np.ndarray) -> Probe:
    """A logistic regression from latents [n, d] to labels [n], fitted on the first four fifths, tested on the rest."""
    split = len(labels) * 4 // 5
    held_out = labels[split:]
    guess = float(np.bincount(held_out).max() / len(held_out))
    if len(np.unique(labels[:split])) == 1:
        return Probe(float((held_out == labels[0]).mean()), guess)
    fitted = LogisticRegression(max_iter=300).fit(latents[:split], labels[:split])
    return Probe(float(fitted.score(latents[split:], held_out)), guess)


def recognised(samples: Shown) -> float:
    """The share of samples in which the requested class is recognised; NaN for an unconditional generator."""
    return math.nan if samples.asked is None else float((samples.asked == samples.shown).mean())


def confusion(true: np.ndarray, seen: np.ndarray, count: int) -> np.ndarray:
    """[count, count]: the share of the examples of each true class (row) that are seen as each class (column)."""
    pairs = np.bincount(true * count + seen, minlength=count**2).reshape(count, count)
    return pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1)


def draw_confusions(path: pathlib.Path, tables: Mapping[str, Sequence[np.ndarray]], names: Sequence[str]) -> None:
    """Draws the mean of each arm's tables side by side, as a PNG file."""
    figure = report.new_figure(4.2 * len(tables) + 0.8, 5.6)
    figure.set_layout_engine('constrained')
    all_axes = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (arm, some) in zip(all_axes, tables.items(), strict=True):
        mean = np.mean(some, axis=0)
        axes.imshow(mean, cmap='Blues', vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(mean):
            if share >= 0.01:
                color = 'white' if share > 0.5 else '0.3'
                axes.text(column, row, f'{100 * share:.0f}', ha='center', va='center', fontsize=7, color=color)
        axes.set_title(f'{arm}: {np.trace(mean) / len(mean):.1%} on the diagonal', loc='left', fontsize=10)
        axes.set_xticks(range(len(names)), names, rotation=60, ha='right', fontsize=8)
        axes.set_yticks(range(len(names)), names if axes is all_axes[0] else [''] * len(names), fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_color('0.8')
    save_figure(path, figure)
