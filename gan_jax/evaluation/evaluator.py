"""An evaluation: metrics of fakes against real images, each as a record with its protocol."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.evaluation import metrics
from gan_jax.evaluation.features.extractor import NOTHING, Extractor
from gan_jax.evaluation.features.find import find_extractor
from gan_jax.evaluation.gather import (
    GeneratorSamples,
    check_one_size,
    compile_samples,
    describe,
    gather_dataset,
    gather_samples,
    has_several_sizes,
    shape_text,
    shapes_agree,
)
from gan_jax.evaluation.record import Estimate, Evaluation, Failure, Record
from gan_jax.evaluation.statistics import Statistics
from gan_jax.evaluation.store import FeatureStore
from gan_jax.layers.choices import require
from gan_jax.runtime.checkpoint import package_versions
from gan_jax.runtime.parallel import Layout

IMAGES_PER_DEVICE = 64

# What one metric may raise without harm to the others: a set that it does not apply to, or too little memory for it.
_FAILURES = (UserError, ArithmeticError, MemoryError, np.linalg.LinAlgError, jax.errors.JaxRuntimeError)


@dataclasses.dataclass
class Evaluator:
    """Compares sets of fakes with the same real images by the same rules.

    The real images are processed at construction; their features are cached on disk for later runs.

    Attributes:
        names: names of metrics, from `metrics.METRICS`; duplicates are ignored.
        extractor: the feature extractor.
        reals: the real images, or statistics of their features by the same extractor.
        layout: the devices.
        cache_dir: cache of the features of real images; None: the user's cache directory.
        bootstrap: resamples of the fakes for an interval around each value; 0: none.
        options: constants of the metrics, by names in `metrics.OPTIONS`.
        batch_size: images at a time on all devices; None: 64 on each.

    Raises:
        UserError: the metric or option does not exist, the real images are not images, or the extractor refuses them.
    """

    names: Sequence[str]
    extractor: Extractor
    reals: Dataset | Statistics
    layout: Layout
    cache_dir: str | None = None
    bootstrap: int = 0
    options: Mapping[str, int] = dataclasses.field(default_factory=dict)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        self.names = tuple(dict.fromkeys(self.names))
        metrics.check_names(self.names)
        metrics.check_options(self.options, self.names)
        metrics.check_kind(self.names, self.reals.name, self.reals.shape)
        devices = len(self.layout.devices)
        self.batch_size = IMAGES_PER_DEVICE * devices if self.batch_size is None else self.batch_size
        fits = self.batch_size > 0 and self.batch_size % devices == 0
        require(fits, 'batch_size', self.batch_size, f'a multiple of the {devices} devices')
        self._compiled = {}
        self._real_store = self._gather(self.reals, metrics.kept(self.names, 'real'))

    def evaluate(self, fakes: GeneratorSamples | Dataset | Statistics) -> Evaluation:
        """The metrics of a generator's samples, of a data set in their place, or of statistics of one.

        A metric that cannot be computed (too few images, no labels, no classes in the extractor) is a failure
        with its reason and does not affect the others.

        Raises:
            UserError: the fakes are not images of the real images' shape.
        """
        if isinstance(fakes, GeneratorSamples):
            subject, protocol = fakes.name, fakes.protocol
        elif isinstance(fakes, Statistics):
            subject, protocol = fakes.name, {'fakes': describe(fakes)}
        else:
            sizes = ' of several sizes' if has_several_sizes(fakes) else ''
            subject, protocol = f'{fakes.name} {fakes.split}', {'fakes': f'{len(fakes)} images{sizes}'}
            metrics.check_kind(self.names, fakes.name, fakes.shape)
            if not shapes_agree(fakes.shape, self.reals.shape):
                raise UserError(
                    f'The images of {fakes.name} are {shape_text(fakes.shape)} and those of {self.reals.name} '
                    f'{shape_text(self.reals.shape)}: convert both to the same size and number of channels.'
                )
        failures = self._unfit(fakes, subject)
        names = [name for name in self.names if name not in {failure.metric for failure in failures}]
        records: list[Record] = []
        if not names:
            return Evaluation(records, failures)
        evidence = self._look_at(fakes, metrics.kept(names, 'fake') | ({'features'} if self.bootstrap else set()))
        for name in names:
            try:
                estimates = metrics.METRICS[name].compute(evidence)
            except _FAILURES as error:
                failures.append(Failure(name, _reason(error), subject))
                continue
            for value, estimate in estimates.items():
                if not math.isfinite(estimate.value):
                    failures.append(Failure(value, f'it is {estimate.value}.', subject))
                    continue
                try:
                    interval = self._interval(name, value, evidence)
                except _FAILURES as error:
                    interval = None
                    failures.append(Failure(f'interval of {value}', _reason(error), subject))
                sees = metrics.METRICS[name].sees
                if sees in ('discriminator', 'encoder'):
                    judged, store = fakes.protocol_of(sees), None
                else:
                    judged, store = protocol, evidence.fake
                records.append(self._record(name, value, estimate, interval, subject, judged, store))
        return Evaluation(records, failures)

    def _unfit(self, fakes: GeneratorSamples | Dataset | Statistics, subject: str) -> list[Failure]:
        """The metrics that are known to be impossible before anything is computed."""
        failures = []
        for name in self.names:
            try:
                if 'images' in metrics.METRICS[name].real:
                    check_one_size(self.reals, name)
                if isinstance(fakes, GeneratorSamples):
                    metrics.check_of_generator([name], fakes.game)
                elif 'images' in metrics.METRICS[name].fake:
                    check_one_size(fakes, name)
            except UserError as error:
                failures.append(Failure(name, _reason(error), subject))
        return failures

    def _look_at(self, fakes: GeneratorSamples | Dataset | Statistics, keep: set[str]) -> metrics.Evidence:
        facts = {'options': self.options, 'real_names': self.reals.class_names, 'fake_names': fakes.class_names}
        if not isinstance(fakes, GeneratorSamples):
            return metrics.Evidence(self._real_store, self._gather(fakes, keep), self.extractor, **facts)
        if fakes.game not in self._compiled:
            self._compiled[fakes.game] = compile_samples(fakes.game, self.extractor, self.layout)
        store = gather_samples(fakes, self._compiled[fakes.game], keep=keep, batch_size=self.batch_size)
        return metrics.Evidence(self._real_store, store, self.extractor, fakes, **facts)

    def _gather(self, dataset: Dataset | Statistics, keep: set[str]) -> FeatureStore:
        options = {'keep': keep, 'batch_size': self.batch_size, 'cache_dir': self.cache_dir}
        return gather_dataset(dataset, self.extractor, self.layout, **options)

    def _interval(self, name: str, value: str, evidence: metrics.Evidence) -> tuple[float, float] | None:
        if not self.bootstrap or not metrics.METRICS[name].sees_sets:
            return None
        return metrics.interval(name, value, evidence, self.bootstrap, seed=0)

    def _record(
        self,
        name: str,
        value: str,
        estimate: Estimate,
        interval: tuple[float, float] | None,
        subject: str,
        fakes: Mapping[str, object],
        store: FeatureStore | None,
    ) -> Record:
        sees_features = metrics.METRICS[name].uses_extractor and self.extractor is not NOTHING
        protocol = {
            'extractor': f'{self.extractor.name} ({self.extractor.identity})' if sees_features else 'none',
            'reals': describe(self.reals),
            **fakes,
            'rule': estimate.rule,
            'versions': versions(),
        }
        has_error = estimate.error is not None and math.isfinite(estimate.error)
        error = estimate.error if has_error else None
        judged = (None, None) if store is None else (len(store) or None, store.fingerprint)
        return Record(value, estimate.value, error, subject, protocol, interval, *judged)


def choose_extractor(
    names: Sequence[str], spec: str | Extractor, data_name: str, shape: tuple[int, ...], labelled: bool
) -> Extractor:
    """The extractor for metrics, from `find_extractor`, or none if they use pixels only.

    Raises:
        UserError: as `find_extractor`.
    """
    if not any(metrics.METRICS[name].uses_extractor for name in names):
        return NOTHING
    return find_extractor(spec, data_name, shape, labelled=labelled)


def versions() -> str:
    """The versions of the packages that computed a record."""
    installed = package_versions()
    return ', '.join(f'{name} {installed[name]}' for name in ('gan_jax', 'jax', 'numpy'))


def table(records: Sequence[Record]) -> str:
    """Records as lines for a terminal: metrics, then the common part of their protocols."""
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


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f'{type(error).__name__}: {error}'
