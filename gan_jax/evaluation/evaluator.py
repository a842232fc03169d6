"""An evaluation: metrics of fakes against reals, each as a record with its protocol."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from gan_jax.checkpoint import package_versions
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation import metrics
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.gather import Samples, check_images, compile_samples, describe, gather_dataset, gather_samples
from gan_jax.evaluation.record import Record
from gan_jax.evaluation.store import FeatureStore
from gan_jax.parallel import Layout

IMAGES_PER_DEVICE = 64


@dataclasses.dataclass
class Evaluator:
    """Compares fakes with the same real images by the same rules, as often as it is asked to.

    The real images are looked at when it is made; their features are kept on disk for later runs.

    Attributes:
        names: of metrics, from `metrics.METRICS`.
        extractor: what looks at the images.
        reals: the real images.
        layout: the devices.
        cache_dir: where features of real images are kept; None: the user's cache directory.
        bootstrap: resamples of the fakes for an interval around each value; 0: none.

    Raises:
        UserError: there is no such metric, the reals are not images, or the extractor refuses them.
    """

    names: Sequence[str]
    extractor: Extractor
    reals: Dataset
    layout: Layout
    cache_dir: str | None = None
    bootstrap: int = 0

    def __post_init__(self) -> None:
        metrics.check_names(self.names)
        check_images(self.reals)
        self._compiled = {}
        self._real_store = self._gather(self.reals, metrics.kept(self.names, 'real'))

    def evaluate(self, fakes: Samples | Dataset) -> list[Record]:
        """The metrics of a generator's samples, or of a data set taken for generated.

        Raises:
            UserError: the fakes are not images of the reals' shape, or a metric asks for more than there is.
        """
        keep = metrics.kept(self.names, 'fake') | ({'features'} if self.bootstrap else set())
        if isinstance(fakes, Samples):
            if fakes.game not in self._compiled:
                self._compiled[fakes.game] = compile_samples(fakes.game, self.extractor, self.layout)
            store = gather_samples(fakes, self._compiled[fakes.game], keep=keep, batch_size=self._batch_size)
            evidence = metrics.Evidence(self._real_store, store, self.extractor, fakes)
            return list(self._records(evidence, fakes.name, fakes.protocol))
        check_images(fakes)
        if fakes.shape != self.reals.shape:
            sizes = f'images of {fakes.name} are {_size(fakes)} and those of {self.reals.name} {_size(self.reals)}'
            raise UserError(f'The {sizes}: bring both to one by --size and --channels.')
        evidence = metrics.Evidence(self._real_store, self._gather(fakes, keep), self.extractor)
        return list(self._records(evidence, f'{fakes.name} {fakes.split}', {'fakes': f'{len(fakes)} images'}))

    @property
    def _batch_size(self) -> int:
        return IMAGES_PER_DEVICE * len(self.layout.devices)

    def _gather(self, dataset: Dataset, keep: set[str]) -> FeatureStore:
        options = {'keep': keep, 'batch_size': self._batch_size, 'cache_dir': self.cache_dir}
        return gather_dataset(dataset, self.extractor, self.layout, **options)

    def _records(self, evidence: metrics.Evidence, subject: str, fakes: dict) -> Iterable[Record]:
        for name in self.names:
            metric = metrics.METRICS[name]
            for value, estimate in metric.compute(evidence).items():
                extractor = f'{self.extractor.name} ({self.extractor.identity})' if metric.sees != 'pixels' else 'none'
                protocol = {'extractor': extractor, 'reals': describe(self.reals), **fakes, 'rule': estimate.rule}
                protocol['versions'] = versions()
                interval = None
                if self.bootstrap and metric.sees != 'generator':
                    interval = metrics.interval(name, value, evidence, self.bootstrap, seed=0)
                yield Record(value, estimate.value, estimate.error, subject, protocol, interval)


def versions() -> str:
    """What computed a record."""
    installed = package_versions()
    return ', '.join(f'{name} {installed[name]}' for name in ('gan_jax', 'jax', 'numpy'))


def draw_labels(dataset: Dataset, number: int, seed: int) -> np.ndarray:
    """int32 [number]: classes as often as the data has them, for the samples of a conditional generator."""
    return np.random.default_rng(seed).choice(np.asarray(dataset.labels, np.int32), number)


def table(records: Sequence[Record]) -> str:
    """Records as lines for a terminal: metrics, then what they have in common in their protocols."""
    if not records:
        return '(no metrics)'
    width = max(len(record.metric) for record in records)
    lines = [records[0].subject, '']
    for record in records:
        error = '' if record.error is None else f'± {record.error:.4g}'
        lines.append(f'{record.metric:{width}}  {record.value:12.6g}  {error:12}  {record.protocol["rule"]}')
        if record.interval:
            lines.append(
                f'{"":{width}}  95 % of bootstrap resamples in [{record.interval[0]:.6g}, {record.interval[1]:.6g}]'
            )
    seen: dict[str, str] = {}
    for record in records:  # those of pixels have no extractor
        if record.protocol['extractor'] != 'none' or not seen:
            seen = dict(record.protocol)
    common = {name: value for name, value in seen.items() if name != 'rule'}
    return '\n'.join([*lines, '', *(f'{name}: {value}' for name, value in common.items())])


def _size(dataset: Dataset) -> str:
    return 'x'.join(map(str, dataset.shape))
