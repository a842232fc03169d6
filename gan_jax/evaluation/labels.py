"""Matches the labels of two sets of images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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
