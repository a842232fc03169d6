"""Fills feature stores from a data set or a generator, on all devices, and caches the statistics of real data."""

import contextlib
import hashlib
import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import tqdm

from gan_jax.data import Dataset, cache, fingerprints, to_float, to_stored
from gan_jax.data.maps import check_classes
from gan_jax.data.mixed import MixedImages
from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import NOTHING, Extractor, Features, look
from gan_jax.evaluation.images import images_array
from gan_jax.evaluation.statistics import Statistics
from gan_jax.evaluation.store import FeatureStore, compile_extractor
from gan_jax.game import Game, Player, named_key
from gan_jax.records import npz
from gan_jax.runtime import hosts, parallel
from gan_jax.runtime.checkpoint import package_versions
from gan_jax.runtime.parallel import Layout

_FORMAT = 2


class GeneratorSamples(NamedTuple):
    """The samples to draw from a generator.

    Attributes:
        game: the game.
        generator: its player, on the host; the averaged weights are used where it has them.
        number: number of samples.
        seed: seed of their latents.
        conditions: [number, ...] for a conditional game: classes, or uint8 images to translate; or None.
        name: name of the generator, for protocols.
        labels: how the conditions were chosen, for protocols.
        classes: int [number] of the images to translate, or None.
        class_names: names of the classes that the conditions are, or None.
        discriminator: that of a game whose metrics or scores need it, on the host, or None.
        encoder: likewise, of a game with one.
        known: the data set that the game was trained on, if a metric needs it.
        exact: the game in float32 arithmetic, for path lengths; None: that of the game is float32.
        standing: passes of the generator's standing statistics, for protocols; 0: it has running averages.
        distribution: distribution of the game's latents, 'normal' or 'uniform', for path lengths.
    """

    game: Game
    generator: Player
    number: int
    seed: int
    conditions: np.ndarray | None
    name: str
    labels: str = 'drawn as in the data'
    classes: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    discriminator: Player | None = None
    encoder: Player | None = None
    known: Dataset | None = None
    exact: Game | None = None
    standing: int = 0
    distribution: str = 'normal'

    def protocol_of(self, player: str) -> dict[str, Any]:
        """The protocol entry of the game's 'discriminator' or 'encoder'."""
        known = {'known': describe(self.known)} if player == 'encoder' else {}
        return {**known, 'weights': 'last' if getattr(self, player).ema is None else 'averaged'}

    @property
    def protocol(self) -> dict[str, Any]:
        """How the samples are made."""
        weights = {'seed': self.seed, 'weights': 'last' if self.generator.ema is None else 'averaged'}
        weights |= {'training': self.game.note} if self.game.note else {}
        if self.game.translates:
            made = 'translations' if self.game.captions is None else 'images of captions'
            return {'fakes': f'{self.number} {made}', **weights}
        return {
            'fakes': f'{self.number} samples',
            **weights,
            'truncation': 'none',
            'batch_norm': f'standing statistics of {self.standing} passes' if self.standing else 'running averages',
            **({} if self.conditions is None else {'labels': self.labels}),
        }


def of_inputs(
    game: Game,
    generator: Player,
    most: int,
    seed: int,
    dataset: Dataset,
    name: str,
    shape: tuple[int, ...] | None = None,
) -> GeneratorSamples:
    """The translations of the images of a data set, in order: of all, or of the first `most`.

    Raises:
        UserError: the data do not have the images, they have another shape, or they are label maps of other classes or
            captions of other words.
    """
    images = None if isinstance(dataset, Statistics) else dataset.fields.get(game.given)
    if images is None:
        raise UserError(
            f'{name} translates images, the {game.given!r} of its data, but {dataset.name!r} has none: use data of the '
            'kind that the run was trained on.'
        )
    if shape is not None and images.shape[1:] != shape:
        raise UserError(
            f'{name} translates images of shape {shape}, but those of {dataset.name!r} have shape {images.shape[1:]}.'
        )
    number = min(most, len(images))
    if game.captions not in (None, dataset.num_classes):
        raise UserError(
            f'{name} reads captions of a vocabulary of {game.captions} words, but that of {dataset.name!r} has '
            f'{dataset.num_classes}: use the data that it was trained on.'
        )
    if game.maps is not None:
        check_classes(images[:number], game.maps, dataset.name)
    classes = dataset.groups.get(game.given, dataset).labels
    classes = None if classes is None else np.asarray(classes[:number])
    return GeneratorSamples(game, generator, number, seed, images[:number], name, classes=classes)


def describe(dataset: Dataset | Statistics) -> str:
    """A data set for a protocol: number, name, split, size and the beginning of its fingerprint."""
    if isinstance(dataset, Statistics):
        return str(dataset)
    shape = shape_text(dataset.shape)
    return f'{len(dataset)} of {dataset.name} {dataset.split} {shape} ({dataset.fingerprint[:8]})'


def shape_text(shape: tuple[int | None, ...], times: str = 'x') -> str:
    """The shape of an image in words."""
    if None in shape:
        return f'of several sizes in {"grey" if shape[-1] == 1 else "colour"}'
    return times.join(map(str, shape))


def shapes_agree(first: tuple[int | None, ...] | None, second: tuple[int | None, ...] | None) -> bool:
    """Whether two sets can be compared: the shapes of their images are equal, as far as they have one."""
    if first is None or second is None:
        return True
    return all(None in pair or pair[0] == pair[1] for pair in zip(first, second, strict=True))


def has_several_sizes(dataset: Dataset | Statistics) -> bool:
    """Whether images differ in size."""
    return dataset.shape is not None and None in dataset.shape


def check_one_size(dataset: Dataset | Statistics, who: str) -> None:
    """Raises a UserError if images differ in size, for `who` takes images of one size only."""
    if has_several_sizes(dataset):
        raise UserError(
            f'{who} needs images of one size, but those of {dataset.name!r} differ ({dataset.examples.difference}): '
            'set a size to resize them to, such as --size 64.'
        )


def check_looks(dataset: Dataset | Statistics, extractor: Extractor) -> None:
    """Raises a UserError if images differ in size and the extractor has no size of its own to bring them to."""
    if extractor.resize is None:
        check_one_size(dataset, f'The extractor {extractor.name}')


def gather_dataset(
    dataset: Dataset | Statistics,
    extractor: Extractor,
    layout: Layout,
    *,
    keep: Iterable[str],
    batch_size: int,
    cache_dir: str | None = None,
) -> FeatureStore:
    """The store of a data set, from the cache if possible.

    The cache has one file for the data set's name, split and shape, the extractor and what is kept. It contains the
    fingerprint of the examples and the versions of the packages; if these differ, it is recomputed.

    Args:
        dataset: images, those of several sizes not to be held by the store; other examples where the extractor sees
            nothing; or what is known of their features.
        extractor: the feature extractor.
        layout: the devices.
        keep: what the store keeps, of `store.KEPT`.
        batch_size: over all devices.
        cache_dir: as in `gan_jax.data.load`.

    Raises:
        UserError: the examples are not images, the extractor refuses them, or the cache cannot be written.
    """
    if isinstance(dataset, Statistics):
        return FeatureStore.of_statistics(dataset)
    check_looks(dataset, extractor)
    cached_parts = sorted(set(keep) - {'images'})
    place = [dataset.name, dataset.split, dataset.shape, extractor.name, extractor.identity, cached_parts]
    key = fingerprints.of_value([_FORMAT, place, dataset.fingerprint, len(dataset), package_versions()])
    directory = cache.cache_directory(cache_dir) / 'features'
    path = directory / f'{cache.entry_name(dataset.name, dataset.split, place)}.npz'
    arrays = _read(path, key)
    if hosts.any_process(arrays is None):  # every process takes part in the work, or none does
        starts = _progress(range(0, len(dataset), batch_size), batch_size, len(dataset), f'features of {dataset.name}')
        store = FeatureStore(keep=cached_parts)
        for features, i in zip(_features(dataset, extractor, layout, batch_size), starts, strict=True):
            store.add(features, labels=None if dataset.labels is None else dataset.labels[i : i + batch_size])
        arrays = store.to_arrays()
        npz.save(path, {'key': key, **arrays})
        cache.remove_unused(directory)
    store = FeatureStore.from_arrays(arrays)
    store.fingerprint = dataset.fingerprint
    if 'images' in keep and not has_several_sizes(dataset):
        store.hold_images(dataset.examples)
    return store


def _features(dataset: Dataset, extractor: Extractor, layout: Layout, batch_size: int) -> Iterator[Features]:
    """The features of a data set, batch by batch. Images of several sizes are resized one by one on the host.

    So the network is compiled once, for its own size.
    """
    if not isinstance(dataset.examples, MixedImages):
        extract = compile_extractor(extractor, batch_size, layout)
        for i in range(0, len(dataset), batch_size):
            examples = dataset.examples[i : i + batch_size]
            yield extract(examples if extractor is NOTHING else images_array(examples))
        return
    extract = compile_extractor(extractor._replace(resize=None), batch_size, layout)
    for images in dataset.examples.batches(batch_size, lambda image: np.asarray(extractor.resize(image[None]))[0]):
        if len(shapes := {image.shape for image in images}) > 1:
            raise UserError(
                f'The resize of the extractor {extractor.name} returns arrays of the shapes {sorted(shapes)}: it must '
                'resize all images to one shape.'
            )
        yield extract(np.stack(images))


def compile_samples(game: Game, extractor: Extractor, layout: Layout) -> Callable:
    """Compiles ((weights, seed), batch of places and conditions) -> (stored examples, features), on all devices.

    Images go through 8 bits, as if they had been saved. Points stay as they are.
    """

    def make(constants, batch):
        weights, seed = constants
        latents = game.latents(named_key(seed, 'evaluation'), batch['positions'])
        conditions = batch.get('conditions')
        conditions = None if conditions is None else to_float(conditions)
        examples = to_stored(game.sample(*weights, latents, conditions))
        return examples, look(extractor, examples)

    return layout.compile_map(make)


def gather_samples(
    samples: GeneratorSamples, compiled: Callable, *, keep: Iterable[str], batch_size: int
) -> FeatureStore:
    """The store of a generator's samples.

    Args:
        samples: the samples to draw.
        compiled: from `compile_samples`, for the same game.
        keep: what the store keeps, of `store.KEPT`.
        batch_size: over all devices.

    Raises:
        UserError: the generator does not make images, or the extractor does not accept them.
    """
    generator = samples.generator
    constants = generator.weights, np.uint32(samples.seed)
    store, digest = FeatureStore(keep=keep), hashlib.sha256()
    for i in _progress(range(0, samples.number, batch_size), batch_size, samples.number, f'evaluating {samples.name}'):
        positions = np.arange(i, i + batch_size, dtype=np.uint32)  # those behind the last are thrown away
        batch = {'positions': positions}
        if samples.conditions is not None:
            batch['conditions'] = np.take(samples.conditions, positions, axis=0, mode='clip')
        images, features = jax.tree.map(lambda array: array[: samples.number - i], compiled(constants, batch))  # noqa: B023
        digest.update(np.ascontiguousarray(images))
        labels = batch.get('conditions') if samples.game.given == 'label' else None
        store.add(features, images, None if labels is None else labels[: samples.number - i])
    store.fingerprint = digest.hexdigest()
    return store


def _progress(starts: range, batch_size: int, total: int, title: str) -> Iterable[int]:
    """The starts of batches, with a temporary progress line on the terminal."""
    quiet = not parallel.is_main_process() or None  # None: without a terminal
    with tqdm.tqdm(desc=title, total=total, unit='img', leave=False, disable=quiet) as bar:
        for i in starts:
            yield i
            bar.update(min(batch_size, total - i))


def _read(path: pathlib.Path, key: str) -> Mapping[str, np.ndarray] | None:
    """The arrays of a cache file; None if there is none, it is of another key or it is damaged."""
    if not path.exists():
        return None
    try:
        arrays = npz.load(path)
        if str(arrays.pop('key')) != key:
            return None
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f'The cached features {path} are damaged ({error}); recomputing them.', stacklevel=3)
        return None
    with contextlib.suppress(OSError):  # the cache may be another user's
        path.touch()  # for `cache.remove_unused`
    return arrays
