"""Data sets whose examples are computed one by one from their index, and kept in the cache."""

import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tqdm

from gan_jax.data import cache, fingerprints
from gan_jax.data.dataset import Dataset
from gan_jax.data.images import DecodedImages
from gan_jax.errors import MissingSplitError

_CHUNK = 64


def computed_set(
    name: str,
    split: str,
    splits: Mapping[str, int],
    shape: tuple[int, ...],
    make: Callable[[int, np.random.Generator], np.ndarray],
    rule: str,
    class_names: tuple[str, ...],
    dtype: type[np.generic] = np.uint8,
    *,
    root: pathlib.Path,
    show_progress: bool,
    content: Callable[[np.random.Generator], int] | None = None,
) -> Dataset:
    """A split of computed examples, whose classes alternate.

    Args:
        name: name of the data set.
        split: the split.
        splits: the number of examples of each split.
        shape: shape of an example.
        make: (class, random generator of the example) -> the example [*shape].
        rule: name and version of the computation, which identify the cached examples with split and shape.
        class_names: names of the classes.
        dtype: type of the examples.
        root: root of the cache.
        show_progress: whether to show a progress bar while computing.
        content: random generator of an example -> its content, if it has one.

    Raises:
        UserError: the split does not exist, or the cache cannot be written.
    """
    if split not in splits:
        raise MissingSplitError(name, split, splits)
    place, number, seed = [rule, split, shape], splits[split], list(splits).index(split)

    def generator(index: int) -> np.random.Generator:
        return np.random.default_rng([seed, index])

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with tqdm.tqdm(desc=f'computing {name} {split}', total=number, disable=not show_progress or None) as bar:
            for start in range(0, number, _CHUNK):
                indices = range(start, min(start + _CHUNK, number))
                labels = [index % len(class_names) for index in indices]
                made = [make(label, generator(index)) for index, label in zip(indices, labels, strict=True)]
                bar.update(len(made))
                yield np.stack(made), np.array(labels, np.int32)

    def build() -> DecodedImages:
        return DecodedImages((number, *shape), chunks(), dtype)

    entry = cache.open_or_build(root, cache.entry_name(name, split, place), place, fingerprints.of_value(place), build)
    contents = content and np.array([content(generator(index)) for index in range(number)], np.int32)
    facts = entry.fingerprint, class_names
    return Dataset(name, split, *entry[:2], len(class_names), *facts, contents=contents)
