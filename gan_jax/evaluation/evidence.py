"""The inputs of metrics."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.gather import GeneratorSamples
from gan_jax.evaluation.store import FeatureStore


class Option(NamedTuple):
    """A constant of a metric that can be chosen.

    Attributes:
        metric: the name of the metric.
        keyword: keyword of the metric's function.
        least: the smallest value.
        help: its description, with its default.
    """

    metric: str
    keyword: str
    least: int
    help: str


OPTIONS = {
    'kid_subsets': Option('kid', 'subsets', 1, 'subsets of KID (100)'),
    'kid_subset_size': Option('kid', 'subset_size', 3, 'images in each, of either set (1,000, or the smaller set)'),
    'kid_seed': Option('kid', 'seed', 0, 'seed of the subsets (2020)'),
    'precision_recall_k': Option('precision_recall', 'k', 1, 'neighbour that the balls reach to (3)'),
    'density_coverage_k': Option('density_coverage', 'k', 1, 'neighbour that the balls reach to (5)'),
    'luma_border': Option('luma', 'border', 0, 'pixels of an image left out at each border (4)'),
    'interpolated_border': Option('interpolated', 'border', 0, 'pixels left out likewise (4)'),
    'inception_score_splits': Option('inception_score', 'splits', 1, 'splits of the images (10)'),
}


class Evidence(NamedTuple):
    """The inputs of a metric.

    Attributes:
        real: the real images.
        fake: the generated ones.
        extractor: the feature extractor of both.
        samples: the generator, if the fakes were sampled from one on these devices.
        options: constants of metrics that are not the default ones, by names in `OPTIONS`.
        real_names: names of the classes of the real images, or None.
        fake_names: names of the classes of the fakes, or None.
    """

    real: FeatureStore
    fake: FeatureStore
    extractor: Extractor
    samples: GeneratorSamples | None = None
    options: Mapping[str, int] = MappingProxyType({})
    real_names: tuple[str, ...] | None = None
    fake_names: tuple[str, ...] | None = None

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The real and the fake images, in equal numbers."""
        real, fake = self.real.array('images'), self.fake.array('images')
        return real[: len(fake)] if self.samples else real, fake

    def chosen(self, metric: str) -> dict[str, int]:
        """The options of one metric, as keyword arguments of its function."""
        return {OPTIONS[name].keyword: value for name, value in self.options.items() if OPTIONS[name].metric == metric}
