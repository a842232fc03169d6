"""The data that metrics need from a set of images, collected batch by batch in one pass."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, Features, look
from gan_jax.evaluation.images import images_array
from gan_jax.evaluation.moments import Moments
from gan_jax.evaluation.statistics import Statistics
from gan_jax.runtime.parallel import Layout, make_layout

KEPT = ('features', 'logits', 'taps', 'images')


class FeatureStore:
    """Moments of the features of a set of images, and optionally the features, logits and images themselves.

    Args:
        extract: uint8 [n, H, W, C] to `Features`, from `compile_extractor`; None if only `add` is used.
        keep: which of `KEPT` to keep; moments are always kept, as they need no memory.

    Attributes:
        moments: of the features, in float64; None before the first batch. `Statistics` where nothing else is known.
        fingerprint: a hash of the images; None if unknown.
    """

    def __init__(
        self, extract: Callable[[np.ndarray], Features] | None = None, keep: Iterable[str] = ('features', 'logits')
    ):
        self._extract = extract
        self.keep = frozenset(keep)
        self.moments: Moments | Statistics | None = None
        self.fingerprint: str | None = None
        self._parts: dict[str, list[np.ndarray]] = {}

    def __len__(self) -> int:
        return self.moments.count if isinstance(self.moments, Moments) else 0

    def update(self, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Extracts the features of images and adds them.

        Args:
            images: uint8 [n, H, W, C].
            labels: int [n], their classes.

        Raises:
            UserError: the images are invalid.
        """
        images = images_array(images, 'the images')
        if self._extract is None:
            raise UserError('A store without an extractor takes features, not images: use add, or give it `extract`.')
        self.add(self._extract(images), images, labels)

    def add(self, features: Features, images: np.ndarray | None = None, labels: np.ndarray | None = None) -> None:
        """Adds the features of images."""
        if not isinstance(features, Features):
            raise UserError(
                f'The features are a {type(features).__name__}: give the Features of '
                'gan_jax.evaluation.features.extractor, which an extractor returns.'
            )
        pooled = np.asarray(features.features)
        if self.moments is None:
            self.moments = Moments(pooled.shape[1])
        self.moments.update(pooled)
        given = {'features': pooled, 'logits': features.logits, 'images': images}
        parts = {name: part for name, part in given.items() if name in self.keep} | {'labels': labels}
        if 'taps' in self.keep:
            parts |= {f'taps/{name}': tap for name, tap in (features.taps or {}).items()}
        for name, part in parts.items():
            if part is not None:
                self._parts.setdefault(name, []).append(np.asarray(part))

    def hold_images(self, images: np.ndarray) -> None:
        """Sets the images of the store to `images` (for example memory-mapped), instead of collecting them."""
        self._parts['images'] = [images]

    def array(self, name: str) -> np.ndarray:
        """One of `KEPT`, or the labels, of all images in order.

        Raises:
            UserError: it was not kept, or does not exist.
        """
        if name not in self._parts:
            if isinstance(self.moments, Statistics):
                raise UserError(
                    f'There are no {name} of these images: the file contains only their mean and covariance.'
                )
            if self.moments is None:
                raise UserError(f'There are no {name} of these images, because there are none: add some with update.')
            reason = {
                'logits': 'the extractor does not classify',
                'labels': 'the images have no labels',
            }.get(name, f'the store was made without keep={name!r}')
            raise UserError(f'There are no {name} of these images: {reason}.')
        if len(self._parts[name]) > 1:
            self._parts[name] = [np.concatenate(self._parts[name])]
        return self._parts[name][0]

    def taps(self) -> dict[str, np.ndarray]:
        """The kept taps of the extractor, [n, D] by name, the narrowest first."""
        found = {name.removeprefix('taps/'): self.array(name) for name in self._parts if name.startswith('taps/')}
        return dict(sorted(found.items(), key=lambda tap: tap[1].shape[1]))

    def has(self, name: str) -> bool:
        """Whether `array` can return it."""
        return name in self._parts

    def take(self, rows: np.ndarray) -> 'FeatureStore':
        """The store of a selection of the images, by indices, with repetitions; its moments need the features."""
        store = FeatureStore(keep=self.keep)
        store._parts = {name: [self.array(name)[rows]] for name in self._parts}
        if self.has('features'):
            store.moments = Moments.of(store.array('features'))
        return store

    @classmethod
    def of_statistics(cls, statistics: Statistics) -> 'FeatureStore':
        """A store with moments only."""
        store = cls(keep=())
        store.moments, store.fingerprint = statistics, statistics.fingerprint
        return store

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything except the images, for a cache."""
        kept = {name: self.array(name) for name in self._parts if name != 'images'}
        return {**kept, **{f'moments/{name}': value for name, value in self.moments.to_arrays().items()}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> 'FeatureStore':
        """The inverse of `to_arrays`."""
        store = cls(keep=[name for name in arrays if name in KEPT])
        moments = {
            name.removeprefix('moments/'): value for name, value in arrays.items() if name.startswith('moments/')
        }
        store.moments = Moments.from_arrays(moments)
        store._parts = {name: [value] for name, value in arrays.items() if not name.startswith('moments/')}
        return store


def compile_extractor(
    extractor: Extractor, batch_size: int = 64, layout: Layout | None = None
) -> Callable[[np.ndarray], Features]:
    """An extractor as a function of any number of host images, spread over devices in batches of one size.

    Args:
        extractor: the extractor.
        batch_size: over all devices. The last batch is padded, and none is dropped.
        layout: the devices; None: all of them.

    Raises:
        UserError: the batch size is not divisible by the number of devices.
    """
    layout = layout or make_layout(batch_size)
    compiled = layout.compile_map(lambda _, images: look(extractor, images))

    def extract(images: np.ndarray) -> Features:
        parts = [_whole(compiled, images[i : i + batch_size], batch_size) for i in range(0, len(images), batch_size)]
        return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    return extract


def _whole(compiled: Callable[[Any, np.ndarray], Features], images: np.ndarray, batch_size: int) -> Features:
    missing = batch_size - len(images)
    filled = np.pad(images, ((0, missing), *[(0, 0)] * (images.ndim - 1)), mode='edge')
    return jax.tree.map(lambda array: array[: len(images)], compiled((), filled))
