"""From a data set or a generator to a feature store, on all devices, with the statistics of real data kept on disk."""

import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import tqdm

from gan_jax import __version__, npz, parallel
from gan_jax.data import Dataset, to_uint8
from gan_jax.data.cache import cache_directory, fingerprint
from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor
from gan_jax.evaluation.store import FeatureStore, compile_extractor
from gan_jax.game import Game, Player, named_key
from gan_jax.parallel import Layout

_FORMAT = 1


class Samples(NamedTuple):
    """What a generator is asked for.

    Attributes:
        game: the game.
        generator: its player, on the host; the averaged weights are used where it has them.
        number: of samples.
        seed: of their latents.
        conditions: [number, ...] for a conditional game, or None.
        name: of the generator, for protocols.
        labels: how the conditions were chosen, for protocols.
    """

    game: Game
    generator: Player
    number: int
    seed: int
    conditions: np.ndarray | None
    name: str
    labels: str = 'drawn as in the data'

    @property
    def protocol(self) -> dict[str, Any]:
        """How the samples are made."""
        return {
            'fakes': f'{self.number} samples',
            'seed': self.seed,
            'weights': 'last' if self.generator.ema is None else 'averaged',
            'truncation': 'none',
            'batch_norm': 'running averages',
            **({} if self.conditions is None else {'labels': self.labels}),
        }


def describe(dataset: Dataset) -> str:
    """A data set for a protocol: number, name, split, size and the beginning of its fingerprint."""
    shape = 'x'.join(map(str, dataset.shape))
    return f'{len(dataset)} of {dataset.name} {dataset.split} {shape} ({dataset.fingerprint[:8]})'


def check_images(dataset: Dataset) -> None:
    """Raises a UserError where the examples are not images."""
    if len(dataset.shape) != 3:
        raise UserError(f'{dataset.name!r} has points, not images: metrics of images cannot be computed of it.')


def gather_dataset(
    dataset: Dataset,
    extractor: Extractor,
    layout: Layout,
    *,
    keep: Iterable[str],
    batch_size: int,
    cache_dir: str | None = None,
) -> FeatureStore:
    """The store of a data set, from the cache where it has been made before.

    The cache's key is all that the features depend on: the data set's fingerprint (name, version, split, size,
    channels, preprocessing), the extractor with the hash of its weights and its resize rule, this package's version.

    Args:
        dataset: images.
        extractor: what looks at them.
        layout: the devices.
        keep: what the store keeps, of `store.KEPT`.
        batch_size: over all devices.
        cache_dir: as in `gan_jax.data.load`.

    Raises:
        UserError: the examples are no images, the extractor refuses them, or the cache cannot be written.
    """
    check_images(dataset)
    cached_parts = sorted(set(keep) - {'images'})
    key = [_FORMAT, dataset.fingerprint, len(dataset), extractor.name, extractor.identity, cached_parts, __version__]
    name = re.sub(r'[^\w.-]+', '_', f'{dataset.name.rpartition("/")[2]}-{dataset.split}')
    path = cache_directory(cache_dir) / 'features' / f'{name}-{fingerprint(key)[:16]}.npz'
    arrays = _read(path)
    if parallel.any_process(arrays is None):  # every process takes part in the work, or none does
        store = FeatureStore(compile_extractor(extractor, batch_size, layout), cached_parts)
        for i in _progress(range(0, len(dataset), batch_size), batch_size, len(dataset), f'features of {dataset.name}'):
            labels = None if dataset.labels is None else dataset.labels[i : i + batch_size]
            store.update(np.asarray(dataset.examples[i : i + batch_size]), labels)
        arrays = store.to_arrays()
        npz.save(path, arrays)
    store = FeatureStore.from_arrays(arrays)
    if 'images' in keep:
        store.hold_images(dataset.examples)
    return store


def compile_samples(game: Game, extractor: Extractor, layout: Layout) -> Callable:
    """Compiles ((weights, seed), batch of places and conditions) -> (uint8 images, features), on all devices.

    Images go through 8 bits, as if they had been saved.
    """

    def make(constants, batch):
        weights, seed = constants
        latents = game.latents(named_key(seed, 'evaluation'), batch['positions'])
        images = to_uint8(game.sample(*weights, latents, batch.get('conditions')))
        return images, extractor.apply(images)

    return layout.compile_map(make)


def gather_samples(samples: Samples, compiled: Callable, *, keep: Iterable[str], batch_size: int) -> FeatureStore:
    """The store of what a generator makes.

    Args:
        samples: what is asked for.
        compiled: from `compile_samples`, for the same game.
        keep: what the store keeps, of `store.KEPT`.
        batch_size: over all devices.

    Raises:
        UserError: the generator makes no images, or the extractor refuses them.
    """
    generator = samples.generator
    constants = generator.ema or (generator.params, generator.variables), np.uint32(samples.seed)
    store = FeatureStore(keep=keep)
    for i in _progress(range(0, samples.number, batch_size), batch_size, samples.number, f'evaluating {samples.name}'):
        positions = np.arange(i, i + batch_size, dtype=np.uint32)  # those behind the last are thrown away
        batch = {'positions': positions}
        if samples.conditions is not None:
            batch['conditions'] = np.take(samples.conditions, positions, axis=0, mode='clip')
        images, features = jax.tree.map(lambda array: array[: samples.number - i], compiled(constants, batch))  # noqa: B023
        labels = batch.get('conditions')
        store.add(features, images, None if labels is None else labels[: samples.number - i])
    return store


def _progress(steps: range, batch_size: int, total: int, title: str) -> Iterable[int]:
    """The steps, with a line on the terminal that is gone at the end."""
    quiet = not (parallel.is_main_process() and sys.stderr.isatty())
    with tqdm.tqdm(desc=title, total=total, unit='img', leave=False, disable=quiet) as bar:
        for i in steps:
            yield i
            bar.update(min(batch_size, total - i))


def _read(path: pathlib.Path) -> Mapping[str, np.ndarray] | None:
    """The arrays of a cache file; None where there is none or it is damaged."""
    if not path.exists():
        return None
    try:
        return npz.load(path)
    except (OSError, ValueError) as error:
        warnings.warn(f'The cached features {path} are damaged ({error}); making them again.', stacklevel=3)
        return None
