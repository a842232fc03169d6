"""The classes of a run's samples, according to the classifier of its metrics."""

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

SEED = 1_000_000  # of the latents: none that was drawn while training


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
    """What the last checkpoint of a run's directory shows in `number` samples; None if it diverged before the first.

    Raises:
        UserError: the extractor of the run's evaluation does not classify.
    """
    if checkpoint.peek(workdir / 'checkpoints') is None:
        return None
    made = load_run(workdir)
    latents = sampling.fixed_latents(made.game, number, SEED)
    asked = np.arange(number, dtype=np.int32) % made.num_classes if made.is_conditional else None
    examples = sampling.generate(made.game, made.generator, latents, asked, batch_size=250)
    images = np.asarray(to_uint8(examples))
    extractor = find_extractor(made.config.evaluation.extractor, made.config.data.name, made.shape)
    return Shown(np.asarray(latents), asked, name(extractor, images), images)


def of_each(measure: Callable[[Shown], float], seeds: Sequence[Shown | None]) -> list[float]:
    """A measure of what each seed shows; NaN for one that shows nothing."""
    return [math.nan if shown is None else float(measure(shown)) for shown in seeds]


def of_reals(config: ConfigDict, split: str) -> tuple[np.ndarray, np.ndarray]:
    """True classes [n] of a split of a config's data, and those that the classifier of its metrics sees."""
    reals = run.load_data(config.data, split)
    extractor = find_extractor(config.evaluation.extractor, reals.name, reals.shape)
    return np.asarray(reals.labels), name(extractor, np.asarray(reals.examples))


def name(extractor: Extractor, images: np.ndarray) -> np.ndarray:
    """The class int64 [n] with the largest logit of each of the images uint8 [n, H, W, C]."""
    logits = compile_extractor(extractor)(images).logits
    if logits is None:
        raise UserError(f'The extractor {extractor.name} does not classify: set evaluation.extractor=classifier.')
    return np.asarray(logits).argmax(axis=1)
