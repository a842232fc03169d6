"""Labels of two sets of images: in one numbering, and drawn for samples like those of real images."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import Dataset


class Matched(NamedTuple):
    """Labels of two sets in one numbering.

    Attributes:
        real: int [n].
        fake: int [m].
        names: names of the classes by number, if both sets have names; else None, and equal numbers are taken for
            equal classes.
    """

    real: np.ndarray
    fake: np.ndarray
    names: tuple[str, ...] | None

    @property
    def rule(self) -> str:
        """The rule for protocols."""
        return f'classes matched by {"number" if self.names is None else "name"}'


def match(
    real: np.ndarray, real_names: Sequence[str] | None, fake: np.ndarray, fake_names: Sequence[str] | None
) -> Matched:
    """Converts labels to one numbering: that of the real images, followed by classes that only the fakes have.

    Args:
        real: int [n], labels of real images; -1 where one has none.
        real_names: names of their classes in order, or None.
        fake: int [m], labels of fakes, likewise.
        fake_names: likewise.
    """
    if real_names is None or fake_names is None:
        return Matched(real, fake, None)
    names = tuple(dict.fromkeys((*real_names, *fake_names)))
    return Matched(real, renumber(fake, fake_names, names), names)


def renumber(labels: np.ndarray, names: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Labels of the classes `names` as the numbers of the same names in `others`; -1 stays -1."""
    numbers = {name: number for number, name in enumerate(others)}
    return np.array([*(numbers[name] for name in names), -1], np.int32)[labels]


def draw_conditions(
    real: Dataset, number: int, seed: int, num_classes: int, class_names: Sequence[str] | None
) -> dict[str, Any]:
    """The classes of samples: with the frequencies of the real images if the generator has their classes.

    Args:
        real: the real images.
        number: number of samples.
        seed: seed of the draws.
        num_classes: number of classes of the generator.
        class_names: their names in order, or None; classes are matched by number unless both sides have names.

    Returns:
        'conditions', int32 [number]; and 'labels', the rule for protocols, if all classes are equally frequent because
        the real images have no classes or others.
    """
    if real.labels is not None and np.min(real.labels) >= 0:
        drawn = np.random.default_rng(seed).choice(np.asarray(real.labels, np.int32), number)
        both = real.class_names, class_names
        if None not in both and set(real.class_names) <= set(class_names):
            return {'conditions': renumber(drawn, *both)}
        if None in both and real.num_classes == num_classes:
            return {'conditions': drawn}
    return {'conditions': np.arange(number, dtype=np.int32) % num_classes, 'labels': 'all equally often'}
