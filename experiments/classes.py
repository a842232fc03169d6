"""The classes of a run's samples, according to a classifier of its data."""

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax.data import to_uint8
from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.store import compile_extractor
from gan_jax.runtime import checkpoint
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.trained import load_run
from gan_jax.training import run

SEED = 1_000_000  # of the latents: not that of a training


class Shown(NamedTuple):
    """Samples of a run.

    Attributes:
        latents: float32 [n, d].
        asked: int32 [n], the requested classes, equally many of each; None for an unconditional generator.
        shown: int64 [n], the class predicted by the classifier.
        images: uint8 [n, H, W, C].
    """

    latents: np.ndarray
    asked: np.ndarray | None
    shown: np.ndarray
    images: np.ndarray


def of_samples(workdir: pathlib.Path, number: int) -> Shown | None:
    """Samples of the last checkpoint of a run's directory; None if the run diverged before its first checkpoint.

    Raises:
        UserError: as `find_classifier`, or the extractor does not classify.
    """
    if checkpoint.peek(workdir / 'checkpoints') is None:
        return None
    made = load_run(workdir)
    latents = sampling.fixed_latents(made.game, number, SEED)
    asked = np.arange(number, dtype=np.int32) % made.num_classes if made.is_conditional else None
    examples = sampling.generate(made.game, made.generator, latents, asked, batch_size=250)
    images = np.asarray(to_uint8(examples))
    return Shown(np.asarray(latents), asked, classify(find_classifier(made.config, made.shape), images), images)


def of_each(measure: Callable[[Shown], float], seeds: Sequence[Shown | None]) -> list[float]:
    """A measure of each seed's samples; NaN for a seed without samples."""
    return [math.nan if shown is None else float(measure(shown)) for shown in seeds]


def of_reals(config: ConfigDict, split: str) -> tuple[np.ndarray, np.ndarray]:
    """True classes [n] of a split of a config's data, and those that the classifier sees."""
    reals = run.load_data(config.data, split)
    return np.asarray(reals.labels), classify(find_classifier(config, reals.shape), np.asarray(reals.examples))


def find_classifier(config: ConfigDict, shape: tuple[int, ...]) -> Extractor:
    """The classifier of a config's data: the extractor of its evaluation, or the data's own in the place of Inception.

    The classes of Inception are those of ImageNet.

    Args:
        config: the config.
        shape: (H, W, C) of the images.

    Raises:
        UserError: the extractor or the classifier is not on this machine.
    """
    found = find_extractor(config.evaluation.extractor, config.data.name, shape)
    return find_extractor('classifier', config.data.name, shape) if found.name.startswith('inception') else found


def classify(extractor: Extractor, images: np.ndarray) -> np.ndarray:
    """The class int64 [n] with the largest logit of each of the images uint8 [n, H, W, C]."""
    logits = compile_extractor(extractor)(images).logits
    if logits is None:
        raise UserError(f'The extractor {extractor.name} does not classify: set evaluation.extractor=classifier.')
    return np.asarray(logits).argmax(axis=1)
